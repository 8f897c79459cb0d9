"""Tables that are not fitted to the terminal, so that ids stay whole and scripts can read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rushes.cli.wording import printable


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings, each column as wide as its widest cell.

    Control characters in cells become spaces, because names come from callers.
    """
    lines = [headings, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
