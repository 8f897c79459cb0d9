"""The steps of a job as its trace has them. The same calls work with and without tracing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from rushes.jobs.service import pass_on


@dataclass(frozen=True, slots=True)
class Step:
    """A finished piece of work for a job. Times are nanoseconds since 1970 UTC.

    `facts` are ids and counts: no prompt, no words of a provider, no secret. `error_code` None means success.
    """

    name: str
    began_ns: int
    ended_ns: int
    facts: Mapping[str, str | int] = field(default_factory=dict)
    error_code: str | None = None


class Spans(Protocol):
    """Records steps."""

    def accepting(self, job_id: str) -> AbstractContextManager[str | None]:
        """Wrap the acceptance of a job. Yields the W3C Trace Context of its later steps, or None."""
        ...

    def record(self, traceparent: str | None, step: Step) -> None:
        """Record a step in the trace of this context. Returns at once."""
        ...

    async def close(self) -> None:
        """Send the last steps, for a few seconds at most."""
        ...


class NoSpans:
    """Tracing is off. The trace context of a caller is still passed on."""

    def accepting(self, job_id: str) -> AbstractContextManager[str | None]:
        """Yield the caller's trace context."""
        return pass_on(job_id)

    def record(self, traceparent: str | None, step: Step) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
