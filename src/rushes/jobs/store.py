"""Jobs in the database: what callers read and change, each in one transaction.

The worker's half is in leases.py and steps.py.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic_core import from_json

from rushes.accounts.limits import LIMITS_OF_BOTH, NO_LIMITS, WHOLE_ACCOUNT, Limits, limits_among
from rushes.catalogue.wording import shown
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.fallbacks import NO_FALLBACKS, Fallbacks
from rushes.domain.job import Job, Problem, State, Status
from rushes.domain.notification import Listener
from rushes.domain.output import StoredVideo
from rushes.domain.request import VideoRequest
from rushes.errors import JobNotFinished, JobNotFound, NotCancellable, UnusableInput
from rushes.jobs.admission import Allowances, check_queue, queue_full
from rushes.jobs.idempotency import KEPT_MS, Once, Replay, replayed
from rushes.jobs.recent import RecentJobs
from rushes.jobs.transitions import WORK_CHANNEL, record_acceptance, record_deletion, record_event, record_move
from rushes.money.costs import Reservation, reservation_for

# An account's next job in a lane comes one turn after its last that waits there, or after the last that was claimed
# (`lane_turn`). The lane's row is locked by then, so the account takes no turn twice.
NEXT_TURN = """
COALESCE((SELECT MAX(turn) FROM jobs WHERE lane = :lane AND account_id = :account_id
          AND state IN ('queued', 'rerouted') AND lease IS NULL AND turn > :lane_turn), :lane_turn) + 1
"""

INSERT_JOB = f"""
INSERT INTO jobs (id, account_id, key_id, state, status, provider, model, served_provider, served_model, request,
                  response_format, cost_usd, usual_s, warnings, lane, available_at, deadline_at, progress, created_at,
                  surface, credential, byok, fallbacks, asked_model, source_job_id, listener,
                  request_id, traceparent, reserved_microusd, held, turn)
VALUES (:id, :account_id, :key_id, 'queued', 'pending', :provider, :model, :served_provider, :served_model, :request,
        :response_format, :cost_usd, :usual_s, :warnings, :lane, :now + :hold_ms, :now + :deadline_ms, :progress, :now,
        :surface, :credential, :byok, :fallbacks, :asked_model, :source_job_id, :listener,
        :request_id, :traceparent, :reserved_microusd, :held, {NEXT_TURN})
RETURNING *
"""  # noqa: S608 - fixed texts only

ENTER_LANE = """
INSERT INTO lanes (lane, capacity, ready, in_use) VALUES (:lane, :capacity, 1, 0)
ON CONFLICT (lane) DO UPDATE SET ready = lanes.ready + 1, capacity = excluded.capacity
RETURNING turn
"""

LEAVE_LANE = "UPDATE lanes SET ready = ready + :ready, in_use = in_use + :in_use WHERE lane = :lane"

KEEP_SEALED = "INSERT INTO byok_secrets (job_id, sealed) VALUES (:job_id, :sealed)"

GET_SEALED = "SELECT sealed FROM byok_secrets WHERE job_id = :job_id"

FIND_ANSWER = """
SELECT body_hash, answer FROM idempotency
WHERE account_id = :account_id AND route = :route AND key = :key AND created_at > :now - :kept_ms
"""

KEEP_ANSWER = """
INSERT INTO idempotency (account_id, route, key, body_hash, answer, created_at)
VALUES (:account_id, :route, :key, :body_hash, :answer, :now)
ON CONFLICT (account_id, route, key) DO UPDATE
SET body_hash = excluded.body_hash, answer = excluded.answer, created_at = excluded.created_at
WHERE idempotency.created_at <= excluded.created_at - :kept_ms
"""

# Only a file that is whole and not being removed; the reference keeps it until the job ends (media/input_store.py).
NEED_INPUT = """
INSERT INTO job_inputs (job_id, key) SELECT :job_id, key FROM inputs WHERE key = :key AND sha256 IS NOT NULL FOR UPDATE
"""

GET_JOB = "SELECT * FROM jobs WHERE id = :id AND account_id = :account_id"

# What `job_from` needs: every column that is left out is time won for who waits for a video.
READ_JOB = """
SELECT seq, id, account_id, key_id, state, provider, model, served_provider, served_model, request, response_format,
       cost_usd, usual_s, warnings, available_at, deadline_at, progress, provider_video_id, error_code, error,
       provider_error, outputs, created_at, started_at, completed_at, cancelled_at, files_expire_at, surface,
       credential, byok, fallbacks, asked_model, source_job_id, listener, abort_requested_at, reserved_microusd,
       spent_microusd, request_id, traceparent
