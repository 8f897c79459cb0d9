"""What an examination finds of one part of an installation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How one part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part. `advice` says what to do, for everything that is not ok."""

    part: str
    state: State
    message: str
    advice: str | None = None
