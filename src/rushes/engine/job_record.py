"""What the steps of a leased job record: intents and answers, progress, stored videos, its end.

Every write but one is fenced: it finds no row unless the lease is still held, and raises LeaseLost then. Who
holds it is in leases.py; in which order a transaction locks, in moving.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.job import MOVES, Attempt, AttemptState, Job, Problem, State
from rushes.domain.output import StoredVideo
from rushes.domain.progress import Handle
from rushes.domain.request import VideoRequest
from rushes.errors import LeaseLost
from rushes.jobs.store import (
    DOOM_FILE,
    ENTER_LANE,
    GET_ANY_JOB,
    LEAVE_LANE,
    NEXT_TURN,
    job_from,
    outputs_from,
    outputs_to_json,
    problem_from,
    video_key,
)
from rushes.jobs.transitions import JOBS_CHANNEL, WORK_CHANNEL, record_event, record_move

LOCK_LEASED = "SELECT * FROM jobs WHERE id = :id AND lease = :lease FOR UPDATE"

ATTEMPTS_OF = "SELECT * FROM attempts WHERE job_id = :job_id ORDER BY part"

INSERT_ATTEMPT = """
INSERT INTO attempts (id, job_id, part, n, state, created_at) VALUES (:id, :job_id, :part, :n, 'intent', :now)
ON CONFLICT (id) DO NOTHING
"""

ACCEPT_ATTEMPT = "UPDATE attempts SET state = 'accepted', handle = :handle WHERE id = :id AND state = 'intent'"

WITHDRAW_ATTEMPT = "DELETE FROM attempts WHERE id = :id AND state = 'intent'"

WITHDRAW_INTENTS = "DELETE FROM attempts WHERE job_id = :job_id AND state = 'intent'"

REROUTE = f"""
UPDATE jobs SET state = :to, served_provider = :provider, served_model = :model, surface = :surface,
                credential = :credential, request = :request, cost_usd = :cost_usd, usual_s = :usual_s,
                progress = :progress, warnings = :warnings, fallbacks = :fallbacks, lane = :lane, turn = {NEXT_TURN},
                in_slot = 0, held = 0, available_at = :now, deadline_at = :now + :deadline_ms,
                lease = NULL, worker_id = NULL
WHERE id = :id AND lease = :lease
"""  # noqa: S608 - fixed texts only

STORE_ATTEMPT = "UPDATE attempts SET state = 'stored', outputs = :outputs WHERE id = :id AND state = 'accepted'"

FAIL_ATTEMPT = """
UPDATE attempts SET state = 'failed', error_code = :code, error = :message, provider_error = :provider_error
WHERE id = :id AND state IN ('intent', 'accepted')
"""

LATE_ANSWER = "too late: "
"""How the history of a job begins to tell of an answer that came when its worker had lost the lease."""

REPORT_PROGRESS = "UPDATE jobs SET progress = :percent WHERE id = :id AND lease = :lease AND progress < :percent"

SET_WARNINGS = "UPDATE jobs SET warnings = :warnings WHERE id = :id AND lease = :lease"

LEAVE_LANE_SLOT = "UPDATE lanes SET in_use = in_use - 1 WHERE lane = :lane RETURNING capacity, ready"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that is ours to carry out until its lease is lost, with the attempts already made."""

    job: Job
    lease: str
    lane: str
    attempts: tuple[Attempt, ...]