FROM jobs WHERE id = :id AND account_id = :account_id
"""

GET_ANY_JOB = "SELECT * FROM jobs WHERE id = :id"

LOCK_JOB = GET_JOB + " FOR UPDATE"

COUNT_JOBS = "SELECT status, jobs FROM job_counts WHERE account_id = :account_id"

DELETE_JOB = "DELETE FROM jobs WHERE id = :id"

DELETE_ATTEMPTS = "DELETE FROM attempts WHERE job_id = :id"

DELETE_EVENTS = "DELETE FROM job_events WHERE job_id = :id"

DOOM_FILE = "INSERT INTO doomed_files (key) VALUES (:key) ON CONFLICT (key) DO NOTHING"

CANCEL_QUEUED = """
UPDATE jobs SET state = 'cancelled', status = 'failed', cancelled_at = :now, completed_at = :now, lease = NULL,
                worker_id = NULL, in_slot = 0, error_code = 'cancelled', error = :error
WHERE id = :id AND state = 'queued'
"""


# Found through the index on time, so that a page deep in the past does not walk over all that is newer. The greatest of
# some, because jobs that are accepted at once may get their numbers in another order than their times.
NEWEST_BEFORE = """
SELECT MAX(seq) FROM (
    SELECT seq FROM jobs WHERE account_id = :account_id AND created_at < :created_before
    ORDER BY created_at DESC, seq DESC LIMIT 100
) AS newest
"""


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is pinned when a job is accepted. `lane_capacity` None means no limit of ours."""

    id: str
    account_id: str
    key_id: str
    provider: str
    model: str
    served_provider: str
    served_model: str
    request: VideoRequest
    response_format: str
    cost_usd: Decimal | None
    usual_s: float
    reports_progress: bool
    warnings: tuple[str, ...]
    lane: str
    lane_capacity: int | None
    hold_s: float
    deadline_s: float
    surface: str | None = None
    credential: str | None = None
    sealed_secret: str | None = None
    """The caller's own provider key, sealed; None where the job runs on ours, or on none."""
    fallbacks: Fallbacks = NO_FALLBACKS
    asked_model: str | None = None
    source_job_id: str | None = None
    listener: Listener | None = None
    request_id: str | None = None
    traceparent: str | None = None
    unpriced_allowed: bool = False
    """Whether a spend limit lets it pass although a price is not known."""

    @property
    def reservation(self) -> Reservation:
        """What is set aside for it: the dearest of the models that may run it."""
        served = (f"{self.served_provider}/{self.served_model}", self.cost_usd)
        return reservation_for([served, *((one.name, one.cost_usd) for one in self.fallbacks.models)])


Deleting = Callable[[Transaction, Row], Awaitable[None]]
"""Told of a job, by its row, in the transaction that deletes it and before anything of it is gone."""


async def _nobody_minds(_transaction: Transaction, _job: Row) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Listing:
    """Which of an account's jobs, newest first unless `oldest_first`; every given condition holds.

    A page begins beyond the job of `beyond_seq`, in whichever order. Of the times, after is inclusive, before is not.
    """

    limit: int
    skip: int = 0
    oldest_first: bool = False
    beyond_seq: int | None = None
    status: Status | None = None
    model: str | None = None
    provider: str | None = None
    created_after_ms: int | None = None
    created_before_ms: int | None = None

    @property
    def counted(self) -> bool:
        """Whether the number of all matching jobs is kept: with no filter, or by status alone."""
        given = (self.model, self.provider, self.created_after_ms, self.created_before_ms)
        return all(value is None for value in given)


