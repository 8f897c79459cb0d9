"""Jobs in the database: what callers read and change, each in one transaction.

The worker's half is in `engine/claims.py` and `engine/job_record.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rushes.accounts.limits import NO_LIMITS, Limits
from rushes.catalogue.wording import shown
from rushes.db.database import Database, Row, Transaction, fetch_one, fetch_row
from rushes.domain.job import Job, State, Status
from rushes.domain.tenant import Tenant
from rushes.errors import JobNotFinished, JobNotFound, NotCancellable
from rushes.jobs.acceptance import Acceptances, insert
from rushes.jobs.admission import Allowances, queue_full
from rushes.jobs.guardrail.store import DELETE_RECORDS_OF_JOB
from rushes.jobs.idempotency import KEPT_MS, Once, Replay, replayed
from rushes.jobs.new_job import NewJob
from rushes.jobs.retention import delete_files
from rushes.jobs.rows import GET_ANY_JOB, SELECT_JOB, RecentJobs, job_from
from rushes.jobs.transitions import can_move, move, record_deletion

GET_SEALED = "SELECT sealed FROM byok_secrets WHERE job_id = :job_id"

FIND_ANSWER = """
SELECT body_hash, answer FROM idempotency
WHERE account_id = :tenant AND route = :route AND key = :key AND created_at > :now - :kept_ms
"""

KEEP_ANSWER = """
INSERT INTO idempotency (account_id, route, key, body_hash, answer, created_at)
VALUES (:tenant, :route, :key, :body_hash, :answer, :now)
ON CONFLICT (account_id, route, key) DO UPDATE
SET body_hash = excluded.body_hash, answer = excluded.answer, created_at = excluded.created_at
WHERE idempotency.created_at <= excluded.created_at - :kept_ms
"""

GET_JOB = SELECT_JOB + " WHERE id = :id AND tenant = :tenant"

LOCK_JOB = "SELECT * FROM jobs WHERE id = :id AND tenant = :tenant FOR UPDATE"

SELECT_REQUEST = "SELECT seq, id, created_at, request FROM jobs"

JOBS_AMONG = SELECT_JOB + " WHERE tenant = :tenant AND id IN ({}) ORDER BY seq DESC"

ATTEMPTS = "SELECT n, handle, outputs FROM attempts WHERE job_id = :job_id ORDER BY part"

COUNT_JOBS = "SELECT status, jobs FROM job_counts WHERE account_id = :tenant"

# A list by id goes on from where a job stood that was deleted meanwhile.
KEEP_PLACE = """
INSERT INTO deleted_jobs (id, account_id, tenant, seq, deleted_at)
VALUES (:id, :account_id, :tenant, :seq, :now)
ON CONFLICT (id) DO NOTHING
"""

PLACE = """
SELECT seq FROM jobs WHERE id = :id AND tenant = :tenant
UNION ALL SELECT seq FROM deleted_jobs WHERE id = :id AND tenant = :tenant
"""

DELETE_JOB = "DELETE FROM jobs WHERE id = :id"

DELETE_ATTEMPTS = "DELETE FROM attempts WHERE job_id = :id"

DELETE_EVENTS = "DELETE FROM job_events WHERE job_id = :id"

# Found through the index on time, so that a page deep in the past does not walk over all that is newer. The greatest of
# some, because jobs that are accepted at once may get their numbers in another order than their times.
NEWEST_BEFORE = """
SELECT MAX(seq) FROM (
    SELECT seq FROM jobs WHERE tenant = :tenant AND created_at < :created_before
    ORDER BY created_at DESC, seq DESC LIMIT 100
) AS newest
"""


MOST_LISTED_BYTES = 2 * 1024**2
"""Of stored requests and outputs in one list; a job's request has at most 64 KiB."""
READ_AT_ONCE = 32
MOST_READ_AT_ONCE = 256
"""How many jobs one query of a list reads."""

Deleting = Callable[[Transaction, Row], Awaitable[None]]
"""Called with the row of a job, in the transaction that deletes it and before anything of it is gone."""


