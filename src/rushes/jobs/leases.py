"""Jobs in the database: the worker's half. Every write is fenced: it changes nothing unless the lease is still held.

A worker claims jobs with a fresh lease token and keeps one heartbeat row alive. When that row runs out, its leases are
anyone's; the next claim stamps a new token, and whatever the old worker still writes finds no row and raises LeaseLost.

Every transaction that changes a job locks in one order, so that no two wait for each other: the worker's row, job rows,
lanes by their names, job_counts, usage_rollups. A job's events and webhooks come after its row (webhooks/outbox.py).
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import LeaseLost
from rushes.jobs.allowances import claim_within, lock_rooms, next_waiting_at, read_rooms
from rushes.jobs.job import MOVES, Attempt, AttemptState, Job, Problem, State
from rushes.jobs.moving import JOBS_CHANNEL, WORK_CHANNEL, record_event, record_move
from rushes.jobs.store import (
    DOOM_FILE,
    ENTER_LANE,
    GET_ANY_JOB,
    LEAVE_LANE,
    job_from,
    outputs_from,
    outputs_to_json,
    problem_from,
    video_key,
)
from rushes.video.output import StoredVideo
from rushes.video.progress import Handle

BEAT = "UPDATE workers SET alive_until = :now + :ttl_ms WHERE id = :worker_id AND alive_until >= :now"

BEAT_ANEW = """
INSERT INTO workers (id, alive_until) VALUES (:worker_id, :now + :ttl_ms)
ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
"""

FORGET_WORKER = "DELETE FROM workers WHERE id = :worker_id"

DEAD_WORKERS = "SELECT id FROM workers WHERE alive_until < :now AND id <> :worker_id FOR UPDATE SKIP LOCKED"
"""Never ourselves: who asks is alive, however long it was frozen or the clock has jumped since its last heartbeat."""

ALL_WORKERS = "SELECT id FROM workers FOR UPDATE"

ALIVE = "SELECT id FROM workers WHERE id = :worker_id AND alive_until >= :now FOR UPDATE"

LOCK_WORKER = "SELECT id FROM workers WHERE id = :worker_id FOR UPDATE"

LEASED_JOBS = "SELECT id, state, lane, lease FROM jobs WHERE worker_id = :worker_id ORDER BY seq FOR UPDATE"

LEASED_IN_VAIN = """
SELECT id, state, lane, lease FROM jobs WHERE worker_id = :worker_id AND lease = :lease ORDER BY seq FOR UPDATE
"""

_UNLEASE = """
UPDATE jobs SET lease = NULL, worker_id = NULL,
                in_slot = CASE WHEN state IN ('queued', 'rerouted') THEN 0 ELSE in_slot END
"""

UNLEASE = _UNLEASE + "WHERE worker_id = :worker_id"

UNLEASE_IN_VAIN = _UNLEASE + "WHERE worker_id = :worker_id AND lease = :lease"

UNLEASE_ONE = _UNLEASE + "WHERE id = :id AND lease = :lease"

# What is limited and locked is chosen in a WITH of its own: left inside an IN, Postgres may choose once for every row.
CLAIM_UNOWNED = """
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs WHERE lease IS NULL AND state IN ('submitting', 'running', 'storing', 'recovering')
    ORDER BY seq LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lease = :lease, worker_id = :worker_id WHERE seq IN (SELECT seq FROM chosen) RETURNING *
"""

_IS_OPEN = "ready > 0 AND (capacity IS NULL OR in_use < capacity)"

OPEN_LANES = f"SELECT lane FROM lanes WHERE {_IS_OPEN}"  # noqa: S608 - fixed texts only

# Waited for: every job that is accepted locks its lane for a moment, so a busy lane would be passed over for ever.
LOCK_OPEN_LANE = f"SELECT capacity - in_use AS free FROM lanes WHERE lane = :lane AND {_IS_OPEN} FOR UPDATE"  # noqa: S608 - likewise

CLAIM_QUEUED = """
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs
    WHERE lane = :lane AND state IN ('queued', 'rerouted') AND lease IS NULL AND available_at <= :now
    ORDER BY available_at, seq LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lease = :lease, worker_id = :worker_id, in_slot = 1 WHERE seq IN (SELECT seq FROM chosen) RETURNING *