class JobStore:
    """What callers do with jobs. `defaults` limit accounts that have no limits of their own."""

    def __init__(self, database: Database, defaults: Limits = NO_LIMITS, *, deleting: Deleting = _nobody_minds) -> None:
        self._database = database
        self._defaults = defaults
        self._deleting = deleting
        self._recent = RecentJobs(job_from)

    async def find_answer(self, account_id: str, once: Once) -> Replay | None:
        """What an earlier request of the same idempotency key was answered. Raises IdempotencyMismatch."""
        rows = await self._database.read(
            FIND_ANSWER, account_id=account_id, route=once.route, key=once.key, kept_ms=KEPT_MS
        )
        return replayed(once, rows[0]["body_hash"], rows[0]["answer"]) if rows else None

    async def sealed_secret(self, job_id: str) -> str | None:
        """The sealed provider key that the caller brought for this job, while it lasts."""
        rows = await self._database.read(GET_SEALED, job_id=job_id)
        return rows[0]["sealed"] if rows else None

    async def check_room(self, account_id: str, key_id: str) -> None:
        """Raise QueueFull if a job could surely not be stored now."""
        left = await Allowances(self._database, self._defaults).remaining(account_id, key_id)
        if left.queued_jobs == 0:
            raise queue_full()

    async def create(self, new: NewJob) -> Job:
        """Store a queued job; when this returns it survives loss of power, and its input files are kept for it.

        Raises UnusableInput if an input file is gone, SpendLimitReached, PriceUnknown under a spend limit, QueueFull.
        """
        return await self._database.write(lambda transaction: _insert(transaction, new, self._defaults))

    async def create_once(self, new: NewJob, once: Once) -> Job | Replay:
        """The same under an idempotency key, whose answer is stored in the job's own transaction.

        Of many requests at one time one makes the job, and the others get its answer. Raises IdempotencyMismatch too.
        """

        async def body(transaction: Transaction) -> Job | Replay:
            account_id = new.account_id
            earlier = await fetch_one(
                transaction, FIND_ANSWER, account_id=account_id, route=once.route, key=once.key, kept_ms=KEPT_MS
            )
            if earlier is not None:
                return replayed(once, earlier["body_hash"], earlier["answer"])
            job = await _insert(transaction, new, self._defaults)
            kept = await transaction.execute(
                KEEP_ANSWER,
                account_id=account_id,
                route=once.route,
                key=once.key,
                body_hash=once.body_hash,
                answer=once.answer_of(job),
                kept_ms=KEPT_MS,
            )
            if not kept:
                raise _Overtaken
            return job

        try:
            return await self._database.write(body)
        except _Overtaken:
            replay = await self.find_answer(new.account_id, once)
            assert replay is not None
            return replay

    async def get(self, account_id: str, job_id: str) -> Job:
        """The account's job. Raises JobNotFound if it has none of this id."""
        rows = await self._database.read(READ_JOB, id=job_id, account_id=account_id)
        if not rows:
            raise _no_such_job(job_id)
        return self._recent.job_of(rows[0])

    async def get_any(self, job_id: str) -> Job:
        """The job of this id, whosever it is. Raises JobNotFound."""
        rows = await self._database.read(GET_ANY_JOB, id=job_id)
        if not rows:
            raise _no_such_job(job_id)
        return job_from(rows[0])

    async def list(self, account_id: str, listing: Listing) -> Sequence[Job]:
        """The account's matching jobs, in the order that the listing says."""
        conditions = ["account_id = :account_id"]
        if listing.beyond_seq is not None:
            conditions.append("seq > :beyond_seq" if listing.oldest_first else "seq < :beyond_seq")
        if listing.status is not None:
            conditions.append("status = :status")
        if listing.model is not None:
            conditions.append("model = :model")
        if listing.provider is not None:
            conditions.append("provider = :provider")
        if listing.created_after_ms is not None:
            conditions.append("created_at >= :created_after")
        if listing.created_before_ms is not None:
            conditions.append(f"seq <= ({NEWEST_BEFORE}) AND created_at < :created_before")
        order = "ASC" if listing.oldest_first else "DESC"
        sql = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)} ORDER BY seq {order} LIMIT :limit OFFSET :skip"  # noqa: S608 - fixed texts only
        rows = await self._database.read(
            sql,
            account_id=account_id,
            beyond_seq=listing.beyond_seq,
            status=listing.status,
            model=listing.model,
            provider=listing.provider,
            created_after=listing.created_after_ms,
            created_before=listing.created_before_ms,
            limit=listing.limit,
            skip=listing.skip,
        )
        return [job_from(row) for row in rows]

    async def count(self, account_id: str, status: Status | None = None) -> int:
        """How many jobs the account has, all or in one status; read from counters, never counted."""
        rows = await self._database.read(COUNT_JOBS, account_id=account_id)
        return sum(row["jobs"] for row in rows if status is None or row["status"] == status)

    async def cancel(self, account_id: str, job_id: str) -> Job:
        """Cancel a queued job for good; cancelling it again is no error.

        Raises JobNotFound, or NotCancellable if it has left the queue. Races the worker's intent in the database: one
        of the two statements finds the job queued, and the other does not.
        """

        async def body(transaction: Transaction) -> Job:
            row = await fetch_one(transaction, LOCK_JOB, id=job_id, account_id=account_id)
            if row is None:
                raise _no_such_job(job_id)
            if row["state"] == State.CANCELLED:
                return job_from(row)
            message = "The job was cancelled before it was submitted; nothing was charged."
            if not await transaction.execute(CANCEL_QUEUED, id=job_id, error=message):
                raise NotCancellable(
                    f"Only pending jobs can be cancelled; '{job_id}' is {State(row['state']).status.value}"
                )
            claimed = row["in_slot"]
            await transaction.execute(
                LEAVE_LANE, lane=row["lane"], ready=0 if claimed else -1, in_use=-1 if claimed else 0
            )
            if claimed:
                transaction.notify(WORK_CHANNEL, "")
            await record_move(transaction, row, State.CANCELLED, "cancelled by the caller")
            changed = await fetch_one(transaction, GET_JOB, id=job_id, account_id=account_id)
            assert changed is not None
            return job_from(changed)

        return await self._database.write(body)

    async def delete(self, account_id: str, job_id: str) -> None:
        """Forget a finished job; its files follow. Raises JobNotFound, or JobNotFinished while it has a future."""

        async def body(transaction: Transaction) -> None:
            row = await fetch_one(transaction, LOCK_JOB, id=job_id, account_id=account_id)
            if row is None:
                raise _no_such_job(job_id)
            job = job_from(row)
            if not job.state.is_final:
                raise JobNotFinished(
                    f"Only finished jobs can be deleted; '{job_id}' is {job.status.value}"
                    + ("; cancel it first" if job.status is Status.PENDING else "")
                )
            await self._deleting(transaction, row)
            await doom_files(transaction, job)
            for statement in (DELETE_EVENTS, DELETE_ATTEMPTS, DELETE_JOB):
                await transaction.execute(statement, id=job_id)
            await record_deletion(transaction, row)

        await self._database.write(body)
        self._recent.forget(job_id)


