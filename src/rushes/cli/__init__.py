"""The command line: one file per group of commands. Only this folder and `app` read the settings."""

from __future__ import annotations

import sys

from rushes.errors import RushesError


def main() -> None:
    """The `rushes` command. An error raised on purpose is one line on standard error and exit code 1."""
    from rushes.cli.commands import app

    try:
        app()
    except RushesError as error:
        print(f"rushes: {error.message}", file=sys.stderr)
        sys.exit(1)
