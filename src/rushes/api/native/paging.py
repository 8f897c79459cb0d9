"""Pages of lists in the order of creation: their parameters and their cursors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar

from fastapi import Query

from rushes.accounts.keys import Mode
from rushes.api.cursors import cursor_of, place_of

PARAMETERS = ("limit", "cursor")

PageLimit = Annotated[int, Query(ge=1, le=1000, description="Most entries to answer.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
ModeFilter = Annotated[Mode | None, Query(description="Only of keys of this mode.")]


class Listed(Protocol):
    """An entry of such a list."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> int: ...


Entry = TypeVar("Entry", bound=Listed)


def place_after(cursor: str | None) -> tuple[int, str]:
    """The time of creation and the id behind which a page begins. Raises InvalidRequest."""
    return (0, "") if cursor is None else place_of(cursor)


def paged(entries: Sequence[Entry], limit: int) -> tuple[Sequence[Entry], str | None]:
    """A page of `limit` entries out of up to one more that were found, and the cursor of the next page."""
    page = entries[:limit]
    if len(entries) <= limit:
        return page, None
    return page, cursor_of(page[-1].created_at, page[-1].id)
