"""Cursors of lists: where the next page begins. Only this module writes and reads them.

A cursor holds the place of the last entry of a page, never a reference to the entry. So it stays good after that entry
was deleted.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime

from rushes.errors import FieldError, InvalidRequest
from rushes.intake.body import invalid_fields

_CURSOR = re.compile(r"v1:([0-9]{1,18})(?::([0-9A-Za-z_]{1,64}))?")


def cursor_of(number: int, entry_id: str | None = None) -> str:
    """The cursor behind the entry at this place: its number or time, and its id where the number is not unique."""
    text = f"v1:{number}" if entry_id is None else f"v1:{number}:{entry_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def seq_of(cursor: str) -> int:
    """The number of a cursor without an id. Raises InvalidRequest."""
    number, entry_id = _read(cursor)
    if entry_id is not None:
        raise _not_ours()
    return number


def place_of(cursor: str) -> tuple[int, str]:
    """The number and the id of a cursor that has both. Raises InvalidRequest."""
    number, entry_id = _read(cursor)
    if entry_id is None:
        raise _not_ours()
    return number, entry_id


def milliseconds(moment: datetime | None) -> int | None:
    """A time in a query as the stores take it."""
    return None if moment is None else int(moment.timestamp() * 1000)


def _read(cursor: str) -> tuple[int, str | None]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    place = _CURSOR.fullmatch(text)
    if place is None:
        raise _not_ours()
    return int(place[1]), place[2]


def _not_ours() -> InvalidRequest:
    return invalid_fields([FieldError("cursor", "is not a next_cursor that this list has answered")])
