"""Tables that are not fitted to the terminal: what is cut short could not be copied, and scripts read them too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings, each column as wide as its widest cell."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
