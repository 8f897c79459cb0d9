"""Which request is being answered: told once at the door, so that what is stored and logged for it can say so."""

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
    """The request that something is done for."""

    request_id: str
    headers: Sequence[tuple[bytes, bytes]] = ()

    @property
    def traceparent(self) -> str | None:
        """The caller's trace, if it sent one that can be read; the specification has others ignored."""
        found = [value for name, value in self.headers if name == b"traceparent"]
        return valid_traceparent(found[0].decode("latin-1")) if len(found) == 1 else None


def valid_traceparent(text: str) -> str | None:
    """The trace context as it is handed on, or None if this is none."""
    found = TRACEPARENT.fullmatch(text)
    if found is None or (found[1] == "00" and found[2] is not None):
        return None
    return text if found[1] == "00" else f"00-{text[3:55]}"


current: ContextVar[Origin | None] = ContextVar("origin", default=None)
"""The request that this task answers; None for what we do of ourselves."""
