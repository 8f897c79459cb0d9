"""Where commands write: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rushes.cli.wording import printable

if TYPE_CHECKING:
    from rushes.client import ClientError

WIDE_COLUMNS = 100
"""From this width on, tables show what is nice to know."""
_UNLIMITED_COLUMNS = 10_000

STYLE_OF_STATUS = {"pending": "yellow", "in_progress": "cyan", "completed": "green", "failed": "red"}


def output() -> Console:
    """Standard output: as wide as the terminal; into a pipe or file nothing is shortened."""
    return Console(width=None if sys.stdout.isatty() else _UNLIMITED_COLUMNS, highlight=False)


def notes() -> Console:
    """Standard error, for progress, hints and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def note(text: str, style: str = "") -> None:
    """One remark beside the result."""
    notes().print(Text(printable(text), style))


def print_json(content: object) -> None:
    """The service's JSON, unchanged in content."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def print_error(error: ClientError) -> None:
    """What went wrong, and below it what may help."""
    said(error.detail, _helps(error))


def said(detail: str, helps: Iterable[str] = ()) -> None:
    """One error: a line that says it, and one with all that may help."""
    console = notes()
    console.print(Text.assemble(("rushes: ", "bold red"), printable(detail)))
    below = " · ".join(printable(one) for one in helps)
    if below:
        console.print(Text(f"        {below}", "dim"))


def plain_table(*columns: str) -> Table:
    """A table without lines, one row a line."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    return table


def status_text(status: str, progress: int) -> Text:
    """The status in words and colour, with how far it is."""
    words = status.replace("_", " ")
    return Text(f"{words} {progress}%" if status == "in_progress" else words, STYLE_OF_STATUS.get(status, ""))


def _helps(error: ClientError) -> Iterable[str]:
    from rushes.client import LimitReached, NotAllowed, Refused, Unreachable

    if isinstance(error, Unreachable):
        yield "is `rushes serve` running there? RUSHES_BASE_URL or --base-url says where to look"
    if isinstance(error, NotAllowed) and error.status == 401:
        yield "set RUSHES_API_KEY to a key that `rushes keys create` made"
    if isinstance(error, Refused):
        new = [one for one in error.suggestions if one not in error.detail]
        if new:
            yield f"did you mean {' or '.join(new)}?"
    if isinstance(error, LimitReached) and error.retry_after_s is not None:
        yield f"try again in {error.retry_after_s:g} s"
    if error.request_id is not None:
        yield f"request {error.request_id}"
