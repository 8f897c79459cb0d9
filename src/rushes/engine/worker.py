"""The worker: it claims jobs, runs each in a task of its own, and sends heartbeats."""

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
from rushes.engine.claims import ClaimStore
from rushes.engine.fair_share import FairShare
from rushes.engine.hand_over import HandedOver, HandOver
from rushes.engine.job_record import Claim, JobRecord
from rushes.engine.job_resources import JobResources
from rushes.engine.job_run import JobRun
from rushes.engine.lease_clock import LAST_ANSWER_S, LeaseClock, LeaseEpoch
from rushes.engine.storage_health import StorageHealth
from rushes.errors import (
    CallerError,
    CredentialElsewhere,
    DatabaseUnavailable,
    LeaseLost,
    NoCredentials,
    RushesError,
    SecretKeyMissing,
)
from rushes.shared_places import account_served

T = TypeVar("T")

log = structlog.get_logger(__name__)

BATCH = 64
MOST_EXPIRED = 500
MOST_FORGOTTEN = 500
IDLE_POLL_S = 5.0
"""How long a new job can wait unseen if the note about it is lost."""
LONGEST_STORING_S = 48 * 3600.0
"""How long beyond its deadline a job with finished videos is taken up again; no provider keeps them longer."""
DATABASE_ANSWER_S = 30.0
"""After this long without an answer a query is sent again: its connection may be dead. A slow disk takes less, and
would only become slower by a second query."""
LAST_WRITE_S = 2.0
"""How long a worker that stops waits for a database that does not answer; its leases expire by themselves then."""
ABORT_POLL_S = 2.0
"""How often a worker asks whether an operator wants one of its jobs to end."""
RETRY_JOB_S = 5.0
"""How long a job rests after an unexpected error, before it is claimed again."""
SECRET_KEY_PAUSE_S = 10.0
"""How long a worker claims no job of a lane after one of it was encrypted with a secret key that it does not have."""
NEVER_OPENED = (
    "The key sent as byok_api_key could not be opened, because this service's secret keys were replaced; "
    "send the request again"
)
CHECKS_PER_LEASE = 10
"""How often within one lease a worker checks whether its leases have expired, besides at the moment they should."""
CLOCK_DIFFERENCE_S = 5.0
"""A difference between this host's clock and the database's that is worth a warning."""
STORAGE_CHECK_S = 5.0
"""How often a worker that cannot store videos asks its storage whether it works again."""
SHORTEST_WAIT_S = 0.02
"""So that a database whose clock is behind ours is not asked without pause."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How many jobs one worker runs, how long its leases hold without a heartbeat, and how long a worker that stops
    waits for answers to submits under way.
    """

    most_in_flight: int = 2000
    lease_s: float = 15.0
    last_answer_s: float = LAST_ANSWER_S


ResourcesFor = Callable[[Job], Awaitable[JobResources]]
"""What running a job needs. Raises a RushesError if the job can no longer be served."""

HeartbeatRecorded = Callable[[float], None]
"""Called after each heartbeat with how many seconds this host's clock is ahead of the database's."""


def _ignore(_ahead_s: float) -> None:
    pass


async def _no_check() -> None:
    pass


