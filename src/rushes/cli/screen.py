"""Output of commands: results go to standard output, everything else to standard error."""

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
"""From this width on, tables show more columns."""
_UNLIMITED_COLUMNS = 10_000

STYLE_OF_STATUS = {"pending": "yellow", "in_progress": "cyan", "completed": "green", "failed": "red"}


def output() -> Console:
    """Standard output: as wide as the terminal. In a pipe or a file, lines are not shortened."""
    return Console(width=None if sys.stdout.isatty() else _UNLIMITED_COLUMNS, highlight=False)


def notes() -> Console:
    """Standard error, for progress, hints and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def note(text: str, style: str = "") -> None:
    """Print one remark on standard error."""
    notes().print(Text(printable(text), style))


def print_json(content: object) -> None:
    """The JSON of the service, unchanged in content: escaped where standard output is not UTF-8."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "").replace("_", "") == "utf8"
    sys.stdout.write(json.dumps(content, ensure_ascii=not is_utf8, indent=2) + "\n")


def print_error(error: ClientError) -> None:
    """Print an error, and below it hints."""
    print_failure(error.detail, _helps(error))


def print_failure(detail: str, helps: Iterable[str] = ()) -> None:
    """Print one error: a line with its text, and a line with hints."""
    console = notes()
    console.print(Text.assemble(("rushes: ", "bold red"), printable(detail)))
    below = " · ".join(printable(one) for one in helps)
    if below:
        console.print(Text(f"        {below}", "dim"))


def plain_table(*columns: str) -> Table:
    """A table without borders."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    return table


def status_text(status: str, progress: int) -> Text:
    """The status in words and colour, with the progress."""
    words = status.replace("_", " ")
    return Text(f"{words} {progress}%" if status == "in_progress" else words, STYLE_OF_STATUS.get(status, ""))


def _helps(error: ClientError) -> Iterable[str]:
    from rushes.client import LimitReached, NotAllowed, Refused, Unreachable

    if isinstance(error, Unreachable):
        yield "is `rushes serve` running there? RUSHES_BASE_URL or --base-url give its address"
    if isinstance(error, NotAllowed) and error.status == 401:
        yield "set RUSHES_API_KEY to a key of `rushes keys create`"
    if isinstance(error, Refused):
        new = [one for one in error.suggestions if one not in error.detail]
        if new:
            yield f"did you mean {' or '.join(new)}?"
    if isinstance(error, LimitReached) and error.retry_after_s is not None:
        yield f"try again in {error.retry_after_s:g} s"
    if error.request_id is not None:
        yield f"request {error.request_id}"
