"""The worker: claims jobs, carries each out in a task of its own, and shows that it is alive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from rushes.clock import Clock
from rushes.errors import LeaseLost, RushesError
from rushes.jobs.carrying import Carrying, Tools
from rushes.jobs.job import Job
from rushes.jobs.leases import Claimed, LeaseStore

log = structlog.get_logger(__name__)

BATCH = 64
IDLE_POLL_S = 5.0
"""How long a new job can go unnoticed if its wake-up is lost."""
SETBACK_S = 5.0
"""How long a job rests that failed in a way we did not foresee, before it is claimed again."""


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
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._last_beat_ms = 0
        self._leases_ran_out = False
        self._loops: list[asyncio.Task[None]] = []

    async def start(self, *, alone: bool) -> None:
        """Begin to work. `alone` says that no other worker can be running, so that every lease is free to take."""
        await self._beat()
        await self._leases.release_dead(all_workers=alone)
        await self._beat()
        self._loops = [asyncio.create_task(self._claim_forever()), asyncio.create_task(self._beat_forever())]

    def wake(self) -> None:
        """A job may be waiting: look now."""
        self._wake.set()

    @property
    def in_flight(self) -> int:
        """How many jobs are being carried out."""
        return len(self._jobs)

    async def stop(self) -> None:
        """Stop at once and give all leases back; every job goes on where its last recorded step ended."""
        tasks = [*self._loops, *self._jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RushesError):
            await self._leases.leave()

    async def _claim_forever(self) -> None:
        while True:
            self._wake.clear()
            try:
                room = min(BATCH, self._limits.most_in_flight - len(self._jobs))
                claimed = await self._leases.claim(room) if room > 0 else []
                for one in claimed:
                    self._jobs[one.job.id] = asyncio.create_task(self._carry_out(one))
                if len(claimed) < room or room <= 0:
                    await self._wait_for_work()
            except RushesError as error:
                log.warning("claim_failed", error_code=error.code)
                await self._clock.sleep(1)

    async def _wait_for_work(self) -> None:
        wait_s = IDLE_POLL_S
        next_at = await self._leases.next_available_at()
        if next_at is not None and len(self._jobs) < self._limits.most_in_flight:
            wait_s = min(wait_s, max(0.001, (next_at - self._clock.now_ms()) / 1000))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait_s)

    async def _carry_out(self, claimed: Claimed) -> None:
        job_log = log.bind(job_id=claimed.job.id)
        try:
            await Carrying(claimed, await self._tools_for(claimed.job)).to_its_end()
        except LeaseLost:
            job_log.warning("lease_lost")
        except Exception:  # noqa: BLE001 - one job must not end the worker
            job_log.exception("job_set_back")
            await self._clock.sleep(SETBACK_S)
            with contextlib.suppress(RushesError):
                await self._leases.put_back(claimed)
        finally:
            self._jobs.pop(claimed.job.id, None)
            self.wake()

    async def _beat_forever(self) -> None:
        while True:
            await self._clock.sleep(self._limits.lease_s / 3)
            try:
                if self._leases_ran_out:
                    await self._leases.leave()
                    self._leases_ran_out = False
                await self._beat()
                if await self._leases.release_dead():
                    self.wake()
            except RushesError as error:
                log.warning("heartbeat_failed", error_code=error.code)
                self._stop_if_overdue()

    async def _beat(self) -> None:
        began_ms = self._clock.now_ms()
        await self._leases.beat(self._limits.lease_s)
        self._last_beat_ms = began_ms

    def _stop_if_overdue(self) -> None:
        """Without a heartbeat our leases have run out, and another worker may have the jobs: drop them."""
        if self._clock.now_ms() - self._last_beat_ms > self._limits.lease_s * 1000:
            log.error("leases_ran_out", jobs=len(self._jobs))
            self._leases_ran_out = True
            for task in self._jobs.values():
                task.cancel()