class _Overtaken(Exception):
    """Another transaction of the same idempotency key was committed first; ours is rolled back."""


async def _insert(transaction: Transaction, new: NewJob, defaults: Limits) -> Job:
    reservation = new.reservation
    hold_ms = int(new.hold_s * 1000)
    if new.sealed_secret is not None:
        await transaction.execute(KEEP_SEALED, job_id=new.id, sealed=new.sealed_secret)
    for _, media in sorted({media.key: media for media in new.request.media}.items()):
        if not await transaction.execute(NEED_INPUT, job_id=new.id, key=media.key):
            raise UnusableInput(f"{media.role}: the file was removed before the job began; send it again", media.role)
    limits = await transaction.fetch(LIMITS_OF_BOTH, account_id=new.account_id, key_id=new.key_id)
    # From here on others wait for us, whose jobs are in the same lane or of the same account.
    (lane,) = await transaction.fetch(ENTER_LANE, lane=new.lane, capacity=new.lane_capacity)
    rows = await transaction.fetch(
        INSERT_JOB,
        id=new.id,
        account_id=new.account_id,
        key_id=new.key_id,
        provider=new.provider,
        model=new.model,
        served_provider=new.served_provider,
        served_model=new.served_model,
        request=new.request.to_json(),
        response_format=new.response_format,
        cost_usd=None if new.cost_usd is None else str(new.cost_usd),
        usual_s=new.usual_s,
        warnings=json.dumps(new.warnings),
        lane=new.lane,
        hold_ms=hold_ms,
        deadline_ms=int(new.deadline_s * 1000),
        progress=0 if new.reports_progress else None,
        surface=new.surface,
        credential=new.credential,
        byok=int(new.sealed_secret is not None),
        fallbacks=new.fallbacks.to_json(),
        asked_model=new.asked_model,
        source_job_id=new.source_job_id,
        listener=None if new.listener is None else new.listener.to_json(),
        request_id=new.request_id,
        traceparent=new.traceparent,
        reserved_microusd=reservation.microusd,
        held=int(hold_ms > 0),
        lane_turn=lane["turn"],
    )
    await record_event(transaction, rows[0], State.QUEUED, "accepted")
    await record_acceptance(transaction, rows[0], reservation, limits, unpriced_allowed=new.unpriced_allowed)
    of_account = limits_among(limits, WHOLE_ACCOUNT).over(defaults)
    await check_queue(transaction, new.account_id, new.key_id, of_account, limits_among(limits, new.key_id))
    transaction.notify(WORK_CHANNEL, str(hold_ms))
    return job_from(rows[0])