class Worker:
    """Runs jobs until it is stopped; unfinished ones go on later.

    `check_storage` raises StorageUnavailable while videos cannot be stored; it is called only when jobs could not.
    """

    def __init__(
        self,
        claims: ClaimStore,
        resources_for: ResourcesFor,
        clock: SteadyClock,
        limits: WorkerLimits,
        *,
        storage_health: StorageHealth | None = None,
        check_storage: Callable[[], Awaitable[None]] = _no_check,
        heartbeat_recorded: HeartbeatRecorded = _ignore,
    ) -> None:
        self._claims = claims
        self._resources_for = resources_for
        self._storage_health = StorageHealth() if storage_health is None else storage_health
        self._check_storage = check_storage
        self._heartbeat_recorded = heartbeat_recorded
        self._clocks_differ = False
        self._paused_lanes: dict[str, int] = {}
        self._clock = clock
        self._limits = limits
        self._wake = asyncio.Event()
        self._asleep_until_ms = 0.0
        self._jobs: set[asyncio.Task[None]] = set()
        self._shares = FairShare(limits.most_in_flight)
        self._runs: dict[str, JobRun] = {}
        self._lease_clock = LeaseClock(clock, lease_s=limits.lease_s, last_answer_s=limits.last_answer_s)
        self._loops: list[asyncio.Task[None]] = []
        self._beating: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] = _nothing
        self._stopping: asyncio.Task[None] | None = None

    async def start(self, *, alone: bool) -> None:
        """Begin to work. `alone` says that no other worker can be running, so that every lease is free to take."""
        self._lease_clock.alone = alone
        await self._beat()
        await self._claims.release_dead(all_workers=alone)
        await self._beat()
        self._stop_listening = self._claims.listen(lambda after_ms: self.wake(int(after_ms or 0) / 1000))
        self._beating = asyncio.create_task(self._keep_beating())
        loops = [self._keep_claiming(), self._keep_tidying(), self._keep_aborting(), self._keep_checking_storage()]
        if not alone:
            loops.append(self._keep_checking_leases())
        self._loops = [asyncio.create_task(loop) for loop in loops]

    def wake(self, after_s: float = 0) -> None:
        """A job may be waiting, from `after_s` on: try to claim it then, or before."""
        if after_s <= 0 or self._clock.now_ms() + after_s * 1000 < self._asleep_until_ms:
            self._wake.set()

    @property
    def in_flight(self) -> int:
        """How many jobs run."""
        return len(self._jobs)

    @property
    def has_leases(self) -> bool:
        """Whether it may work: its heartbeats were in time, or it has begun anew since."""
        return not self._lease_clock.is_lost

    @property
    def can_store(self) -> bool:
        """Whether its storage takes videos, as far as its jobs know; if not, it claims no job."""
        return not self._storage_health.is_down

    async def stop(self) -> None:
        """Stop, at once but for answers to submits under way, which get some seconds; then give all leases back.

        Every job goes on where its last recorded step ended. Stopping again waits for the same end.
        """
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop_everything())
        await asyncio.shield(self._stopping)

    def stop_waiting(self) -> None:
        """While it stops: wait for no more answers."""
        self._lease_clock.stop_waiting()

    async def _stop_everything(self) -> None:
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
            await self._within(LAST_WRITE_S, self._claims.leave())

    async def _keep_claiming(self) -> None:
        while True:
            self._wake.clear()
            try:
                room = min(BATCH, self._shares.left) if self.has_leases and self.can_store else 0
                epoch = self._lease_clock.epoch()
                claimed = await self._claim(room) if room > 0 else []
                if not epoch.is_current:
                    self._claims.give_back_later(claimed)
                    continue
                for one in claimed:
                    self._begin(one, epoch)
                if len(claimed) < room or room <= 0:
                    await self._wait_for_work()
            except RushesError as error:
                log.warning("claim_failed", error_code=error.code)
                await self._clock.sleep(1)
            except Exception:
                log.exception("claim_failed")
                await self._clock.sleep(RETRY_JOB_S)

    async def _claim(self, room: int) -> Sequence[Claim]:
        shares = self._shares.copy()
        paused = self._lanes_paused()
        claiming = self._claims.claim(
            room,
            lambda lane: 0 if lane in paused else shares.left_for(lane),
            orphans=shares.left_for_orphans,
            except_lanes=paused,
        )
        return await self._within(DATABASE_ANSWER_S, claiming)

    def _begin(self, claim: Claim, epoch: LeaseEpoch) -> None:
        task = asyncio.create_task(self._run(claim, epoch))
        self._jobs.add(task)
        self._shares.begin(claim.lane)
        task.add_done_callback(functools.partial(self._end, claim.lane))

    def _lanes_paused(self) -> frozenset[str]:
        """The lanes of which this worker claims no jobs now, because it has handed one over."""
        now_ms = self._clock.steady_ms()
        self._paused_lanes = {lane: until for lane, until in self._paused_lanes.items() if until > now_ms}
        return frozenset(self._paused_lanes)

    def _end(self, lane: str, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        self._shares.end(lane)
        self.wake()

    async def _wait_for_work(self) -> None:
        wait_s = IDLE_POLL_S
        # Until we know for how long we sleep, every call to wake counts.
        self._asleep_until_ms = math.inf
        if self._shares.left > 0 and self.can_store:
            paused = self._lanes_paused()
            next_s = await self._within(
                DATABASE_ANSWER_S,
                self._claims.next_available_s(lambda lane: 0 if lane in paused else self._shares.left_for(lane)),
            )
            if next_s is not None:
                wait_s = min(wait_s, max(SHORTEST_WAIT_S, next_s))
        self._asleep_until_ms = self._clock.now_ms() + wait_s * 1000
        ends = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(wait_s))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def _run(self, claim: Claim, epoch: LeaseEpoch) -> None:
        # For every line of this task, and of those that it starts.
        bind_contextvars(job_id=claim.job.id, **_request_of(claim.job))
        account_served.set(claim.job.account_id)
        is_last_try = self._is_last_try(claim)
        record = self._claims.record(claim)
        try:
            n = (await record.request()).n
            run = JobRun(record, await self._resources_for(claim.job), n, epoch, self._hand_over())
            self._runs[claim.job.id] = run
            try:
                await run.run()
            finally:
                del self._runs[claim.job.id]
        except LeaseLost:
            log.warning("lease_lost")
            # Perhaps only this worker considered the lease lost; then no other worker has the job.
            await self._rest_and_put_back(claim)
        except HandedOver as handed_over:
            log.warning("job_handed_over", reason=str(handed_over))
            await self._leave_to_others(claim, handed_over.pause_s)
        except SecretKeyMissing as error:
            log.warning("secret_key_missing", detail=error.message)
            if claim.now_ms + SECRET_KEY_PAUSE_S * 1000 >= claim.job.deadline_at or claim.job.abort_requested:
                await self._fail(record, Problem(NoCredentials.code, NEVER_OPENED))
            else:
                # Another process may have the key, or this one at its next start.
                await self._record_trouble(record, error)
                await self._leave_to_others(claim, SECRET_KEY_PAUSE_S)
        except CredentialElsewhere as error:
            log.warning("credential_missing", detail=error.message)
            await self._record_trouble(record, error)
            await self._leave_to_others(claim, SECRET_KEY_PAUSE_S)
        except CallerError as error:
            log.warning("job_cannot_be_served", error_code=error.code)
            # What a provider may already have accepted is worth waiting for: a setting may come back.
            if claim.attempts and not is_last_try and not claim.job.abort_requested:
                await self._record_trouble(record, error)
                await self._rest_and_put_back(claim)
            else:
                await self._fail(record, Problem(error.code, error.message))
        except Exception:  # logged, and the job goes on later
            log.exception("job_set_back")
            if is_last_try:
                await self._fail(
                    record, Problem(RushesError.code, "The job failed inside the gateway; its log says why")
                )
            else:
                await self._rest_and_put_back(claim)

    def _hand_over(self) -> HandOver:
        return HandOver() if self._lease_clock.alone else HandOver(self._claims.is_there_another)

    async def _record_trouble(self, record: JobRecord, error: RushesError) -> None:
        known = record.claim.job.trouble
        if known is None or known.code != error.code:
            with contextlib.suppress(LeaseLost):
                await record.trouble(error.code, error.message)

    async def _fail(self, record: JobRecord, problem: Problem) -> None:
        with contextlib.suppress(LeaseLost):
            await record.fail(State.FAILED, problem)

    async def _leave_to_others(self, claim: Claim, pause_s: float) -> None:
        """Give the job back, and claim none of its lane for so long."""
        until_ms = self._clock.steady_ms() + round(pause_s * 1000)
        self._paused_lanes[claim.lane] = max(until_ms, self._paused_lanes.get(claim.lane, 0))
        await self._put_back(claim)

    async def _rest_and_put_back(self, claim: Claim) -> None:
        await self._clock.sleep(RETRY_JOB_S)
        await self._put_back(claim)

    async def _put_back(self, claim: Claim) -> None:
        """Give the job's lease back, so that a later claim goes on with it."""
        while True:
            try:
                await self._claims.put_back(claim)
            except LeaseLost:
                return
            except RushesError as error:
                # Not given up: a lease that a living worker holds and does not use would never be freed.
                log.warning("write_will_be_repeated", job_id=claim.job.id, error_code=error.code)
                await self._clock.sleep(RETRY_JOB_S)
            else:
                return

    def _is_last_try(self, claim: Claim) -> bool:
        """Whether the job's time is over already, by the database's clock, so that this try is its last."""
        longest_s = LONGEST_STORING_S if claim.job.state is State.STORING else 0
        return claim.now_ms >= claim.job.deadline_at + longest_s * 1000

    async def _keep_aborting(self) -> None:
        """Poll for it, because the command that asks for it may be another process and cannot wake every worker."""
        while True:
            await self._clock.sleep(ABORT_POLL_S)
            try:
                for job_id in await self._within(DATABASE_ANSWER_S, self._claims.to_abort()):
                    run = self._runs.get(job_id)
                    if run is not None:
                        run.abort()
            except RushesError as error:
                log.warning("abort_poll_failed", error_code=error.code)
            except Exception:
                log.exception("abort_poll_failed")

    async def _keep_beating(self) -> None:
        while True:
            await self._clock.sleep(self._limits.lease_s / 3)
            try:
                await self._within(DATABASE_ANSWER_S, self._renew_leases())
            except RushesError as error:
                log.warning("heartbeat_failed", error_code=error.code)
            except Exception:
                log.exception("heartbeat_failed")

    async def _renew_leases(self) -> None:
        """Renew the leases; once no job runs under leases that have expired, begin anew."""
        if not await self._beat() and not self._lease_clock.alone:
            self._drop_jobs()
        if self._lease_clock.is_lost and not self._jobs:
            # Only now: as long as an answer to a submit may still come, the lease that lets it be recorded is kept.
            await self._claims.leave()
            await self._beat()
            self._lease_clock.regain()
            self.wake()

    async def _keep_tidying(self) -> None:
        """Release what dead workers held. Not in the heartbeat, since the locks of a frozen worker can delay this."""
        while True:
            await self._clock.sleep(self._limits.lease_s / 3)
            try:
                await self._within(DATABASE_ANSWER_S, self._tidy())
            except RushesError as error:
                log.warning("tidying_failed", error_code=error.code)
            except Exception:
                log.exception("tidying_failed")

    async def _tidy(self) -> None:
        released = await self._claims.release_dead()
        if released + await self._claims.expire_overdue(MOST_EXPIRED):
            self.wake()
        await self._claims.forget_idle_lanes(MOST_FORGOTTEN)

    async def _beat(self) -> bool:
        sent = self._lease_clock.now()
        beat = await self._claims.beat(self._limits.lease_s)
        self._lease_clock.renew(sent)
        self._compare_clocks(sent.wall_ms, beat.now_ms)
        return beat.was_alive

    def _compare_clocks(self, sent_ms: int, database_ms: int) -> None:
        # The database read its clock between the two moments: half of the way there is the best guess.
        ahead_s = ((sent_ms + self._clock.now_ms()) / 2 - database_ms) / 1000
        differ = abs(ahead_s) >= CLOCK_DIFFERENCE_S
        if differ and not self._clocks_differ:
            log.warning("clock_differs_from_the_database", ahead_s=round(ahead_s, 1))
        self._clocks_differ = differ
        self._heartbeat_recorded(ahead_s)

    async def _keep_checking_storage(self) -> None:
        """While videos cannot be stored, ask the storage whether it works again: without jobs, no other step would."""
        was_down = False
        while True:
            await self._clock.sleep(STORAGE_CHECK_S)
            if self.can_store:
                was_down = False
                continue
            if not was_down:
                was_down = True
                log.error("worker_cannot_store", jobs=len(self._jobs))
            try:
                await self._check_storage()
            except RushesError as error:
                log.info("storage_check_failed", error_code=error.code)
            except Exception:
                log.exception("storage_check_failed")
            else:
                log.info("worker_can_store_again")
                self._storage_health.stored()
                self.wake()

    async def _keep_checking_leases(self) -> None:
        """Not a part of the heartbeat, which may itself hang."""
        while True:
            if not self._lease_clock.is_lost and self._lease_clock.left_s <= 0:
                self._drop_jobs()
            await self._clock.sleep(max(self._lease_clock.left_s, self._limits.lease_s / CHECKS_PER_LEASE))

    def _drop_jobs(self) -> None:
        """The leases have expired, and another worker may have the jobs: stop them here.

        Without another worker this is not called: to stop a job whose provider has just accepted loses the answer.
        """
        log.error("leases_expired", jobs=len(self._jobs))
        self._lease_clock.lose()
        if self._stopping is None:
            # Else they are stopped already, and once more would cut off the answers that are waited for.
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
