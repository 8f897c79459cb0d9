"""A process of the service from its start to its end: it listens if it is told to, and stops in good order."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
"""How long answers under way to callers may take to finish once the jobs are put down: what is left of the time to
drain, within these bounds."""
BACKLOG = 2048
KEEP_ALIVE_S = 150
"""How long an idle connection stays open: longer than proxies keep theirs (nginx 60 s, Caddy 2 min). They would else
send requests into connections that we are just closing, and a create is not sent again."""
YOUNG_OBJECTS = 10_000
"""How many objects are made between two collections. Modules and jobs in flight keep nearly all of theirs: with
Python's 700, a tenth of a start and of a busy worker's time went into walking over what is still in use."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


def run(settings: Settings, role: Role, address: Address | None) -> None:
    """Be this part of the service until SIGINT or SIGTERM, listening at `address` if there is one.

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

    # From the first moment on: a service that is told to stop while it starts stops in good order too.
    asked = asyncio.Event()
    impatient = asyncio.Event()

    def stop() -> None:
        (impatient if asked.is_set() else asked).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)

    log = structlog.get_logger(__name__)
    for complaint in complaints():
        log.warning("unknown_setting", detail=complaint)
    listener = None if address is None else listening(address)
    url = "" if listener is None else _url_of(listener)
    async with running_service(settings, role, own_url=url) as running:
        # What was imported and wired by now stays: a collection that walks over it would stop all else for 70 ms.
        gc.freeze()
        server = None if listener is None else _server(running.http)
        said = {"role": role.value, "data_dir": str(settings.data_dir)}
        stop_asked = asyncio.create_task(asked.wait())
        serving: asyncio.Task[Any] = stop_asked
        if server is None or listener is None:
            log.info("working", **said)
        else:
            log.info("listening", url=url, **said)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
        hurrying = asyncio.create_task(_hurry(impatient, running, server))
        outgrown = asyncio.create_task(running.until_outgrown())
        try:
            await asyncio.wait({serving, stop_asked, outgrown}, return_when=asyncio.FIRST_COMPLETED)
            if outgrown.done():
                log.error("stopping", detail=outgrown.result())
                asked.set()
            elif asked.is_set():
                log.info("stopping")
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


def _server(http: ASGIApp) -> uvicorn.Server:
    import uvicorn

    from rushes.api.http.server_protocol import ServerProtocol

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own ends by raising the signal again, which would end the process before the jobs are put down.
            yield

    return Server(
        uvicorn.Config(
            http,
            http=ServerProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )


async def _hurry(impatient: asyncio.Event, running: Running, server: uvicorn.Server | None) -> None:
    await impatient.wait()
    running.hurry()
    if server is not None:
        server.force_exit = True


def listening(address: Address) -> socket.socket:
    """A socket that takes connections there. Raises StartupError."""
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