async def doom_files(transaction: Transaction, job: Job) -> None:
    """Note that a job's files are to be removed from storage."""
    for index, output in enumerate(job.outputs):
        await transaction.execute(DOOM_FILE, key=output.key)
        await transaction.execute(DOOM_FILE, key=poster_key(job.id, index))


def video_key(job_id: str, attempt_id: str, place: int, lease: str) -> str:
    """Where a worker keeps one video of an attempt, under a name that no other lease has.

    Files know no fence: whoever has lost the lease may still write and delete. Not in a folder of the job's own, since
    making that durable costs a disk one more sync for each.
    """
    return f"videos/{job_id[-2:]}/{job_id}-{attempt_id}-{place}-{lease.rpartition('.')[2]}.mp4"


def poster_key(job_id: str, index: int) -> str:
    """Where the poster frame of a job's video is kept, once somebody has asked for it."""
    return f"posters/{job_id}/{index}.jpg"


def job_from(row: Row) -> Job:
    """The job that a row of `jobs` holds."""
    return Job(
        seq=row["seq"],
        id=row["id"],
        account_id=row["account_id"],
        key_id=row["key_id"],
        state=State(row["state"]),
        provider=row["provider"],
        model=row["model"],
        served_provider=row["served_provider"],
        served_model=row["served_model"],
        request=VideoRequest.from_json(row["request"]),
        response_format=row["response_format"],
        cost_usd=None if row["cost_usd"] is None else Decimal(row["cost_usd"]),
        usual_s=row["usual_s"],
        warnings=tuple(from_json(row["warnings"])),
        available_at=row["available_at"],
        deadline_at=row["deadline_at"],
        progress=row["progress"],
        problem=problem_from(row),
        outputs=outputs_from(row["outputs"]),
        provider_video_id=row["provider_video_id"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        cancelled_at=row["cancelled_at"],
        files_expire_at=row["files_expire_at"],
        surface=row["surface"],
        credential=row["credential"],
        byok=bool(row["byok"]),
        fallbacks=Fallbacks.from_json(row["fallbacks"]),
        asked_model=row["asked_model"],
        source_job_id=row["source_job_id"],
        listener=Listener.from_json(row["listener"]),
        # A webhook's snapshot of a deleted job may be older than these columns.
        request_id=row.get("request_id"),
        traceparent=row.get("traceparent"),
        abort_requested=row["abort_requested_at"] is not None,
        reserved_microusd=row["reserved_microusd"],
        spent_microusd=row["spent_microusd"],
    )


def problem_from(row: Row) -> Problem | None:
    """Why the job or attempt in this row failed, if it did."""
    if row["error_code"] is None:
        return None
    return Problem(row["error_code"], row["error"], row["provider_error"])


def outputs_from(text: str | None) -> tuple[StoredVideo, ...]:
    """The stored videos that an `outputs` column lists."""
    if text is None:
        return ()
    content = from_json(text)
    return tuple(StoredVideo(**item) for item in content["videos"])


def outputs_to_json(outputs: Sequence[StoredVideo]) -> str:
    """The versioned form that an `outputs` column keeps."""
    return json.dumps({"version": 1, "videos": [output.to_json() for output in outputs]})


def _no_such_job(job_id: str) -> JobNotFound:
    return JobNotFound(f"Job {shown(job_id)} not found")