"""

NEXT_AVAILABLE = """
SELECT MIN(available_at) AS at FROM jobs WHERE lane = :lane AND state IN ('queued', 'rerouted') AND lease IS NULL
"""

LEAVE_LANE_SLOT = "UPDATE lanes SET in_use = in_use - 1 WHERE lane = :lane RETURNING capacity, ready"

ABORTING = "SELECT id FROM jobs WHERE worker_id = :worker_id AND abort_requested_at IS NOT NULL AND lease IS NOT NULL"

OVERDUE = """
SELECT seq FROM jobs WHERE state IN ('queued', 'rerouted') AND lease IS NULL AND deadline_at <= :now
ORDER BY deadline_at LIMIT :most
"""

EXPIRE_OVERDUE = f"""
WITH chosen AS MATERIALIZED ({OVERDUE} FOR UPDATE SKIP LOCKED)
UPDATE jobs SET state = 'expired', status = 'failed', completed_at = :now, error_code = 'expired', error = :error
WHERE state = :was AND seq IN (SELECT seq FROM chosen)
RETURNING *
"""  # noqa: S608 - fixed texts only

ATTEMPTS_OF = "SELECT * FROM attempts WHERE job_id = :job_id ORDER BY part"

LOCK_LEASED = "SELECT * FROM jobs WHERE id = :id AND lease = :lease FOR UPDATE"

INSERT_ATTEMPT = """
INSERT INTO attempts (id, job_id, part, n, state, created_at) VALUES (:id, :job_id, :part, :n, 'intent', :now)
ON CONFLICT (id) DO NOTHING
"""

ACCEPT_ATTEMPT = "UPDATE attempts SET state = 'accepted', handle = :handle WHERE id = :id AND state = 'intent'"

WITHDRAW_INTENTS = "DELETE FROM attempts WHERE job_id = :job_id AND state = 'intent'"

REROUTE = """
UPDATE jobs SET state = :to, served_provider = :provider, served_model = :model, surface = :surface,
                credential = :credential, request = :request, cost_usd = :cost_usd, usual_s = :usual_s,
                progress = :progress, warnings = :warnings, fallbacks = :fallbacks, lane = :lane, in_slot = 0,
                available_at = :now, deadline_at = :now + :deadline_ms, lease = NULL, worker_id = NULL
WHERE id = :id AND lease = :lease
"""

WITHDRAW_ATTEMPT = "DELETE FROM attempts WHERE id = :id AND state = 'intent'"

STORE_ATTEMPT = "UPDATE attempts SET state = 'stored', outputs = :outputs WHERE id = :id AND state = 'accepted'"

FAIL_ATTEMPT = """
UPDATE attempts SET state = 'failed', error_code = :code, error = :message, provider_error = :provider_error
WHERE id = :id AND state IN ('intent', 'accepted')
"""

LATE_ANSWER = "too late: "
"""How the history of a job begins to tell of an answer that came when its worker had lost the lease."""

REPORT_PROGRESS = "UPDATE jobs SET progress = :percent WHERE id = :id AND lease = :lease AND progress < :percent"

SET_WARNINGS = "UPDATE jobs SET warnings = :warnings WHERE id = :id AND lease = :lease"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that is ours to carry out until its lease is lost, with the attempts already made."""

    job: Job
    lease: str
    attempts: tuple[Attempt, ...]


