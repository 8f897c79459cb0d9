"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data directory of the service; else RUSHES_DATA_DIR, else ./rushes-data."),
]
SERVICE_PANEL = "Service"

BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="The address of the service; else RUSHES_BASE_URL, else port 8080 of this machine.",
        rich_help_panel=SERVICE_PANEL,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="The API key. Prefer RUSHES_API_KEY: other users of this machine can read command lines.",
        rich_help_panel=SERVICE_PANEL,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
