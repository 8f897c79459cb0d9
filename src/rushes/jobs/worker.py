"""The worker: claims jobs, carries each out in a task of its own, and shows that it is alive."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from rushes.clock import Clock
from rushes.errors import CallerError, LeaseLost, RushesError
from rushes.jobs.carrying import Carrying
from rushes.jobs.job import Job, Problem, State
from rushes.jobs.leases import Claimed, LeaseStore
from rushes.jobs.tools import Tools

log = structlog.get_logger(__name__)

BATCH = 64
MOST_EXPIRED = 500
IDLE_POLL_S = 5.0
"""How long a new job can go unnoticed if its wake-up is lost."""
STORING_PATIENCE_S = 48 * 3600.0
"""How long beyond its deadline a job with finished videos is taken up again; no provider keeps them longer."""
SETBACK_S = 5.0
"""How long a job rests that failed in a way we did not foresee, before it is claimed again."""
SHORTEST_WAIT_S = 0.02
"""So that a database whose clock is behind ours is not asked without pause."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much one worker takes on, and for how long its lease holds without a sign of life."""

    most_in_flight: int = 2000
    lease_s: float = 15.0


ToolsFor = Callable[[Job], Awaitable[Tools]]
"""What a job needs to be carried out. Raises a RushesError if the job cannot be served any more."""


class Worker:
    """Carries jobs out until it is told to stop; what is unfinished then is left resumable."""

    def __init__(self, leases: LeaseStore, tools_for: ToolsFor, clock: Clock, limits: WorkerLimits) -> None:
        self._leases = leases
        self._tools_for = tools_for
        self._clock = clock
        self._limits = limits
        self._wake = asyncio.Event()
        self._asleep_until_ms = 0.0
        self._jobs: set[asyncio.Task[None]] = set()
        self._alone = False
        self._last_beat_ms = 0
        self._leases_ran_out = False
        self._loops: list[asyncio.Task[None]] = []

    async def start(self, *, alone: bool) -> None:
        """Begin to work. `alone` says that no other worker can be running, so that every lease is free to take."""
        self._alone = alone
        await self._beat()
        await self._leases.release_dead(all_workers=alone)
        await self._beat()
        self._loops = [asyncio.create_task(self._claim_forever()), asyncio.create_task(self._beat_forever())]

    def wake(self, after_s: float = 0) -> None:
        """A job may be waiting, from `after_s` on: look then, or before."""
        if after_s <= 0 or self._clock.now_ms() + after_s * 1000 < self._asleep_until_ms:
            self._wake.set()

    @property
    def in_flight(self) -> int:
        """How many jobs are being carried out."""
        return len(self._jobs)

    async def stop(self) -> None:
        """Stop, at once but for answers to submits under way, which get some seconds; then give all leases back.

        Every job goes on where its last recorded step ended.
        """
        tasks = [*self._loops, *self._jobs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RushesError):
            await self._leases.leave()

    async def _claim_forever(self) -> None:
        while True:
            self._wake.clear()
            try:
                room = 0 if self._leases_ran_out else min(BATCH, self._limits.most_in_flight - len(self._jobs))
                claimed = await self._leases.claim(room) if room > 0 else []
                for one in claimed:
                    self._begin(one)
                if len(claimed) < room or room <= 0:
                    await self._wait_for_work()
            except RushesError as error:
                log.warning("claim_failed", error_code=error.code)
                await self._clock.sleep(1)
            except Exception:
                log.exception("claim_failed")
                await self._clock.sleep(SETBACK_S)

    def _begin(self, claimed: Claimed) -> None:
        task = asyncio.create_task(self._carry_out(claimed))
        self._jobs.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        self.wake()

    async def _wait_for_work(self) -> None:
        wait_s = IDLE_POLL_S
        # Until we know for how long we sleep, every call to wake counts.
        self._asleep_until_ms = math.inf
        if len(self._jobs) < self._limits.most_in_flight:
            next_at = await self._leases.next_available_at()
            if next_at is not None:
                wait_s = min(wait_s, max(SHORTEST_WAIT_S, (next_at - self._clock.now_ms()) / 1000))
        self._asleep_until_ms = self._clock.now_ms() + wait_s * 1000
        ends = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(wait_s))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def _carry_out(self, claimed: Claimed) -> None:
        job_log = log.bind(job_id=claimed.job.id)
        hopeless = self._is_hopeless(claimed.job)
        try:
            await Carrying(claimed, await self._tools_for(claimed.job)).to_its_end()
        except LeaseLost:
            job_log.warning("lease_lost")
        except CallerError as error:
            job_log.warning("job_cannot_be_served", error_code=error.code)
            # What a provider may already have accepted is worth waiting for: a setting may come back.
            worth_waiting = claimed.attempts and not hopeless
            await self._set_back(claimed, None if worth_waiting else Problem(error.code, error.message))
        except Exception:  # noqa: BLE001 - logged, and the job goes on later
            job_log.exception("job_set_back")
            problem = Problem(RushesError.code, "The job failed inside the gateway; its log says why")
            await self._set_back(claimed, problem if hopeless else None)

    def _is_hopeless(self, job: Job) -> bool:
        """Whether a job has had its time already when we take it up, so that this try is its last."""
        patience_s = STORING_PATIENCE_S if job.state is State.STORING else 0
        return self._clock.now_ms() >= job.deadline_at + patience_s * 1000

    async def _set_back(self, claimed: Claimed, problem: Problem | None) -> None:
        """Fail the job, or let it rest and give its lease back, so that a later claim goes on with it."""
        while True:
            try:
                if problem is not None:
                    await self._leases.fail(claimed, State.FAILED, problem)
                else:
                    await self._clock.sleep(SETBACK_S)
                    await self._leases.put_back(claimed)
                return
            except LeaseLost:
                return
            except RushesError as error:
                # Not given up: a lease that a living worker holds and does not use would never be freed.
                log.warning("write_will_be_repeated", job_id=claimed.job.id, error_code=error.code)
                await self._clock.sleep(SETBACK_S)

    async def _beat_forever(self) -> None:
        while True:
            await self._clock.sleep(self._limits.lease_s / 3)
            try:
                if self._leases_ran_out:
                    await self._leases.leave()
                await self._beat()
                self._leases_ran_out = False
                released = await self._leases.release_dead()
                if released + await self._leases.expire_overdue(MOST_EXPIRED):
                    self.wake()
            except RushesError as error:
                log.warning("heartbeat_failed", error_code=error.code)
                self._stop_if_overdue()
            except Exception:
                log.exception("heartbeat_failed")
                self._stop_if_overdue()

    async def _beat(self) -> None:
        began_ms = self._clock.now_ms()
        await self._leases.beat(self._limits.lease_s)
        self._last_beat_ms = began_ms

    def _stop_if_overdue(self) -> None:
        """Without a heartbeat our leases have run out, and another worker may have the jobs: drop them.

        Alone there is no other, and dropping a job whose provider has just accepted would lose the answer.
        """
        if not self._alone and self._clock.now_ms() - self._last_beat_ms > self._limits.lease_s * 1000:
            log.error("leases_ran_out", jobs=len(self._jobs))
            self._leases_ran_out = True
            for task in self._jobs:
                task.cancel()
