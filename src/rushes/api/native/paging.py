"""Pages of lists that are ordered by time of creation and id: what a client sends to get the next one."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar

from fastapi import Query

from rushes.errors import FieldError
from rushes.intake.body import invalid_fields

PARAMETERS = ("limit", "cursor")

PageLimit = Annotated[int, Query(ge=1, le=1000, description="Most entries to answer.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]

_PLACE = re.compile(r"v1:([0-9]{1,18}):([0-9a-z_]{1,40})")


class Listed(Protocol):
    """An entry of such a list."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> int: ...


Entry = TypeVar("Entry", bound=Listed)


def place_of(cursor: str | None) -> tuple[int, str]:
    """Behind which time of creation and id a page begins. Raises InvalidRequest."""
    if cursor is None:
        return 0, ""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    place = _PLACE.fullmatch(text)
    if place is None:
        raise invalid_fields([FieldError("cursor", "is not a next_cursor that a list has answered")])
    return int(place[1]), place[2]


def paged(entries: Sequence[Entry], limit: int) -> tuple[Sequence[Entry], str | None]:
    """A page of `limit` entries out of up to one more that were found, and the cursor of the next page."""
    page = entries[:limit]
    if len(entries) <= limit:
        return page, None
    text = f"v1:{page[-1].created_at}:{page[-1].id}"
    return page, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
