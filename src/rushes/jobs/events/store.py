"""What has happened to a job, read from the database: its events, its attempts, and revisions that show a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rushes.catalogue.wording import shown
from rushes.db.database import Database, Row
from rushes.domain.job import AttemptState, Job, Problem, State
from rushes.domain.tenant import Tenant
from rushes.errors import JobNotFound
from rushes.jobs.rows import job_from, problem_from
from rushes.jobs.transitions import JOBS_CHANNEL

# One statement, so that the job and its last event belong together.
READ_SNAPSHOT = """
SELECT jobs.*, (SELECT MAX(seq) FROM job_events WHERE job_id = jobs.id) AS last_event FROM jobs
WHERE id = :id AND tenant = :tenant
"""

EVENTS_AFTER = """
SELECT seq, at, state, cause FROM job_events WHERE job_id = :job_id AND seq > :after AND seq <= :until
ORDER BY seq LIMIT :most
"""

NEWEST_EVENTS = "SELECT seq, at, state, cause FROM job_events WHERE job_id = :job_id ORDER BY seq DESC LIMIT :most"

ATTEMPTS_MADE = """
SELECT id, n, state, created_at, error_code, error, provider_error FROM attempts WHERE job_id = :job_id ORDER BY part
"""

READ_REVISIONS = """
SELECT id, progress, (SELECT MAX(seq) FROM job_events WHERE job_id = jobs.id) AS last_event FROM jobs WHERE id IN ({})
"""

REVISIONS_AT_ONCE = 256
"""Jobs in one query for revisions: some milliseconds on the embedded database, which reads on the event loop."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's history. `seq` only rises within a job; `at` is in milliseconds since 1970 UTC."""

    seq: int
    at: int
    state: State
    cause: str


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job, and the number of its last event."""

    job: Job
    last_event: int


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """One call to the provider, without what only its adapter understands."""

    id: str
    n: int
    state: AttemptState
    created_at: int
    problem: Problem | None


Revision = tuple[int | None, int | None]
"""The last event and the reported progress of a job: it has changed if this has."""


class HistoryStore:
    """Reads what callers watch; it never writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listen(self, received: Callable[[str], None]) -> Callable[[], None]:
        """Call `received` with the id of each job that changes, until what this returns is called."""
        return self._database.listen(JOBS_CHANNEL, received)

    async def read(self, tenant: Tenant, job_id: str) -> JobSnapshot:
        """The tenant's job as it is now. Raises JobNotFound."""
        rows = await self._database.read(READ_SNAPSHOT, id=job_id, tenant=tenant)
        if not rows:
            raise JobNotFound(f"Job {shown(job_id)} not found")
        return JobSnapshot(job_from(rows[0]), rows[0]["last_event"] or 0)

    async def events(self, job_id: str, *, after: int, until: int, most: int) -> Sequence[Event]:
        """The first `most` events after one and up to another, oldest first."""
        rows = await self._database.read(EVENTS_AFTER, job_id=job_id, after=after, until=until, most=most)
        return [_event(row) for row in rows]

    async def newest_events(self, job_id: str, most: int) -> Sequence[Event]:
        """The last `most` events, oldest first."""
        rows = await self._database.read(NEWEST_EVENTS, job_id=job_id, most=most)
        return [_event(row) for row in reversed(rows)]

    async def attempts(self, job_id: str) -> Sequence[AttemptMade]:
        """Every call to the provider that stands."""
        rows = await self._database.read(ATTEMPTS_MADE, job_id=job_id)
        return [
            AttemptMade(row["id"], row["n"], AttemptState(row["state"]), row["created_at"], problem_from(row))
            for row in rows
        ]

    async def revisions(self, job_ids: Sequence[str]) -> Mapping[str, Revision]:
        """The revisions of those of these jobs that exist."""
        found: dict[str, Revision] = {}
        for start in range(0, len(job_ids), REVISIONS_AT_ONCE):
            if start:
                # Other tasks that wait for the event loop go first.
                await asyncio.sleep(0)
            asked = job_ids[start : start + REVISIONS_AT_ONCE]
            # Rounded up by asking for the last one again: few different texts, so that each is prepared once.
            names = [f"id_{index}" for index in range(1 << (len(asked) - 1).bit_length())]
            parameters = {name: asked[min(index, len(asked) - 1)] for index, name in enumerate(names)}
            sql = READ_REVISIONS.format(", ".join(f":{name}" for name in names))
            for row in await self._database.read(sql, **parameters):
                found[row["id"]] = (row["last_event"], row["progress"])
        return found


def _event(row: Row) -> Event:
    return Event(row["seq"], row["at"], State(row["state"]), row["cause"])
