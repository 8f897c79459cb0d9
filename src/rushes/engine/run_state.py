"""What the steps of one job share while it runs: how far each call is, whether the job is aborted, the time it has.

A deadline is a time by the database's clock, compared once, when the job is claimed. From then on the worker counts by
its steady clock. So neither a worker's wall clock that is wrong, nor one that is put forward, ends jobs that are paid
for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from rushes.domain.job import State
from rushes.engine.backoff import backoff_s
from rushes.engine.job_record import Claim
from rushes.engine.job_resources import JobResources
from rushes.errors import JobExpired, OutputLost

FIRST_ANSWER_S = 60.0
"""How long beyond its deadline a job that was taken over waits for its provider's first answer."""


class RunState:
    """The state of one run. A part is one call to the provider; `parts` says how many videos each asks for."""

    def __init__(self, claim: Claim, resources: JobResources, parts: Sequence[int]) -> None:
        self._job = claim.job
        self._resources = resources
        self._resting: set[asyncio.Timeout] = set()
        self._claimed_at_steady_ms = claim.steady_ms
        self._claimed_at_ms = claim.now_ms
        self.parts = tuple(parts)
        self.attempt_ids = {attempt.part: attempt.id for attempt in claim.attempts}
        self.is_recovering = claim.job.state is State.RECOVERING
        self.is_storing = self.is_recovering or claim.job.state is State.STORING
        self.is_aborted = claim.job.abort_requested
        self.may_be_charged = False
        self._any_generated = self.is_storing
        self._generating: set[int] = set() if self.is_storing else set(range(len(self.parts)))
        # A generation that another worker has submitted: its provider answers once before the deadline counts.
        self._unanswered = {attempt.part for attempt in claim.attempts if attempt.handle is not None}

    # --- how far the calls are

    def is_generating(self, part: int) -> bool:
        """Whether the provider has not finished this part: such a part ends at the deadline."""
        return part in self._generating

    def answered(self, part: int) -> None:
        """The provider has answered a poll for this part."""
        self._unanswered.discard(part)

    def part_ended(self, part: int, *, has_video: bool) -> bool:
        """The provider has finished this part, or it has failed. Returns whether the job begins to store now.

        It does when the last part has ended and any has a video.
        """
        self._generating.discard(part)
        self._any_generated = self._any_generated or has_video
        if not self._any_generated or self._generating or self.is_storing:
            return False
        self.is_storing = True
        return True

    def charged(self) -> None:
        """A part has ended in a way that its provider may charge for."""
        self.may_be_charged = True

    def abort(self) -> None:
        """An operator wants the job to end: every rest under way is over."""
        if self.is_aborted:
            return
        self.is_aborted = True
        for rest in self._resting:
            rest.reschedule(asyncio.get_running_loop().time())

    # --- time

    def now_ms(self) -> int:
        """The database's time: when the job was claimed, and what has passed since."""
        return self._claimed_at_ms + self._resources.clock.steady_ms() - self._claimed_at_steady_ms

    @property
    def is_past_deadline(self) -> bool:
        """Whether the job's time is over."""
        return self.now_ms() >= self._job.deadline_at

    def check_time(self, part: int) -> None:
        """Fail a part unfinished at the deadline, or one finished but still not stored long after it.

        Raises JobExpired or OutputLost.
        """
        late_s = (self.now_ms() - self._job.deadline_at) / 1000
        if self.is_generating(part):
            waits = part in self._unanswered and self.now_ms() - self._claimed_at_ms < FIRST_ANSWER_S * 1000
            if late_s >= 0 and not waits:
                limit_s = (self._job.deadline_at - self._job.created_at) // 1000
                raise JobExpired(f"The job was not done within its limit of {limit_s} s; it may still be charged")
        elif late_s >= self._resources.model.output_lifetime_s:
            raise OutputLost("The video was finished at the provider, but could not be stored; it may be charged")

    async def pause(self, part: int, failures: int, asked_s: float | None) -> None:
        """Wait before a call of this part is repeated."""
        await self.rest(self.retry_delay_s(failures, asked_s), until_deadline=self.is_generating(part))

    def retry_delay_s(self, failures: int, asked_s: float | None) -> float:
        """Seconds to wait after so many failures in a row."""
        if self._resources.poll_interval_s is not None:
            return self._resources.poll_interval_s
        return backoff_s(failures=failures, asked_s=asked_s, chance=random.random())

    async def rest(self, delay_s: float, *, until_deadline: bool) -> None:
        """Sleep, but not beyond the deadline where that ends the wait: the job should say `expired` on time.

        An abort ends a rest that is under way.
        """
        left_s = (self._job.deadline_at - self.now_ms()) / 1000
        delay_s = min(delay_s, left_s) if until_deadline and left_s > 0 else delay_s
        if self.is_aborted:
            await self._resources.clock.sleep(delay_s)
            return
        # Not a task for the sleep and one for the abort: thousands of jobs rest at the same time.
        try:
            async with asyncio.timeout(None) as rest:
                self._resting.add(rest)
                try:
                    await self._resources.clock.sleep(delay_s)
                finally:
                    self._resting.discard(rest)
        except TimeoutError:
            return