class StepStore:
    """The steps of jobs that are ours. Methods that take a Claimed raise LeaseLost if it is no longer ours."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def intend(self, claimed: Claimed, *, attempt_id: str, part: int, n: int) -> Attempt:
        """Record that the provider is about to be called; the first intent of a job ends its `pending`."""

        async def body(transaction: Transaction) -> Attempt:
            row = await lock_leased(transaction, claimed)
            await transaction.execute(INSERT_ATTEMPT, id=attempt_id, job_id=claimed.job.id, part=part, n=n)
            if State(row["state"]).waits_in_lane:
                model = f"'{row['served_provider']}/{row['served_model']}'"
                await _move(transaction, row, State.SUBMITTING, f"about to be submitted to {model}")
            return Attempt(attempt_id, part, n, AttemptState.INTENT)

        return await self._database.write(body)

    async def accept(self, claimed: Claimed, attempt_id: str, handle: Handle, provider_video_id: str | None) -> None:
        """Record that the provider has accepted, and how to find the generation again."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
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
            await lock_leased(transaction, claimed)
            await transaction.execute(WITHDRAW_ATTEMPT, id=attempt_id)

        await self._database.write(body)

    async def fall_back(self, claimed: Claimed, why: str, now_ms: int) -> None:
        """Leave the job to its next fallback, in that model's lane, and give the lease back.

        Its intents are taken back: call it only if the provider surely has accepted none. A job that was still in the
        queue stays there. Raises ValueError if there is no fallback, or an attempt that was answered.
        """

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
            job = job_from(row)
            fallback = job.fallbacks.next
            if fallback is None:
                raise ValueError(f"job '{job.id}' has no fallback left")
            await transaction.execute(WITHDRAW_INTENTS, job_id=job.id)
            if await attempts_of(transaction, job.id):
                raise ValueError(
                    f"job '{job.id}' has an attempt that was answered; it cannot be given to another model"
                )
            to = job.state if job.state.waits_in_lane else State.REROUTED
            if to is not job.state and to not in MOVES[job.state]:
                raise ValueError(f"job '{job.id}' cannot move from {job.state} to {to}")
            lane_turn = 0
            for lane in sorted({row["lane"], fallback.lane}):
                if lane == row["lane"] and row["in_slot"]:
                    await transaction.execute(LEAVE_LANE, lane=lane, ready=0, in_use=-1)
                if lane == fallback.lane:
                    (entered,) = await transaction.fetch(ENTER_LANE, lane=lane, capacity=fallback.lane_capacity)
                    lane_turn = entered["turn"]
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
                account_id=job.account_id,
                lane=fallback.lane,
                lane_turn=lane_turn,
                deadline_ms=int(fallback.deadline_s * 1000),
            )
            await record_move(transaction, row, to, f"fell back from '{was}' to '{fallback.name}'")
            # Another worker may have room in that lane, where this one has none.
            transaction.notify(WORK_CHANNEL, "")

        await self._database.write(body)

    async def report(self, claimed: Claimed, percent: int) -> None:
        """Record the provider's own progress, if it has risen."""

        async def body(transaction: Transaction) -> None:
            await lock_leased(transaction, claimed)
            await transaction.execute(REPORT_PROGRESS, id=claimed.job.id, lease=claimed.lease, percent=percent)
            transaction.notify(JOBS_CHANNEL, claimed.job.id)

        await self._database.write(body)

    async def warn(self, claimed: Claimed, warning: str) -> None:
        """Add a warning to the job, once."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
            warnings = json.loads(row["warnings"])
            if warning not in warnings:
                await transaction.execute(
                    SET_WARNINGS, id=row["id"], lease=row["lease"], warnings=json.dumps([*warnings, warning])
                )

        await self._database.write(body)

    async def begin_storing(self, claimed: Claimed) -> None:
        """Record that the videos exist; the lane's slot is free for the next job from here on."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
            if row["state"] != State.STORING:
                await _move(transaction, row, State.STORING, "finished at the provider")

        await self._database.write(body)

    async def keep(self, claimed: Claimed, attempt_id: str, outputs: Sequence[StoredVideo]) -> None:
        """Record that an attempt's videos are in our storage."""

        async def body(transaction: Transaction) -> None:
            await lock_leased(transaction, claimed)
            await transaction.execute(STORE_ATTEMPT, id=attempt_id, outputs=outputs_to_json(outputs))

        await self._database.write(body)

    async def fail_attempt(self, claimed: Claimed, attempt_id: str, problem: Problem) -> None:
        """Record that an attempt has failed for good."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
            await doom_unrecorded(transaction, row, attempt_id)
            await transaction.execute(
                FAIL_ATTEMPT,
                id=attempt_id,
                code=problem.code,
                message=problem.message,
                provider_error=problem.provider_error,
            )

        await self._database.write(body)

    async def succeed(
        self,
        claimed: Claimed,
        outputs: Sequence[StoredVideo],
        cause: str,
        *,
        files_expire_at: int | None = None,
        of_attempt: str | None = None,
    ) -> None:
        """Finish the job with its videos; the last write of its life. They go at `files_expire_at`, in milliseconds.

        If all are of one attempt, `of_attempt`, this records what `keep` does too.
        """
        await self._finish(
            claimed,
            State.SUCCEEDED,
            cause,
            of_attempt=of_attempt,
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

    async def _finish(
        self, claimed: Claimed, state: State, cause: str, *, of_attempt: str | None = None, **columns: object
    ) -> None:
        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
            if of_attempt is not None:
                # Before the move, which settles what the attempts have cost.
                await transaction.execute(STORE_ATTEMPT, id=of_attempt, outputs=columns["outputs"])
            await _move(transaction, row, state, cause, **columns)

        await self._database.write(body)


async def lock_leased(transaction: Transaction, claimed: Claimed) -> Row:
    """The job's row, locked. Raises LeaseLost if it is no longer ours."""
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
    moved = {**row, "cost_usd": cost_usd}
    await record_move(transaction, moved, to, cause, before_counting=_leave_lane if leaves_lane else None)


async def _leave_lane(transaction: Transaction, job: Row) -> None:
    lane = await fetch_one(transaction, LEAVE_LANE_SLOT, lane=job["lane"])
    if lane is not None and lane["capacity"] is not None and lane["ready"] > 0:
        # Others wait for the slot, and the worker with room for them may be in another process.
        transaction.notify(WORK_CHANNEL, "")


async def doom_unrecorded(transaction: Transaction, job: Row, attempt_id: str | None = None) -> None:
    """Have files removed that were stored under a lease which ends, and never recorded: of one attempt, or of all."""
    state = State(job["state"])
    if state in (State.QUEUED, State.REROUTED, State.SUBMITTING):
        return
    attempts = await transaction.fetch(ATTEMPTS_OF, job_id=job["id"])
    is_whole = len(attempts) == 1 and attempts[0]["n"] == VideoRequest.from_json(job["request"]).n
    if state is State.RUNNING and is_whole:
        # The only call of its job has stored nothing before the job is `storing`.
        return
    for attempt in attempts:
        if attempt["state"] == AttemptState.ACCEPTED and attempt_id in (None, attempt["id"]):
            for place in range(attempt["n"]):
                await transaction.execute(DOOM_FILE, key=video_key(job["id"], attempt["id"], place, job["lease"]))


async def attempts_of(transaction: Transaction, job_id: str) -> tuple[Attempt, ...]:
    """The attempts of a job, by their parts."""
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
