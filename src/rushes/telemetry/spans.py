"""The steps of a job as its trace has them, whether anybody wants traces or not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from rushes.jobs.service import pass_on


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done for a job, once it is over. Times are nanoseconds since 1970 UTC.

    `facts` hold ids and counts: no prompt, no words of a provider, no secret. `error_code` None: it went well.
    """

    name: str
    began_ns: int
    ended_ns: int
    facts: Mapping[str, str | int] = field(default_factory=dict)
    error_code: str | None = None


class Spans(Protocol):
    """Where steps are told."""

    def accepting(self, job_id: str) -> AbstractContextManager[str | None]:
        """Around the acceptance of a job: what its later steps belong to, as W3C Trace Context."""
        ...

    def tell(self, traceparent: str | None, step: Step) -> None:
        """A step of the job that belongs there is over. Returns at once."""
        ...

    async def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        ...


class NoSpans:
    """Nobody wants traces. A caller's own trace is handed on all the same."""

    def accepting(self, job_id: str) -> AbstractContextManager[str | None]:
        """The caller's trace."""
        return pass_on(job_id)

    def tell(self, traceparent: str | None, step: Step) -> None:
        """Nothing happens."""

    async def close(self) -> None:
        """Nothing is left."""
