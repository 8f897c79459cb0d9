"""The worker: claims jobs, carries each out in a task of its own, and shows that it is alive."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from structlog.contextvars import bind_contextvars

from rushes.clock import SteadyClock
from rushes.domain.job import Job, Problem, State
from rushes.engine.claims import LeaseStore
from rushes.engine.fair_share import Shares
from rushes.engine.job_record import Claimed
from rushes.engine.job_resources import Tools
from rushes.engine.job_run import Carrying
from rushes.engine.lease_clock import LAST_ANSWER_S, Tenure, Term
from rushes.errors import CallerError, DatabaseUnavailable, LeaseLost, RushesError

T = TypeVar("T")

log = structlog.get_logger(__name__)

BATCH = 64
MOST_EXPIRED = 500
MOST_FORGOTTEN = 500
IDLE_POLL_S = 5.0
"""How long a new job can go unnoticed if its wake-up is lost."""
STORING_PATIENCE_S = 48 * 3600.0
"""How long beyond its deadline a job with finished videos is taken up again; no provider keeps them longer."""
DATABASE_PATIENCE_S = 30.0
"""After this long without an answer a question to the database is asked anew: its connection may be dead. A slow disk
takes less, and would only become slower by being asked twice."""
LAST_WRITE_S = 2.0
"""How long a worker that stops waits for a database that does not answer; its leases run out by themselves then."""
ABORT_LOOK_S = 2.0
"""How often a worker looks whether an operator wants one of its jobs to end."""
SETBACK_S = 5.0
"""How long a job rests that failed in a way we did not foresee, before it is claimed again."""
WATCHES_A_LEASE = 10
"""How often within one lease a worker looks whether its leases have run out, besides at the moment they should."""
SHORTEST_WAIT_S = 0.02
"""So that a database whose clock is behind ours is not asked without pause."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much one worker takes on, for how long its lease holds without a sign of life, and how long a worker that
    stops waits for answers to submits under way.
    """

    most_in_flight: int = 2000
    lease_s: float = 15.0
    last_answer_s: float = LAST_ANSWER_S


ToolsFor = Callable[[Job], Awaitable[Tools]]
"""What a job needs to be carried out. Raises a RushesError if the job cannot be served any more."""


class Worker:
    """Carries jobs out until it is told to stop; what is unfinished then is left resumable."""

    def __init__(self, leases: LeaseStore, tools_for: ToolsFor, clock: SteadyClock, limits: WorkerLimits) -> None:
        self._leases = leases
        self._tools_for = tools_for
        self._clock = clock
        self._limits = limits
        self._wake = asyncio.Event()
        self._asleep_until_ms = 0.0
        self._jobs: set[asyncio.Task[None]] = set()
        self._shares = Shares(limits.most_in_flight)
        self._carried: dict[str, Carrying] = {}
        self._tenure = Tenure(clock, lease_s=limits.lease_s, last_answer_s=limits.last_answer_s)
        self._loops: list[asyncio.Task[None]] = []
        self._beating: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] = _nothing
        self._put_down: asyncio.Task[None] | None = None

    async def start(self, *, alone: bool) -> None:
        """Begin to work. `alone` says that no other worker can be running, so that every lease is free to take."""
        self._tenure.alone = alone
        await self._beat()
        await self._leases.release_dead(all_workers=alone)
        await self._beat()
        self._stop_listening = self._leases.listen(lambda after_ms: self.wake(int(after_ms or 0) / 1000))
        self._beating = asyncio.create_task(self._beat_forever())
        loops = [self._claim_forever(), self._tidy_forever(), self._abort_forever()]
        if not alone:
            loops.append(self._watch_the_leases())
        self._loops = [asyncio.create_task(loop) for loop in loops]

    def wake(self, after_s: float = 0) -> None:
        """A job may be waiting, from `after_s` on: look then, or before."""
        if after_s <= 0 or self._clock.now_ms() + after_s * 1000 < self._asleep_until_ms:
            self._wake.set()

    @property
    def in_flight(self) -> int:
        """How many jobs are being carried out."""
        return len(self._jobs)

    @property
    def has_leases(self) -> bool:
        """Whether it may work: its heartbeats have come in time, or it has begun anew since."""
        return not self._tenure.is_lost

    async def stop(self) -> None:
        """Stop, at once but for answers to submits under way, which get some seconds; then give all leases back.

        Every job goes on where its last recorded step ended. Stopping again waits for the same end.
        """
        if self._put_down is None:
            self._put_down = asyncio.create_task(self._put_everything_down())
        await asyncio.shield(self._put_down)

    def hurry(self) -> None:
        """While it stops: wait for no more answers."""
        self._tenure.hurry()

    async def _put_everything_down(self) -> None:
        self._stop_listening()
        self._stop_listening = _nothing
        tasks = [*self._loops, *self._jobs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._beating is not None:
            # Only now: an answer that was waited for is recorded under our leases, which some drains outlast.
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        with contextlib.suppress(RushesError):
            await self._within(LAST_WRITE_S, self._leases.leave())

    async def _claim_forever(self) -> None:
        while True:
            self._wake.clear()
            try:
                room = 0 if self._tenure.is_lost else min(BATCH, self._shares.left)
                term = self._tenure.term()
                claimed = await self._claim(room) if room > 0 else []
                if not term.goes_on:
                    self._leases.disown(claimed)
                    continue
                for one in claimed:
                    self._begin(one, term)
                if len(claimed) < room or room <= 0:
                    await self._wait_for_work()
            except RushesError as error:
                log.warning("claim_failed", error_code=error.code)
                await self._clock.sleep(1)
            except Exception:
                log.exception("claim_failed")
                await self._clock.sleep(SETBACK_S)

    async def _claim(self, room: int) -> Sequence[Claimed]:
        shares = self._shares.copy()
        claiming = self._leases.claim(room, shares.left_for, orphans=shares.left_for_orphans)
        return await self._within(DATABASE_PATIENCE_S, claiming)

    def _begin(self, claimed: Claimed, term: Term) -> None:
        task = asyncio.create_task(self._carry_out(claimed, term))
        self._jobs.add(task)
        self._shares.begin(claimed.lane)
        task.add_done_callback(functools.partial(self._end, claimed.lane))

    def _end(self, lane: str, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        self._shares.end(lane)
        self.wake()

    async def _wait_for_work(self) -> None:
        wait_s = IDLE_POLL_S
        # Until we know for how long we sleep, every call to wake counts.
        self._asleep_until_ms = math.inf
        if self._shares.left > 0:
            looking = self._leases.next_available_at(self._shares.left_for)
            next_at = await self._within(DATABASE_PATIENCE_S, looking)
            if next_at is not None:
                wait_s = min(wait_s, max(SHORTEST_WAIT_S, (next_at - self._clock.now_ms()) / 1000))
        self._asleep_until_ms = self._clock.now_ms() + wait_s * 1000
        ends = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(wait_s))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def _carry_out(self, claimed: Claimed, term: Term) -> None:
        # For every line of this task, and of those that it starts.
        bind_contextvars(job_id=claimed.job.id, **_request_of(claimed.job))
        hopeless = self._is_hopeless(claimed.job)
        try:
            carrying = Carrying(claimed, await self._tools_for(claimed.job), term)
            self._carried[claimed.job.id] = carrying
            try:
                await carrying.to_its_end()
            finally:
                del self._carried[claimed.job.id]
        except LeaseLost:
            log.warning("lease_lost")
            # It may be only ourselves who no longer trusted it; then nobody else has the job.
            await self._set_back(claimed, None)
        except CallerError as error:
            log.warning("job_cannot_be_served", error_code=error.code)
            # What a provider may already have accepted is worth waiting for: a setting may come back.
            worth_waiting = claimed.attempts and not hopeless and not claimed.job.abort_requested
            await self._set_back(claimed, None if worth_waiting else Problem(error.code, error.message))
        except Exception:  # logged, and the job goes on later
            log.exception("job_set_back")
            problem = Problem(RushesError.code, "The job failed inside the gateway; its log says why")
            await self._set_back(claimed, problem if hopeless else None)

    async def _abort_forever(self) -> None:
        """Looked for, because the command that asks for it may be another process and cannot wake us everywhere."""
        while True:
            await self._clock.sleep(ABORT_LOOK_S)
            try:
                for job_id in await self._within(DATABASE_PATIENCE_S, self._leases.to_abort()):
                    carrying = self._carried.get(job_id)
                    if carrying is not None:
                        carrying.abort()
            except RushesError as error:
                log.warning("abort_look_failed", error_code=error.code)
            except Exception:
                log.exception("abort_look_failed")

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
                await self._within(DATABASE_PATIENCE_S, self._show_life())
            except RushesError as error:
                log.warning("heartbeat_failed", error_code=error.code)
            except Exception:
                log.exception("heartbeat_failed")

    async def _show_life(self) -> None:
        """Renew our leases; once nothing is carried out under leases that ran out, begin anew."""
        if not await self._beat() and not self._tenure.alone:
            self._drop_jobs()
        if self._tenure.is_lost and not self._jobs:
            # Only now: as long as an answer to a submit may still come, the lease that lets it be recorded is kept.
            await self._leases.leave()
            await self._beat()
            self._tenure.regain()
            self.wake()

    async def _tidy_forever(self) -> None:
        """Free what dead workers held. Not in the heartbeat, for the locks of a frozen one can hold this up."""
        while True:
            await self._clock.sleep(self._limits.lease_s / 3)
            try:
                await self._within(DATABASE_PATIENCE_S, self._tidy())
            except RushesError as error:
                log.warning("tidying_failed", error_code=error.code)
            except Exception:
                log.exception("tidying_failed")

    async def _tidy(self) -> None:
        released = await self._leases.release_dead()
        if released + await self._leases.expire_overdue(MOST_EXPIRED):
            self.wake()
        await self._leases.forget_idle_lanes(MOST_FORGOTTEN)

    async def _beat(self) -> bool:
        sent = self._tenure.now()
        was_alive = await self._leases.beat(self._limits.lease_s)
        self._tenure.renew(sent)
        return was_alive

    async def _watch_the_leases(self) -> None:
        """Not a part of the heartbeat, which may be the very thing that hangs."""
        while True:
            if not self._tenure.is_lost and self._tenure.left_s <= 0:
                self._drop_jobs()
            await self._clock.sleep(max(self._tenure.left_s, self._limits.lease_s / WATCHES_A_LEASE))

    def _drop_jobs(self) -> None:
        """Our leases have run out, and another worker may have the jobs: put them down.

        Alone there is no other, and dropping a job whose provider has just accepted would lose the answer.
        """
        log.error("leases_ran_out", jobs=len(self._jobs))
        self._tenure.lose()
        if self._put_down is None:
            # Else they are put down already, and once more would cut off the answers that are waited for.
            for task in self._jobs:
                task.cancel()

    async def _within(self, limit_s: float, step: Coroutine[Any, Any, T]) -> T:
        """Do a step, or raise DatabaseUnavailable if it takes longer than this."""
        task = asyncio.ensure_future(step)
        limit = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise DatabaseUnavailable("the database has not answered in time")
            return task.result()
        finally:
            limit.cancel()
            task.cancel()


def _request_of(job: Job) -> dict[str, str]:
    return {} if job.request_id is None else {"request_id": job.request_id}


def _nothing() -> None:
    pass
