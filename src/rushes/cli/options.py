"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the service keeps everything; else RUSHES_DATA_DIR, else ./rushes-data."),
]
