"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the service keeps everything; else RUSHES_DATA_DIR, else ./rushes-data."),
]
SERVICE_PANEL = "Service"

BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Where it is; else RUSHES_BASE_URL, else this machine, port 8080.",
        rich_help_panel=SERVICE_PANEL,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="The API key; better in RUSHES_API_KEY, because others on this machine can read command lines.",
        rich_help_panel=SERVICE_PANEL,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's own JSON, for scripts.")]
