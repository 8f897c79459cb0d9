"""One process of the service from its start to its orderly stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rushes.cli.listening import Address, Place, leave, listening, url_of
from rushes.cli.service_manager import ServiceManager
from rushes.errors import StartupError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from rushes.app.role import Role
    from rushes.app.service import Running
    from rushes.cli.http_server import HttpServer
    from rushes.settings import Settings

GRACE_S = 5
LEAST_GRACE_S = 1
"""How long answers to callers may take once the jobs are given back: the rest of the time to drain, within these
bounds."""
FRONT_LAME_DUCK_S = 3.0
"""Longer than two checks of the proxies in deploy/."""
YOUNG_OBJECTS = 10_000
"""How many objects are created between two garbage collections. Nearly all objects of modules and running jobs stay in
use, so with Python's default of 700 a tenth of the time at start, and of a busy worker, went into collections."""


def run(settings: Settings, role: Role, place: Place | None) -> None:
    """Run this part of the service until SIGINT or SIGTERM, and listen at `place` if it is given.

    Raises StartupError.
    """
    gc.set_threshold(YOUNG_OBJECTS)

    import uvloop

    from rushes import logs
    from rushes.cli.open_files import allow_many_open_files

    allow_many_open_files()
    logs.configure(settings.log_level, settings.log_format)
    uvloop.run(_run(settings, role, place))


async def _run(settings: Settings, role: Role, place: Place | None) -> None:
    import structlog

    from rushes.app.service import running_service
    from rushes.settings import complaints

    manager = ServiceManager()
    # Set first, so that a service that gets a signal while it starts stops in an orderly way too.
    stop_asked = asyncio.Event()
    hurried = asyncio.Event()

    def stop() -> None:
        (hurried if stop_asked.is_set() else stop_asked).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)

    log = structlog.get_logger(__name__)
    for complaint in complaints():
        log.warning("unknown_setting", detail=complaint)
    listener = None if place is None else listening(place)
    url = "" if listener is None else url_of(listener)
    probes_listener = None
    if settings.metrics_port is not None:
        probes_listener = listening(Address(settings.metrics_host, settings.metrics_port))
    try:
        async with (
            running_service(settings, role, own_url="" if url.startswith("unix:") else url) as running,
            _probes_served(running, settings, probes_listener),
        ):
            # All objects of the start stay in use, and a collection that visits them would stop everything for 70 ms.
            gc.freeze()
            await _serve(settings, role, running, listener, manager, Asked(stop_asked, hurried))
    finally:
        for one in (listener, probes_listener):
            if one is not None:
                leave(one)
                one.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """What signals have asked for: an orderly stop, and then its hurried end."""

    to_stop: asyncio.Event
    to_hurry: asyncio.Event


async def _serve(
    settings: Settings,
    role: Role,
    running: Running,
    listener: socket.socket | None,
    manager: ServiceManager,
    asked: Asked,
) -> None:
    """Answer requests and run jobs until a signal, then stop. Raises StartupError if this release is outgrown."""
    import structlog

    log = structlog.get_logger(__name__)
    server = None if listener is None else _server(running.http, running, settings)
    said = {"role": role.value, "data_dir": str(settings.data_dir)}
    stop_asked = asyncio.create_task(asked.to_stop.wait())
    serving: asyncio.Task[Any] = stop_asked
    if server is None or listener is None:
        log.info("working", **said)
    else:
        log.info("listening", url=url_of(listener), **said)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
    manager.ready()
    alive = asyncio.create_task(manager.keep_alive())
    hurrying = asyncio.create_task(_hurry(asked.to_hurry, running, server))
    outgrown = asyncio.create_task(running.until_outgrown())
    try:
        await asyncio.wait({serving, stop_asked, outgrown}, return_when=asyncio.FIRST_COMPLETED)
        if outgrown.done():
            log.error("stopping", detail=outgrown.result())
            asked.to_stop.set()
        elif asked.to_stop.is_set():
            log.info("stopping")
        manager.stopping()
        running.announce_stop()
        if server is not None and not outgrown.done():
            # Proxies see /readyz fail and send their requests elsewhere, before the listener is closed.
            server.close_connections()
            await _unless(asked.to_hurry, _lame_duck_s(settings, role))
        # Callers are answered meanwhile, and /readyz says that we stop.
        began = time.monotonic()
        await running.drain()
        if server is not None:
            left_s = settings.drain_s - (time.monotonic() - began)
            server.config.timeout_graceful_shutdown = round(min(GRACE_S, max(LEAST_GRACE_S, left_s)))
            server.should_exit = True
        await serving
    finally:
        for task in (alive, hurrying, stop_asked, outgrown):
            task.cancel()
    if outgrown.done() and not outgrown.cancelled():
        raise StartupError(f"{outgrown.result()}; upgrade rushes")


@asynccontextmanager
async def _probes_served(running: Running, settings: Settings, listener: socket.socket | None) -> AsyncIterator[None]:
    """Metrics and health checks at this socket, if there is one, until this is left."""
    if listener is None or running.probes is None:
        yield
        return
    server = _server(running.probes, running, settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        await serving


def _server(http: ASGIApp, running: Running, settings: Settings) -> HttpServer:
    from rushes.cli.http_server import HttpServer
    from rushes.shared_places import CONNECTIONS, HEADS

    return HttpServer(
        http,
        heads=running.places[HEADS],
        connections=running.places[CONNECTIONS],
        trusted_proxies=settings.trusted_proxies,
    )


def _lame_duck_s(settings: Settings, role: Role) -> float:
    if settings.lame_duck_s is not None:
        return settings.lame_duck_s
    # A process that only answers callers stands beside others, behind a proxy.
    return FRONT_LAME_DUCK_S if role.answers and not role.works else 0


async def _unless(hurried: asyncio.Event, wait_s: float) -> None:
    """Return after so many seconds, or at the second signal."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await hurried.wait()


async def _hurry(hurried: asyncio.Event, running: Running, server: HttpServer | None) -> None:
    await hurried.wait()
    running.hurry()
    if server is not None:
        server.force_exit = True
