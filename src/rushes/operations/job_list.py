"""The jobs of all accounts, for operators. A page costs the same however many jobs the database holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rushes.db.database import Database
from rushes.domain.job import Job, Status
from rushes.domain.tenant import tenant_of
from rushes.jobs.rows import BARE_COLUMNS, GET_ANY_JOB, job_from

READ_AT_MOST = 5_000
"""How many jobs one page reads where the filters have no index. The page may then be short, with a cursor."""

# Of jobs that have not ended, each group has an index of its own, so only these are read.
_OPEN = """
SELECT * FROM jobs WHERE worker_id IS NOT NULL AND status = :status AND seq < :beyond_seq
UNION ALL
SELECT * FROM jobs WHERE lease IS NULL AND state IN ('submitting', 'running', 'storing', 'recovering')
                         AND status = :status AND seq < :beyond_seq
UNION ALL
SELECT * FROM jobs WHERE lease IS NULL AND state IN ('queued', 'rerouted') AND status = :status AND seq < :beyond_seq
"""

_NEWEST = "SELECT * FROM jobs WHERE seq < :beyond_seq ORDER BY seq DESC LIMIT :read"

_NEWEST_OF_TEST_KEYS = """
SELECT * FROM jobs WHERE tenant <> account_id AND seq < :beyond_seq ORDER BY seq DESC LIMIT :read
"""

_NEWEST_OF_TENANT = """
SELECT * FROM jobs WHERE tenant = :tenant AND seq < :beyond_seq ORDER BY seq DESC LIMIT :read
"""

_NEWEST_OF_ACCOUNT = """
SELECT * FROM jobs WHERE account_id = :account_id AND seq < :beyond_seq ORDER BY seq DESC LIMIT :read
"""

OLDEST_READ = "SELECT MIN(seq) AS seq, COUNT(*) AS jobs FROM ({jobs}) AS found"

_BEYOND_ALL = 2**62


@dataclass(frozen=True, slots=True)
class JobQuery:
    """The jobs that an operator asks for, newest first. All given conditions must match.

    `error_code` is that of the job, `trouble_code` that of its last failed call while it goes on, or
    `output_unmeasured` of a completed job whose video could not be measured. `is_test` says whether test keys or live
    keys made them. `beyond_seq` is the `next_seq` of the page before.
    """

    limit: int
    beyond_seq: int | None = None
    account_id: str | None = None
    key_id: str | None = None
    status: Status | None = None
    provider: str | None = None
    model: str | None = None
    error_code: str | None = None
    trouble_code: str | None = None
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    is_test: bool | None = None


@dataclass(frozen=True, slots=True)
class JobRange:
    """One page. `next_seq` None means that no job is left; a page can be short, or empty, and not be the last."""

    jobs: Sequence[Job]
    next_seq: int | None


_CONDITIONS = {
    "account_id": "account_id = :account_id",
    "key_id": "key_id = :key_id",
    "status": "status = :status",
    "provider": "provider = :provider",
    "model": "model = :model",
    "error_code": "error_code = :error_code",
    "trouble_code": "trouble_code = :trouble_code",
    "created_after_ms": "created_at >= :created_after_ms",
    "created_before_ms": "created_at < :created_before_ms",
}


def _newest(query: JobQuery) -> str:
    """The jobs to look through, by the index that leaves out most."""
    if query.account_id is not None:
        return _NEWEST_OF_ACCOUNT if query.is_test is None else _NEWEST_OF_TENANT
    return _NEWEST_OF_TEST_KEYS if query.is_test else _NEWEST


class JobListStore:
    """Reads jobs of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, query: JobQuery) -> JobRange:
        """One page of the matching jobs, newest first, without their requests."""
        given = {name: getattr(query, name) for name in _CONDITIONS if getattr(query, name) is not None}
        conditions = [_CONDITIONS[name] for name in given]
        if query.is_test is not None:
            conditions.append("tenant <> account_id" if query.is_test else "tenant = account_id")
        where = " AND ".join(conditions) or "1 = 1"
        parameters = {"beyond_seq": _BEYOND_ALL if query.beyond_seq is None else query.beyond_seq, **given}
        is_open = query.account_id is None and query.status in (Status.PENDING, Status.IN_PROGRESS)
        if is_open:
            source = _OPEN
        else:
            source = _newest(query)
            parameters["read"] = READ_AT_MOST
            if query.account_id is not None and query.is_test is not None:
                parameters["tenant"] = tenant_of(query.account_id, is_test=query.is_test)
        rows = await self._database.read(
            f"SELECT {BARE_COLUMNS} FROM ({source}) AS found WHERE {where} ORDER BY seq DESC LIMIT :most",  # noqa: S608 - fixed texts
            **parameters,
            most=query.limit + 1,
        )
        jobs = [job_from(row) for row in rows[: query.limit]]
        if len(rows) > query.limit:
            return JobRange(jobs, jobs[-1].seq)
        return JobRange(jobs, None if is_open else await self._next_after_all(source, parameters))

    async def find(self, job_id: str) -> Job | None:
        """The job with this id, in any account."""
        rows = await self._database.read(GET_ANY_JOB, id=job_id)
        return job_from(rows[0]) if rows else None

    async def _next_after_all(self, source: str, parameters: dict[str, object]) -> int | None:
        """Where the next page begins if this one read as many jobs as it may, else None."""
        used = {
            name: parameters[name] for name in ("beyond_seq", "read", "account_id", "tenant") if f":{name}" in source
        }
        (row,) = await self._database.read(OLDEST_READ.format(jobs=source), **used)
        return row["seq"] if row["jobs"] >= READ_AT_MOST else None
