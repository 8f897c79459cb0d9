"""Times on the wire: RFC 3339, UTC, whole seconds, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(milliseconds: int) -> str:
    """Milliseconds since 1970 UTC as `2026-04-07T12:00:00Z`."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_or_none(milliseconds: int | None) -> str | None:
    """The same, for a time that may not have come."""
    return None if milliseconds is None else rfc3339(milliseconds)