async def _nothing_to_do(_transaction: Transaction, _job: Row) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Listing:
    """Which of a tenant's jobs, newest first unless `oldest_first`; every given condition holds.

    A page begins beyond the job of `beyond_seq`, in whichever order. Of the times, after is inclusive, before is not.
    """

    limit: int
    skip: int = 0
    oldest_first: bool = False
    beyond_seq: int | None = None
    status: Status | None = None
    model: str | None = None
    provider: str | None = None
    user: str | None = None
    created_after_ms: int | None = None
    created_before_ms: int | None = None

    @property
    def counted(self) -> bool:
        """Whether the number of all matching jobs is kept: with no filter, or by status alone."""
        given = (self.model, self.provider, self.user, self.created_after_ms, self.created_before_ms)
        return all(value is None for value in given)


@dataclass(frozen=True, slots=True)
class RequestText:
    """A job's request as it is stored, for reading many of them at little cost."""

    seq: int
    job_id: str
    created_at: int
    request: str


@dataclass(frozen=True, slots=True)
class FoundJobs:
    """Jobs of a list. `is_cut`: there may be more, left out because those before are large."""

    jobs: Sequence[Job]
    is_cut: bool


def _list_sql(selecting: str, listing: Listing) -> str:
    conditions = ["tenant = :tenant"]
    if listing.beyond_seq is not None:
        conditions.append("seq > :beyond_seq" if listing.oldest_first else "seq < :beyond_seq")
    if listing.status is not None:
        conditions.append("status = :status")
    if listing.model is not None:
        conditions.append("model = :model")
    if listing.provider is not None:
        conditions.append("provider = :provider")
    if listing.user is not None:
        conditions.append("user_tag = :user")
    if listing.created_after_ms is not None:
        conditions.append("created_at >= :created_after")
    if listing.created_before_ms is not None:
        conditions.append(f"seq <= ({NEWEST_BEFORE}) AND created_at < :created_before")
    order = "ASC" if listing.oldest_first else "DESC"
    where = " AND ".join(conditions)
    return f"{selecting} WHERE {where} ORDER BY seq {order} LIMIT :limit OFFSET :skip"


def _list_parameters(tenant: Tenant, listing: Listing) -> dict[str, object]:
    return {
        "tenant": tenant,
        "beyond_seq": listing.beyond_seq,
        "status": listing.status,
        "model": listing.model,
        "provider": listing.provider,
        "user": listing.user,
        "created_after": listing.created_after_ms,
        "created_before": listing.created_before_ms,
        "limit": listing.limit,
        "skip": listing.skip,
    }


