"""`rushes serve`: the API, the worker and the storage in one process."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import DataDir
from rushes.errors import StartupError

if TYPE_CHECKING:
    from rushes.settings import Settings

GRACE_S = 5
"""How long answers under way may take to finish once the service was told to stop."""
BACKLOG = 2048


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    data_dir: DataDir = None,
) -> None:
    """Run the service until SIGINT or SIGTERM; unfinished jobs go on at the next start."""
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
    servers: list[uvicorn.Server] = []
    asked = asyncio.Event()

    def stop(number: int) -> None:
        asked.set()
        for server in servers:
            server.handle_exit(number, None)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)

    log = structlog.get_logger(__name__)
    for complaint in complaints():
        log.warning("unknown_setting", detail=complaint)
    listener = _listen(host, port)
    address, bound_port = listener.getsockname()[:2]
    url = f"http://{f'[{address}]' if ':' in address else address}:{bound_port}"
    async with running_service(settings, asked, own_url=url) as http:
        log.info("listening", url=url, data_dir=str(settings.data_dir))
        server = Server(
            uvicorn.Config(
                http,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                backlog=BACKLOG,
            )
        )
        servers.append(server)
        if not asked.is_set():
            await server.serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise StartupError(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; choose another with --host and --port"
        ) from exc