class LeaseStore:
    """What one worker does with jobs. Methods that take a Claimed raise LeaseLost if it is no longer ours."""

    def __init__(
        self,
        database: Database,
        worker_id: str,
        *,
        pulse: Database | None = None,
        jobs_in_flight: int | None = None,
    ) -> None:
        """`pulse` is a way to the same database that is kept free for the heartbeat; `jobs_in_flight` is how many jobs
        an account may have in flight that has no such limit of its own.
        """
        self._database = database
        self._pulse = pulse or database
        self._worker_id = worker_id
        self._doubtful: set[str] = set()
        self._jobs_in_flight = jobs_in_flight

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call `heard` with WORK_CHANNEL's notes, until what this returns is called."""
        return self._database.listen(WORK_CHANNEL, heard)

    async def beat(self, ttl_s: float) -> bool:
        """Stay alive for another `ttl_s`, and say whether we were until now: if not, our leases may be another's."""

        async def body(transaction: Transaction) -> bool:
            ttl_ms = int(ttl_s * 1000)
            if await transaction.execute(BEAT, worker_id=self._worker_id, ttl_ms=ttl_ms):
                return True
            await transaction.execute(BEAT_ANEW, worker_id=self._worker_id, ttl_ms=ttl_ms)
            return False

        return await self._pulse.write(body)

    async def release_dead(self, *, all_workers: bool = False) -> int:
        """Take the leases from others that stopped beating; from every worker if the caller knows that none runs."""

        async def body(transaction: Transaction) -> int:
            if all_workers:
                workers = await transaction.fetch(ALL_WORKERS)
            else:
                workers = await transaction.fetch(DEAD_WORKERS, worker_id=self._worker_id)
            return await _release(transaction, sorted(worker["id"] for worker in workers))

        return await self._database.write(body)

    async def leave(self) -> None:
        """Give every lease back, so that another worker can go on at once; for a worker that stops in good order."""

        async def body(transaction: Transaction) -> None:
            # A claim that was given up may still be under way, and holds this row until it is done.
            await transaction.fetch(LOCK_WORKER, worker_id=self._worker_id)
            await _release(transaction, [self._worker_id])

        await self._database.write(body)

    async def claim(self, most: int) -> Sequence[Claimed]:
        """Up to `most` jobs that nobody works on: first those already begun, then queued ones whose lane has room.

        None while our heartbeat has run out: a lease without one would never be taken from us, should we die. A claim
        whose answer was lost may have been made all the same; the next one gives back what nobody here knows of.
        """
        lease = f"{self._worker_id}.{secrets.token_hex(8)}"
        doubtful = frozenset(self._doubtful)
        self._doubtful.add(lease)

        async def body(transaction: Transaction) -> list[Claimed]:
            if doubtful:
                await transaction.fetch(LOCK_WORKER, worker_id=self._worker_id)
            for earlier in doubtful:
                await _give_back(transaction, self._worker_id, earlier)
            if await fetch_one(transaction, ALIVE, worker_id=self._worker_id) is None:
                return []
            claimed: list[Claimed] = []
            rows = await transaction.fetch(CLAIM_UNOWNED, lease=lease, worker_id=self._worker_id, most=most)
            claimed.extend([await _claimed(transaction, row, lease) for row in rows])
            rooms = await lock_rooms(transaction, self._jobs_in_flight)
            for lane in sorted(row["lane"] for row in await transaction.fetch(OPEN_LANES)):
                room = most - len(claimed)
                if room <= 0:
                    break
                opened = await fetch_one(transaction, LOCK_OPEN_LANE, lane=lane)
                if opened is None:
                    continue
                if opened["free"] is not None:
                    room = min(room, opened["free"])
                ours = {"lease": lease, "worker_id": self._worker_id}
                if rooms is None:
                    taken = await transaction.fetch(CLAIM_QUEUED, lane=lane, most=room, **ours)
                else:
                    taken = await claim_within(transaction, rooms, lane=lane, most=room, **ours)
                if taken:
                    count = len(taken)
                    await transaction.execute(LEAVE_LANE, lane=lane, ready=-count, in_use=count)
                    claimed.extend(Claimed(job_from(row), lease, ()) for row in taken)
            return claimed

        claimed = await self._database.write(body)
        self._doubtful -= {lease, *doubtful}
        return claimed

    async def to_abort(self) -> Sequence[str]:
        """Which of our jobs an operator wants to end."""
        return [row["id"] for row in await self._database.read(ABORTING, worker_id=self._worker_id)]

    def disown(self, claimed: Sequence[Claimed]) -> None:
        """Claimed, and not begun: the next claim gives back what of it is still ours."""
        self._doubtful.update(one.lease for one in claimed)

    async def expire_overdue(self, most: int) -> int:
        """End up to `most` jobs that waited in the queue beyond their deadline, and say how many they were."""
        if not await self._database.read(OVERDUE, most=1):
            return 0

        async def body(transaction: Transaction) -> int:
            error = "The job was not started within its time limit, because others were before it; nothing was charged"
            ended: list[tuple[State, Row]] = []
            for was in (State.QUEUED, State.REROUTED):
                jobs = await transaction.fetch(EXPIRE_OVERDUE, was=was, most=most - len(ended), error=error)
                ended.extend((was, job) for job in jobs)
            for lane, count in sorted(Counter(job["lane"] for _, job in ended).items()):
                await transaction.execute(LEAVE_LANE, lane=lane, ready=-count, in_use=0)
            for was, job in sorted(ended, key=lambda one: (one[1]["account_id"], one[1]["seq"])):
                await record_move(transaction, {**job, "state": was}, State.EXPIRED, "expired")
            return len(ended)

        return await self._database.write(body)

    async def next_available_at(self) -> int | None:
        """When the next queued job of a lane with room may be claimed, in milliseconds; None if none waits."""
        lanes = await self._database.read(OPEN_LANES)
        times: list[int] = []
        rooms = await read_rooms(self._database.read, self._jobs_in_flight) if lanes else None
        for lane in lanes:
            if rooms is not None:
                at = await next_waiting_at(self._database.read, rooms, lane["lane"])
                times.extend([] if at is None else [at])
                continue
            rows = await self._database.read(NEXT_AVAILABLE, lane=lane["lane"])
            if rows and rows[0]["at"] is not None:
                times.append(rows[0]["at"])
        return min(times, default=None)

    async def intend(self, claimed: Claimed, *, attempt_id: str, part: int, n: int) -> Attempt:
        """Record that the provider is about to be called; the first intent of a job ends its `pending`."""

        async def body(transaction: Transaction) -> Attempt:
            row = await _lock(transaction, claimed)
            if State(row["state"]).waits_in_lane:
                model = f"'{row['served_provider']}/{row['served_model']}'"
                await _move(transaction, row, State.SUBMITTING, f"about to be submitted to {model}")
            await transaction.execute(INSERT_ATTEMPT, id=attempt_id, job_id=claimed.job.id, part=part, n=n)
            return Attempt(attempt_id, part, n, AttemptState.INTENT)

        return await self._database.write(body)

    async def accept(self, claimed: Claimed, attempt_id: str, handle: Handle, provider_video_id: str | None) -> None:
        """Record that the provider has accepted, and how to find the generation again."""

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, claimed)
            await transaction.execute(ACCEPT_ATTEMPT, id=attempt_id, handle=json.dumps(handle))
            if row["state"] == State.SUBMITTING:
                given = row["provider_video_id"] or provider_video_id
                as_named = "" if given is None else f" as '{given}'"
                cause = f"accepted by '{row['served_provider']}'{as_named}"
                await _move(transaction, row, State.RUNNING, cause, provider_video_id=given)

        await self._database.write(body)

    async def note_late_answer(self, job_id: str, attempt_id: str, provider_video_id: str | None) -> None:
        """Write into a job's history that an attempt was accepted after its lease had gone; nothing else is changed.

        The one write without a fence. It is for the operator, who can reconcile the job with the provider's id.
        """

        async def body(transaction: Transaction) -> None:
            row = await fetch_one(transaction, GET_ANY_JOB, id=job_id)
            if row is not None:
                known_as = "an id that it did not give" if provider_video_id is None else f"'{provider_video_id}'"
                cause = f"{LATE_ANSWER}attempt '{attempt_id}' was accepted as {known_as}"
                await record_event(transaction, row, State(row["state"]), cause)

        await self._database.write(body)

    async def withdraw(self, claimed: Claimed, attempt_id: str) -> None:
        """Take an intent back, because the provider surely has not accepted it."""

        async def body(transaction: Transaction) -> None:
            await _lock(transaction, claimed)
            await transaction.execute(WITHDRAW_ATTEMPT, id=attempt_id)

        await self._database.write(body)

    async def fall_back(self, claimed: Claimed, why: str, now_ms: int) -> None:
        """Leave the job to its next fallback, in that model's lane, and give the lease back.

        Its intents are taken back: call it only if the provider surely has accepted none. A job that was still in the
        queue stays there. Raises ValueError if there is no fallback, or an attempt that was answered.
        """

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, claimed)
            job = job_from(row)
            fallback = job.fallbacks.next
            if fallback is None:
                raise ValueError(f"job '{job.id}' has no fallback left")
            await transaction.execute(WITHDRAW_INTENTS, job_id=job.id)
            if await _attempts_of(transaction, job.id):
                raise ValueError(
                    f"job '{job.id}' has an attempt that was answered; it cannot be given to another model"
                )
            to = job.state if job.state.waits_in_lane else State.REROUTED
            if to is not job.state and to not in MOVES[job.state]:
                raise ValueError(f"job '{job.id}' cannot move from {job.state} to {to}")
            for lane in sorted({row["lane"], fallback.lane}):
                if lane == row["lane"] and row["in_slot"]:
                    await transaction.execute(LEAVE_LANE, lane=lane, ready=0, in_use=-1)
                if lane == fallback.lane:
                    await transaction.execute(ENTER_LANE, lane=lane, capacity=fallback.lane_capacity)
            was = f"{job.served_provider}/{job.served_model}"
            warning = f"'{fallback.name}' serves this request, because '{was}' did not accept it: {why}"
            await transaction.execute(
                REROUTE,
                id=job.id,
                lease=claimed.lease,
                to=to,
                provider=fallback.provider,
                model=fallback.model,
                surface=fallback.surface,
                credential=fallback.credential,
                request=fallback.request(job.request).to_json(),
                cost_usd=None if fallback.cost_usd is None else str(fallback.cost_usd),
                # Progress that callers have seen does not fall: neither by a slower estimate nor by a first report.
                usual_s=min(job.usual_s, fallback.usual_s),
                progress=job.percent(now_ms) if fallback.reports_progress else None,
                warnings=json.dumps([*job.warnings, warning, *fallback.warnings]),
                fallbacks=job.fallbacks.after_next().to_json(),
                lane=fallback.lane,
                deadline_ms=int(fallback.deadline_s * 1000),
            )
            await record_move(transaction, row, to, f"fell back from '{was}' to '{fallback.name}'")

        await self._database.write(body)

    async def report(self, claimed: Claimed, percent: int) -> None:
        """Record the provider's own progress, if it has risen."""

        async def body(transaction: Transaction) -> None:
            await _lock(transaction, claimed)
            await transaction.execute(REPORT_PROGRESS, id=claimed.job.id, lease=claimed.lease, percent=percent)
            transaction.notify(JOBS_CHANNEL, claimed.job.id)

        await self._database.write(body)

    async def warn(self, claimed: Claimed, warning: str) -> None:
        """Add a warning to the job, once."""

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, claimed)
            warnings = json.loads(row["warnings"])
            if warning not in warnings:
                await transaction.execute(
                    SET_WARNINGS, id=row["id"], lease=row["lease"], warnings=json.dumps([*warnings, warning])
                )

        await self._database.write(body)

    async def begin_storing(self, claimed: Claimed) -> None:
        """Record that the videos exist; the lane's slot is free for the next job from here on."""

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, claimed)
            if row["state"] != State.STORING:
                await _move(transaction, row, State.STORING, "finished at the provider")

        await self._database.write(body)

    async def keep(self, claimed: Claimed, attempt_id: str, outputs: Sequence[StoredVideo]) -> None:
        """Record that an attempt's videos are in our storage."""

        async def body(transaction: Transaction) -> None:
            await _lock(transaction, claimed)
            await transaction.execute(STORE_ATTEMPT, id=attempt_id, outputs=outputs_to_json(outputs))

        await self._database.write(body)

    async def fail_attempt(self, claimed: Claimed, attempt_id: str, problem: Problem) -> None:
        """Record that an attempt has failed for good."""

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, claimed)
            await _doom_unrecorded(transaction, row, attempt_id)
            await transaction.execute(
                FAIL_ATTEMPT,
                id=attempt_id,
                code=problem.code,
                message=problem.message,
                provider_error=problem.provider_error,
            )

        await self._database.write(body)

    async def put_back(self, claimed: Claimed) -> None:
        """Give one job's lease back, for the next claim to go on with."""

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, claimed)
            if State(row["state"]).waits_in_lane:
                await transaction.execute(LEAVE_LANE, lane=row["lane"], ready=1, in_use=-1)
            await _doom_unrecorded(transaction, row)
            await transaction.execute(UNLEASE_ONE, id=row["id"], lease=claimed.lease)

        await self._database.write(body)

    async def succeed(
        self, claimed: Claimed, outputs: Sequence[StoredVideo], cause: str, *, files_expire_at: int | None = None
    ) -> None:
        """Finish the job with its videos; the last write of its life. They go at `files_expire_at`, in milliseconds."""
        await self._finish(
            claimed,
            State.SUCCEEDED,
            cause,
            outputs=outputs_to_json(outputs),
            files_expire_at=files_expire_at,
            # A job that an operator has recovered had failed before.
            error_code=None,
            error=None,
            provider_error=None,
        )

    async def fail(self, claimed: Claimed, state: State, problem: Problem, *, is_free: bool = False) -> None:
        """Finish the job as failed or expired. `is_free`: nothing of it was submitted, whatever its reason may say."""
        await self._finish(
            claimed,
            state,
            problem.code,
            error_code=problem.code,
            error=problem.message,
            provider_error=problem.provider_error,
            **({"cost_usd": "0"} if is_free else {}),
        )

    async def _finish(self, claimed: Claimed, state: State, cause: str, **columns: object) -> None:
        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, claimed)
            await _move(transaction, row, state, cause, **columns)

        await self._database.write(body)


