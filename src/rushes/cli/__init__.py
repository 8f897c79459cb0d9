"""The command line: one file per group of commands. Only this folder and `app` read the settings."""

from __future__ import annotations

import io
import sys

from rushes.errors import RushesError


def main() -> None:
    """The `rushes` command. An error raised on purpose is one line on standard error and exit code 1."""
    _replace_what_streams_cannot_write()
    from rushes.cli.commands import app

    try:
        app()
    except RushesError as error:
        print(f"rushes: {error.message}", file=sys.stderr)
        sys.exit(1)


def _replace_what_streams_cannot_write() -> None:
    """Write a question mark for a character that a stream's encoding lacks (cp1252, ascii), instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace", line_buffering=True)
