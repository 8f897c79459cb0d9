"""The request that a task answers: set once when it arrives, so that log lines and stored rows can name it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
"""W3C Trace Context, level 1: version, trace, parent span, flags; only later versions may say more."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A request: its id and its headers."""

    request_id: str
    headers: Sequence[tuple[bytes, bytes]] = ()

    @property
    def traceparent(self) -> str | None:
        """The caller's trace context, if it is valid. The specification says to ignore an invalid one."""
        found = [value for name, value in self.headers if name == b"traceparent"]
        return valid_traceparent(found[0].decode("latin-1")) if len(found) == 1 else None


def valid_traceparent(text: str) -> str | None:
    """The trace context in the form that is passed on, or None if the text is not a trace context."""
    found = TRACEPARENT.fullmatch(text)
    if found is None or (found[1] == "00" and found[2] is not None):
        return None
    return text if found[1] == "00" else f"00-{text[3:55]}"


current: ContextVar[Origin | None] = ContextVar("origin", default=None)
"""The request that this task answers; None for background work."""