async def _lock(transaction: Transaction, claimed: Claimed) -> Row:
    row = await fetch_one(transaction, LOCK_LEASED, id=claimed.job.id, lease=claimed.lease)
    if row is None:
        raise LeaseLost(f"job '{claimed.job.id}' is no longer leased to this worker")
    return row


async def _move(transaction: Transaction, row: Row, to: State, cause: str, **columns: object) -> None:
    """The one function that moves a leased job; its row must be locked by this transaction."""
    was = State(row["state"])
    if to not in MOVES[was]:
        raise ValueError(f"job '{row['id']}' cannot move from {was} to {to}")
    sets = ["state = :to", "status = :status", *(f"{column} = :{column}" for column in columns)]
    if was is State.QUEUED and to is State.SUBMITTING:
        sets.append("started_at = :now")
    leaves_lane = row["in_slot"] and (to is State.STORING or to.is_final)
    if leaves_lane:
        sets.append("in_slot = 0")
        lane = await fetch_one(transaction, LEAVE_LANE_SLOT, lane=row["lane"])
        if lane is not None and lane["capacity"] is not None and lane["ready"] > 0:
            # Others wait for the slot, and the worker with room for them may be in another process.
            transaction.notify(WORK_CHANNEL, "")
    if to.is_final:
        sets.append("lease = NULL, worker_id = NULL, completed_at = :now")
    await transaction.execute(
        f"UPDATE jobs SET {', '.join(sets)} WHERE id = :id AND lease = :lease",  # noqa: S608 - fixed texts only
        id=row["id"],
        lease=row["lease"],
        to=to,
        status=to.status,
        **columns,
    )
    cost_usd = columns.get("cost_usd", row["cost_usd"])
    await record_move(transaction, {**row, "cost_usd": cost_usd}, to, cause)


