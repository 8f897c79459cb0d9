"""`rushes serve` and `rushes worker`: the service in one process, or fronts and workers in separate processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rushes.cli.options import DataDir

Uds = Annotated[
    Path | None,
    typer.Option(
        "--uds",
        metavar="PATH",
        help="Unix socket to listen on instead of an address; its owner and group may connect (mode 0660).",
    ),
]


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; `::` is every address, of IPv4 and IPv6.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    uds: Uds = None,
    worker: Annotated[
        bool,
        typer.Option(
            "--worker/--no-worker",
            help="Whether it also runs jobs; without, `rushes worker` does (Postgres only).",
        ),
    ] = True,
    data_dir: DataDir = None,
) -> None:
    """Run the service until SIGINT or SIGTERM; a second signal ends it faster. Unfinished jobs continue later."""
    from rushes.app.role import Role
    from rushes.cli.listening import Address, UnixSocket
    from rushes.cli.process import run
    from rushes.settings import load_settings

    place = Address(host, port) if uds is None else UnixSocket(uds)
    run(load_settings(data_dir=data_dir), Role.ALL if worker else Role.API, place)


def work(
    host: Annotated[str, typer.Option(help="Address that --port is on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port for /healthz, /readyz and /metrics; without it, no port is opened."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run jobs for `rushes serve --no-worker`, on the same Postgres, until SIGINT or SIGTERM.

    It also delivers webhooks and removes expired files. A second signal ends it faster.
    """
    from rushes.app.role import Role
    from rushes.cli.listening import Address
    from rushes.cli.process import run
    from rushes.settings import load_settings

    run(load_settings(data_dir=data_dir), Role.WORKER, None if port is None else Address(host, port))
