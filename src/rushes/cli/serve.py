"""`rushes serve`: the API, the worker and the storage in one process."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import DataDir
from rushes.errors import StartupError

if TYPE_CHECKING:
    import uvicorn

    from rushes.app.service import Running
    from rushes.settings import Settings

GRACE_S = 5
LEAST_GRACE_S = 1
"""How long answers under way to callers may take to finish once the jobs are put down: what is left of the time to
drain, within these bounds."""
BACKLOG = 2048


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    data_dir: DataDir = None,
) -> None:
    """Run the service until SIGINT or SIGTERM, a second of which ends it faster; unfinished jobs go on at its start."""
    import uvloop

    from rushes import logs
    from rushes.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    logs.configure(settings.log_level, settings.log_format)
    uvloop.run(_serve(settings, host, port))


async def _serve(settings: Settings, host: str, port: int) -> None:
    import structlog
    import uvicorn

    from rushes.app.service import running_service
    from rushes.settings import complaints

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own ends by raising the signal again, which would end the process before the jobs are put down.
            yield

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
    listener = _listen(host, port)
    address, bound_port = listener.getsockname()[:2]
    url = f"http://{f'[{address}]' if ':' in address else address}:{bound_port}"
    async with running_service(settings, own_url=url) as running:
        log.info("listening", url=url, data_dir=str(settings.data_dir))
        server = Server(
            uvicorn.Config(
                running.http,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=BACKLOG,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        hurrying = asyncio.create_task(_hurry(impatient, running, server))
        stop_asked = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait({serving, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
            if asked.is_set():
                log.info("stopping")
            # Callers are answered meanwhile, and /readyz says that we stop.
            began = time.monotonic()
            await running.drain()
            left_s = settings.drain_s - (time.monotonic() - began)
            server.config.timeout_graceful_shutdown = round(min(GRACE_S, max(LEAST_GRACE_S, left_s)))
            server.should_exit = True
            await serving
        finally:
            hurrying.cancel()
            stop_asked.cancel()


async def _hurry(impatient: asyncio.Event, running: Running, server: uvicorn.Server) -> None:
    await impatient.wait()
    running.hurry()
    server.force_exit = True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise StartupError(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; choose another with --host and --port"
        ) from exc