async def _give_back(transaction: Transaction, worker_id: str, lease: str) -> None:
    jobs = await transaction.fetch(LEASED_IN_VAIN, worker_id=worker_id, lease=lease)
    await _put_down(transaction, jobs)
    await transaction.execute(UNLEASE_IN_VAIN, worker_id=worker_id, lease=lease)


async def _put_down(transaction: Transaction, jobs: Sequence[Row]) -> None:
    waiting = Counter(job["lane"] for job in jobs if State(job["state"]).waits_in_lane)
    for lane, count in sorted(waiting.items()):
        await transaction.execute(LEAVE_LANE, lane=lane, ready=count, in_use=-count)
    for job in jobs:
        await _doom_unrecorded(transaction, job)


async def _release(transaction: Transaction, worker_ids: Sequence[str]) -> int:
    """Take every lease of these workers, whose rows are locked, so that none of them is just claiming."""
    jobs: list[Row] = []
    for worker_id in worker_ids:
        jobs.extend(await transaction.fetch(LEASED_JOBS, worker_id=worker_id))
    await _put_down(transaction, jobs)
    for job in jobs:
        if not (state := State(job["state"])).waits_in_lane:
            await record_event(transaction, job, state, "its worker stopped; another goes on with it")
    for worker_id in worker_ids:
        await transaction.execute(UNLEASE, worker_id=worker_id)
        await transaction.execute(FORGET_WORKER, worker_id=worker_id)
    if jobs:
        transaction.notify(WORK_CHANNEL, "")
    return len(jobs)