class JobStore:
    """What callers do with jobs. `defaults` limit accounts that have no limits of their own."""

    def __init__(
        self, database: Database, defaults: Limits = NO_LIMITS, *, deleting: Deleting = _nothing_to_do
    ) -> None:
        self._database = database
        self._defaults = defaults
        self._deleting = deleting
        self._acceptances = Acceptances(database, defaults)
        self._recent = RecentJobs()

    async def find_answer(self, tenant: Tenant, once: Once) -> Replay | None:
        """What an earlier request of the same idempotency key was answered. Raises IdempotencyMismatch."""
        rows = await self._database.read(FIND_ANSWER, tenant=tenant, route=once.route, key=once.key, kept_ms=KEPT_MS)
        return replayed(once, rows[0]["body_hash"], rows[0]["answer"]) if rows else None

    async def sealed_secret(self, job_id: str) -> str | None:
        """The sealed provider key that the caller brought for this job, while it lasts."""
        rows = await self._database.read(GET_SEALED, job_id=job_id)
        return rows[0]["sealed"] if rows else None

    async def check_room(self, tenant: Tenant, key_id: str) -> None:
        """Raise QueueFull if a job could certainly not be stored now."""
        left = await Allowances(self._database, self._defaults).remaining(tenant, key_id)
        if left.queued_jobs == 0:
            raise queue_full()

    async def create(self, new: NewJob) -> Job:
        """Store a queued job; when this returns it survives loss of power, and its input files are kept for it.

        Raises UnusableInput if an input file is gone, SpendLimitReached, PriceUnknown under a spend limit, QueueFull.
        """
        return await self._acceptances.store(new)

    async def create_once(self, new: NewJob, once: Once) -> Job | Replay:
        """The same under an idempotency key, whose answer is stored in the job's own transaction.

        Of many requests at one time one makes the job, and the others get its answer. Raises IdempotencyMismatch too.
        """

        async def body(transaction: Transaction) -> Job | Replay:
            tenant = new.tenant
            earlier = await fetch_one(
                transaction, FIND_ANSWER, tenant=tenant, route=once.route, key=once.key, kept_ms=KEPT_MS
            )
            if earlier is not None:
                return replayed(once, earlier["body_hash"], earlier["answer"])
            (job,) = await insert(transaction, [new], self._defaults)
            kept = await transaction.execute(
                KEEP_ANSWER,
                tenant=tenant,
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
            replay = await self.find_answer(new.tenant, once)
            assert replay is not None
            return replay

    async def get(self, tenant: Tenant, job_id: str) -> Job:
        """The tenant's job. Raises JobNotFound if it has none of this id."""
        rows = await self._database.read(GET_JOB, id=job_id, tenant=tenant)
        if not rows:
            raise _no_such_job(job_id)
        return self._recent.job_of(rows[0])

    async def get_any(self, job_id: str) -> Job:
        """The job of this id, of any account. Raises JobNotFound."""
        rows = await self._database.read(GET_ANY_JOB, id=job_id)
        if not rows:
            raise _no_such_job(job_id)
        return job_from(rows[0])

    async def source(self, tenant: Tenant, job_id: str) -> tuple[Job, Sequence[Row]]:
        """A job of the tenant with its attempts in order, for a request that goes on from it. Raises JobNotFound."""
        return await self.get(tenant, job_id), await self._database.read(ATTEMPTS, job_id=job_id)

    async def list(self, tenant: Tenant, listing: Listing) -> Sequence[Job]:
        """The jobs of one page."""
        return (await self.page(tenant, listing)).jobs

    async def page(self, tenant: Tenant, listing: Listing) -> FoundJobs:
        """The tenant's matching jobs, in the order that the listing says.

        They are fewer than its limit where their requests are large: the page ends with the job at which it exceeds
        MOST_LISTED_BYTES. So a list costs a bounded amount of memory.
        """
        jobs: list[Job] = []
        read_bytes, here = 0, replace(listing, limit=min(listing.limit, READ_AT_ONCE))
        while True:
            rows = await self._database.read(_list_sql(SELECT_JOB, here), **_list_parameters(tenant, here))
            for row in rows:
                jobs.append(job_from(row))
                read_bytes += _size_of(row)
                if read_bytes > MOST_LISTED_BYTES:
                    return FoundJobs(jobs, is_cut=len(jobs) < listing.limit)
            left = listing.limit - len(jobs)
            if len(rows) < here.limit or left <= 0:
                return FoundJobs(jobs, is_cut=False)
            # As many more as would fit if they are like those so far.
            likely = (MOST_LISTED_BYTES - read_bytes) * len(jobs) // max(1, read_bytes)
            most = min(left, MOST_READ_AT_ONCE, max(READ_AT_ONCE, likely))
            here = replace(listing, limit=most, skip=0, beyond_seq=jobs[-1].seq)

    async def requests(self, tenant: Tenant, listing: Listing) -> Sequence[RequestText]:
        """The stored requests of the jobs that `list` would answer."""
        rows = await self._database.read(_list_sql(SELECT_REQUEST, listing), **_list_parameters(tenant, listing))
        return [RequestText(row["seq"], row["id"], row["created_at"], row["request"]) for row in rows]

    async def get_several(self, tenant: Tenant, job_ids: Sequence[str]) -> Sequence[Job]:
        """Those of these jobs that the tenant has, newest first."""
        if not job_ids:
            return []
        # Rounded up by asking for the last one again: few different texts, so that each is prepared once.
        names = [f"id_{index}" for index in range(1 << (len(job_ids) - 1).bit_length())]
        parameters = {name: job_ids[min(index, len(job_ids) - 1)] for index, name in enumerate(names)}
        sql = JOBS_AMONG.format(", ".join(f":{name}" for name in names))
        return [job_from(row) for row in await self._database.read(sql, tenant=tenant, **parameters)]

    async def place(self, tenant: Tenant, job_id: str) -> int:
        """Where the tenant's job stands in lists, or stood until it was deleted. Raises JobNotFound."""
        rows = await self._database.read(PLACE, id=job_id, tenant=tenant)
        if not rows:
            raise _no_such_job(job_id)
        seq: int = rows[0]["seq"]
        return seq

    async def count(self, tenant: Tenant, status: Status | None = None) -> int:
        """How many jobs the tenant has, all or in one status; read from counters, never counted."""
        rows = await self._database.read(COUNT_JOBS, tenant=tenant)
        return sum(row["jobs"] for row in rows if status is None or row["status"] == status)

    async def counts(self, tenant: Tenant) -> Mapping[Status, int]:
        """How many jobs the tenant has in each status; statuses without a job may be missing."""
        rows = await self._database.read(COUNT_JOBS, tenant=tenant)
        return {Status(row["status"]): row["jobs"] for row in rows}

    async def cancel(self, tenant: Tenant, job_id: str) -> Job:
        """Cancel a queued job for good; cancelling it again is no error.

        Raises JobNotFound, or NotCancellable if it has left the queue. Races the worker's intent in the database: one
        of the two statements finds the job queued, and the other does not.
        """

        async def body(transaction: Transaction) -> Job:
            row = await fetch_one(transaction, LOCK_JOB, id=job_id, tenant=tenant)
            if row is None:
                raise _no_such_job(job_id)
            state = State(row["state"])
            if state is State.CANCELLED:
                return job_from(row)
            if not can_move(state, State.CANCELLED):
                raise NotCancellable(f"Only pending jobs can be cancelled; '{job_id}' is {state.status.value}")
            message = "The job was cancelled before it was submitted; nothing was charged."
            await move(
                transaction,
                row,
                State.CANCELLED,
                "cancelled by the caller",
                {"error_code": "cancelled", "error": message},
            )
            return job_from(await fetch_row(transaction, GET_JOB, id=job_id, tenant=tenant))

        return await self._database.write(body)

    async def delete(self, tenant: Tenant, job_id: str) -> None:
        """Forget a finished job; its files follow. Raises JobNotFound, or JobNotFinished while it has a future."""

        async def body(transaction: Transaction) -> None:
            row = await fetch_one(transaction, LOCK_JOB, id=job_id, tenant=tenant)
            if row is None:
                raise _no_such_job(job_id)
            job = job_from(row)
            if not job.state.is_final:
                raise JobNotFinished(
                    f"Only finished jobs can be deleted; '{job_id}' is {job.status.value}"
                    + ("; cancel it first" if job.status is Status.PENDING else "")
                )
            await self._deleting(transaction, row)
            await delete_files(transaction, job)
            for statement in (DELETE_EVENTS, DELETE_ATTEMPTS, DELETE_JOB):
                await transaction.execute(statement, id=job_id)
            await transaction.execute(DELETE_RECORDS_OF_JOB, job_id=job_id)
            await transaction.execute(
                KEEP_PLACE, id=job_id, account_id=row["account_id"], tenant=tenant, seq=row["seq"]
            )
            await record_deletion(transaction, row)

        await self._database.write(body)
        self._recent.forget(job_id)


class _Overtaken(Exception):
    """Another transaction of the same idempotency key was committed first; ours is rolled back."""


def _size_of(row: Row) -> int:
    return sum(len(row[column] or "") for column in ("request", "outputs", "metadata", "warnings"))


def _no_such_job(job_id: str) -> JobNotFound:
    return JobNotFound(f"Job {shown(job_id)} not found")
