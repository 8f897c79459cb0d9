"""How long one job is worth waiting for, and how its calls and writes are repeated meanwhile.

A deadline is a time on the wall, read once, when a worker takes the job up. From then on the worker counts by a clock
that nobody sets, so that a wall clock put forward by hours does not end jobs that are paid for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from rushes.domain.job import Job
from rushes.engine.backoff import backoff_s
from rushes.engine.job_resources import Tools
from rushes.errors import DatabaseUnavailable, JobExpired, OutputLost, Overloaded

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Patience:
    """With one job. `generating` has the parts that its provider has not finished: those end at the deadline."""

    def __init__(self, job: Job, tools: Tools, generating: set[int]) -> None:
        self._job = job
        self._tools = tools
        self.generating = generating
        self.aborted = job.abort_requested
        """Whether an operator wants the job to end."""
        self._resting: set[asyncio.Timeout] = set()
        self._began_ms = tools.clock.steady_ms()
        self._left_ms = job.deadline_at - tools.clock.now_ms()

    def abort(self) -> None:
        """An operator wants the job to end: every rest under way is over."""
        if self.aborted:
            return
        self.aborted = True
        for rest in self._resting:
            rest.reschedule(asyncio.get_running_loop().time())

    def past_deadline(self) -> bool:
        """Whether the job has had its time."""
        return self._until_deadline_ms() <= 0

    def _until_deadline_ms(self) -> int:
        return self._left_ms - (self._tools.clock.steady_ms() - self._began_ms)

    def check_time(self, part: int) -> None:
        """Give up what is not finished by the deadline, and what is finished but cannot be stored long after it."""
        if part in self.generating:
            if self.past_deadline():
                limit_s = (self._job.deadline_at - self._job.created_at) // 1000
                raise JobExpired(f"The job was not done within its limit of {limit_s} s; it may still be charged")
        elif self._until_deadline_ms() <= -self._tools.model.output_lifetime_s * 1000:
            raise OutputLost("The video was finished at the provider, but could not be stored; it may be charged")

    async def pause(self, part: int, failures: int, asked_s: float | None) -> None:
        """Wait before a call of this part is repeated."""
        await self.rest(self.back_off_s(failures, asked_s), until_deadline=part in self.generating)

    def back_off_s(self, failures: int, asked_s: float | None) -> float:
        """Seconds to wait after so many failures in a row."""
        if self._tools.poll_interval_s is not None:
            return self._tools.poll_interval_s
        return backoff_s(failures=failures, asked_s=asked_s, chance=random.random())

    async def rest(self, delay_s: float, *, until_deadline: bool) -> None:
        """Sleep, but not beyond the deadline where that ends the wait: the job should say `expired` on time.

        A rest under way when the job is to be aborted ends then.
        """
        left_s = self._until_deadline_ms() / 1000
        delay_s = min(delay_s, left_s) if until_deadline and left_s > 0 else delay_s
        if self.aborted:
            await self._tools.clock.sleep(delay_s)
            return
        # Not a task for the sleep and one for the abort: thousands of jobs rest at the same time.
        try:
            async with asyncio.timeout(None) as rest:
                self._resting.add(rest)
                try:
                    await self._tools.clock.sleep(delay_s)
                finally:
                    self._resting.discard(rest)
        except TimeoutError:
            return

    async def insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeat a write until the database takes it: what it records has already happened."""
        failures = 0
        while True:
            try:
                return await write()
            except (DatabaseUnavailable, Overloaded) as error:
                failures += 1
                log.warning("write_will_be_repeated", error_code=error.code, failures=failures)
                await self._tools.clock.sleep(backoff_s(failures=failures, asked_s=None, chance=random.random()))
