"""One process of the service from its start to its orderly stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rushes.errors import StartupError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from rushes.app.role import Role
    from rushes.app.service import Running
    from rushes.settings import Settings

GRACE_S = 5
LEAST_GRACE_S = 1
"""How long answers to callers may take once the jobs are given back: the rest of the time to drain, within these
bounds."""
BACKLOG = 2048
KEEP_ALIVE_S = 150
"""How long an idle connection stays open: longer than proxies keep theirs (nginx 60 s, Caddy 2 min). Otherwise a proxy
can send a request into a connection that is closing, and it does not send a create again."""
YOUNG_OBJECTS = 10_000
"""How many objects are created between two garbage collections. Nearly all objects of modules and running jobs stay in
use, so with Python's default of 700 a tenth of the time at start, and of a busy worker, went into collections."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address to listen on; port 0 takes a free port."""

    host: str
    port: int


def run(settings: Settings, role: Role, address: Address | None) -> None:
    """Run this part of the service until SIGINT or SIGTERM, and listen at `address` if it is given.

    Raises StartupError.
    """
    gc.set_threshold(YOUNG_OBJECTS)

    import uvloop

    from rushes import logs
    from rushes.cli.open_files import allow_many_open_files

    allow_many_open_files()
    logs.configure(settings.log_level, settings.log_format)
    uvloop.run(_run(settings, role, address))


async def _run(settings: Settings, role: Role, address: Address | None) -> None:
    import structlog

    from rushes.app.service import running_service
    from rushes.settings import complaints

    # Set first, so that a service that gets a signal while it starts stops in an orderly way too.
    asked = asyncio.Event()
    hurried = asyncio.Event()

    def stop() -> None:
        (hurried if asked.is_set() else asked).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)

    log = structlog.get_logger(__name__)
    for complaint in complaints():
        log.warning("unknown_setting", detail=complaint)
    listener = None if address is None else listening(address)
    url = "" if listener is None else _url_of(listener)
    probes_listener = None
    if settings.metrics_port is not None:
        probes_listener = listening(Address(settings.metrics_host, settings.metrics_port))
    async with (
        running_service(settings, role, own_url=url) as running,
        _probes_served(running, settings, probes_listener),
    ):
        # All objects of the start stay in use, and a collection that visits them would stop everything for 70 ms.
        gc.freeze()
        server = None if listener is None else _server(running.http, running, settings)
        said = {"role": role.value, "data_dir": str(settings.data_dir)}
        stop_asked = asyncio.create_task(asked.wait())
        serving: asyncio.Task[Any] = stop_asked
        if server is None or listener is None:
            log.info("working", **said)
        else:
            log.info("listening", url=url, **said)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
        hurrying = asyncio.create_task(_hurry(hurried, running, server))
        outgrown = asyncio.create_task(running.until_outgrown())
        try:
            await asyncio.wait({serving, stop_asked, outgrown}, return_when=asyncio.FIRST_COMPLETED)
            if outgrown.done():
                log.error("stopping", detail=outgrown.result())
                asked.set()
            elif asked.is_set():
                log.info("stopping")
            running.announce_stop()
            if server is not None and not outgrown.done():
                # Proxies see /readyz fail and send their requests elsewhere, before the port is closed.
                await _unless(hurried, settings.lame_duck_s)
            # Callers are answered meanwhile, and /readyz says that we stop.
            began = time.monotonic()
            await running.drain()
            if server is not None:
                left_s = settings.drain_s - (time.monotonic() - began)
                server.config.timeout_graceful_shutdown = round(min(GRACE_S, max(LEAST_GRACE_S, left_s)))
                server.should_exit = True
            await serving
        finally:
            for task in (hurrying, stop_asked, outgrown):
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


def _server(http: ASGIApp, running: Running, settings: Settings) -> uvicorn.Server:
    import uvicorn

    from rushes.api.http.server_protocol import ServerProtocol
    from rushes.shared_places import HEADS

    class Protocol(ServerProtocol):
        heads = running.places[HEADS]

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own raises the signal again at its end, which would end the process too early.
            yield

    return Server(
        uvicorn.Config(
            http,
            http=Protocol,
            forwarded_allow_ips=list(settings.trusted_proxies),
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )


async def _unless(hurried: asyncio.Event, wait_s: float) -> None:
    """Return after so many seconds, or at the second signal."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await hurried.wait()


async def _hurry(hurried: asyncio.Event, running: Running, server: uvicorn.Server | None) -> None:
    await hurried.wait()
    running.hurry()
    if server is not None:
        server.force_exit = True


def listening(address: Address) -> socket.socket:
    """A socket that accepts connections at the address. Raises StartupError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise StartupError(
            f"cannot listen on {address.host}:{address.port}: {exc.strerror or exc}; "
            "choose another with --host and --port"
        ) from exc


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
