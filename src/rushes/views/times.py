"""Times on the wire: RFC 3339, UTC, whole seconds, `Z`; days in seconds, as other services have them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache


def rfc3339(milliseconds: int) -> str:
    """Milliseconds since 1970 UTC as `2026-04-07T12:00:00Z`."""
    return _second(milliseconds // 1000)


def rfc3339_or_none(milliseconds: int | None) -> str | None:
    """The same, for a time that may not have come."""
    return None if milliseconds is None else rfc3339(milliseconds)


def day_s(day: date | None) -> int:
    """The beginning of the day in seconds since 1970 UTC; 0 for a day that is not known."""
    return 0 if day is None else int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


# A job is read again and again while it is waited for.
@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