async def _doom_unrecorded(transaction: Transaction, job: Row, attempt_id: str | None = None) -> None:
    """Have files removed that were stored under a lease which ends, and never recorded: of one attempt, or of all."""
    state = State(job["state"])
    if state in (State.QUEUED, State.REROUTED, State.SUBMITTING):
        return
    attempts = await transaction.fetch(ATTEMPTS_OF, job_id=job["id"])
    if state is State.RUNNING and len(attempts) == 1:
        return
    for attempt in attempts:
        if attempt["state"] == AttemptState.ACCEPTED and attempt_id in (None, attempt["id"]):
            for place in range(attempt["n"]):
                await transaction.execute(DOOM_FILE, key=video_key(job["id"], attempt["id"], place, job["lease"]))


async def _claimed(transaction: Transaction, row: Row, lease: str) -> Claimed:
    return Claimed(job_from(row), lease, await _attempts_of(transaction, row["id"]))


async def _attempts_of(transaction: Transaction, job_id: str) -> tuple[Attempt, ...]:
    rows = await transaction.fetch(ATTEMPTS_OF, job_id=job_id)
    return tuple(
        Attempt(
            id=row["id"],
            part=row["part"],
            n=row["n"],
            state=AttemptState(row["state"]),
            handle=None if row["handle"] is None else json.loads(row["handle"]),
            outputs=outputs_from(row["outputs"]),
            problem=problem_from(row),
        )
        for row in rows
    )
