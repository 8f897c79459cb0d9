"""Cursors of lists: where the next page begins, as text that only we read."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from rushes.errors import FieldError
from rushes.intake.body import invalid_fields


def cursor_of(seq: int) -> str:
    """The cursor behind the item with this number."""
    return base64.urlsafe_b64encode(f"v1:{seq}".encode()).decode().rstrip("=")


def seq_of(cursor: str) -> int:
    """The number that a cursor holds. Raises InvalidRequest for text that is none."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        version, _, seq = text.partition(":")
        if version == "v1" and seq.isdecimal() and len(seq) <= 18:
            return int(seq)
    except (binascii.Error, ValueError):
        pass
    raise invalid_fields([FieldError("cursor", "is not a next_cursor that a list has answered")])


def milliseconds(moment: datetime | None) -> int | None:
    """A time in a query as the stores take it."""
    return None if moment is None else int(moment.timestamp() * 1000)
