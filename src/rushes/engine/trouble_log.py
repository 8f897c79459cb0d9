"""Recording what keeps a job from going on, seldom enough that retries cost no writes."""

from __future__ import annotations

from rushes.clock import SteadyClock
from rushes.engine.job_record import JobRecord
from rushes.errors import RushesError
from rushes.net.redact import Redactor

FAILURES_TO_RECORD = 2
"""A single failure that the next try mends is not worth a write."""
AGAIN_S = 300.0
"""How often the same trouble is recorded again, so that its time stays useful."""


class TroubleLog:
    """The last trouble of one job. Secrets are removed from what is recorded."""

    def __init__(self, record: JobRecord, clock: SteadyClock, redactor: Redactor) -> None:
        self._record = record
        self._clock = clock
        self._redactor = redactor
        self._last_code: str | None = None
        self._last_ms = 0

    async def failed(self, error: RushesError, failures: int) -> None:
        """A step has failed so many times in a row, and is retried. Raises LeaseLost."""
        now_ms = self._clock.steady_ms()
        is_news = error.code != self._last_code or now_ms - self._last_ms >= AGAIN_S * 1000
        if failures >= FAILURES_TO_RECORD and is_news:
            self._last_code, self._last_ms = error.code, now_ms
            await self._record.trouble(error.code, self._redactor.scrub(error.message))
