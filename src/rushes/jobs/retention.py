"""Where a job's files are kept, and what is deleted in time: old files, files of deleted jobs, old idempotency keys."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from rushes.clock import Clock
from rushes.db.database import Database, Transaction
from rushes.domain.job import Job
from rushes.errors import RushesError
from rushes.jobs.idempotency import KEPT_MS
from rushes.jobs.rows import job_from
from rushes.media.storage import Storage

log = structlog.get_logger(__name__)

BATCH = 100
RECORDS_S = 30 * 86_400
PAUSE_S = 30.0

DELETE_FILE = "INSERT INTO doomed_files (key) VALUES (:key) ON CONFLICT (key) DO NOTHING"
"""Puts a file on the list of files to delete (retention.py)."""

DUE_JOBS = """
SELECT * FROM jobs WHERE files_expire_at <= :now AND files_removed_at IS NULL AND files_expire_at IS NOT NULL
ORDER BY files_expire_at LIMIT :most FOR UPDATE SKIP LOCKED
"""

FILES_REMOVED = "UPDATE jobs SET files_removed_at = :now WHERE id = :id"

FILES_TO_DELETE = "SELECT key FROM doomed_files ORDER BY key LIMIT :most"

FORGET_FILE = "DELETE FROM doomed_files WHERE key = :key"


# The time is asked twice: between the choice and the deletion a new request may have renewed the row.
OLD_ANSWERS = """
DELETE FROM idempotency WHERE created_at <= :now - :kept_ms AND (account_id, route, key) IN (
    SELECT account_id, route, key FROM idempotency WHERE created_at <= :now - :kept_ms
    ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED
)
"""


OLD_PLACES = """
DELETE FROM deleted_jobs WHERE id IN (
    SELECT id FROM deleted_jobs WHERE deleted_at <= :now - :kept_ms ORDER BY deleted_at LIMIT :most
    FOR UPDATE SKIP LOCKED
)
"""

OLD_GUARDRAIL_ANSWERS = """
DELETE FROM guardrail_answers WHERE created_at <= :now - :kept_ms AND (account_id, route, key) IN (
    SELECT account_id, route, key FROM guardrail_answers WHERE created_at <= :now - :kept_ms
    ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED
)
"""

OLD_GUARDRAIL_RECORDS = """
DELETE FROM guardrail_records WHERE id IN (
    SELECT id FROM guardrail_records WHERE created_at <= :now - :kept_ms
    ORDER BY created_at, id LIMIT :most FOR UPDATE SKIP LOCKED
)
"""

OLD_USER_BALANCES = """
DELETE FROM user_balances WHERE (account_id, key_id, day, user_tag) IN (
    SELECT account_id, key_id, day, user_tag FROM user_balances WHERE day < :now / 86400000 - 2
    ORDER BY day LIMIT :most FOR UPDATE SKIP LOCKED
)
"""

PLACES_KEPT_MS = 30 * 86_400_000


def video_key(job_id: str, attempt_id: str, place: int, lease: str) -> str:
    """Where a worker keeps one video of an attempt, under a name that no other lease has.

    The storage knows no fence: a worker that has lost its lease may still write and delete. There is no folder for each
    job, since making a folder durable costs a disk one more sync.
    """
    return f"videos/{job_id[-2:]}/{job_id}-{attempt_id}-{place}-{lease.rpartition('.')[2]}.mp4"


def poster_key(job_id: str, index: int) -> str:
    """Where the poster frame of a job's video is kept, once a caller has asked for it."""
    return f"posters/{job_id}/{index}.jpg"


async def delete_file(transaction: Transaction, key: str) -> None:
    """Have a file removed from storage, if it exists, soon after this transaction is committed."""
    await transaction.execute(DELETE_FILE, key=key)


async def delete_files(transaction: Transaction, job: Job) -> None:
    """Have all files of a job's videos removed from storage."""
    for index, output in enumerate(job.outputs):
        await delete_file(transaction, output.key)
        await delete_file(transaction, poster_key(job.id, index))


class RetentionStore:
    """Which files and records are to go."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(self, most: int) -> int:
        """List for deletion the files of up to `most` jobs whose time has come; how many jobs that were."""

        async def body(transaction: Transaction) -> int:
            rows = await transaction.fetch(DUE_JOBS, most=most)
            for row in rows:
                await delete_files(transaction, job_from(row))
                await transaction.execute(FILES_REMOVED, id=row["id"])
            return len(rows)

        return await self._database.write(body)

    async def files_to_delete(self, most: int) -> Sequence[str]:
        """Up to `most` keys of files to remove."""
        return [row["key"] for row in await self._database.read(FILES_TO_DELETE, most=most)]

    async def forget(self, keys: Sequence[str]) -> None:
        """Record that these files are gone."""

        async def body(transaction: Transaction) -> None:
            for key in keys:
                await transaction.execute(FORGET_FILE, key=key)

        await self._database.write(body)

    async def forget_answers(self, most: int) -> int:
        """Drop up to `most` answers of idempotency keys whose day is over; how many that were."""

        async def body(transaction: Transaction) -> int:
            return await transaction.execute(OLD_ANSWERS, kept_ms=KEPT_MS, most=most)

        return await self._database.write(body)

    async def forget_places(self, most: int) -> int:
        """Drop up to `most` places of jobs that were deleted 30 days ago; how many that were."""

        async def body(transaction: Transaction) -> int:
            return await transaction.execute(OLD_PLACES, kept_ms=PLACES_KEPT_MS, most=most)

        return await self._database.write(body)

    async def forget_users(self, most: int) -> int:
        """Drop up to `most` balances of users whose day is over, and no longer limits anything."""

        async def body(transaction: Transaction) -> int:
            return await transaction.execute(OLD_USER_BALANCES, most=most)

        return await self._database.write(body)

    async def forget_guardrail(self, most: int, records_kept_ms: int) -> int:
        """Drop up to `most` answers of the guardrail whose day is over, and as many old records; how many at most."""

        async def body(transaction: Transaction) -> int:
            answers = await transaction.execute(OLD_GUARDRAIL_ANSWERS, kept_ms=KEPT_MS, most=most)
            records = await transaction.execute(OLD_GUARDRAIL_RECORDS, kept_ms=records_kept_ms, most=most)
            return max(answers, records)

        return await self._database.write(body)


class Cleaner:
    """Removes what is due, a batch at a time, for as long as the service runs."""

    def __init__(self, store: RetentionStore, storage: Storage, clock: Clock, *, records_s: float = RECORDS_S) -> None:
        """`records_s` is how long records of the guardrail are kept."""
        self._records_ms = int(records_s * 1000)
        self._store = store
        self._storage = storage
        self._clock = clock

    async def run(self) -> None:
        """Clean until this is cancelled. A file is forgotten only after it is gone."""
        while True:
            try:
                while await self.clean():
                    pass
            except RushesError as error:
                log.warning("cleaning_failed", error_code=error.code)
            await self._clock.sleep(PAUSE_S)

    async def clean(self) -> bool:
        """One batch; whether there may be more."""
        expired = await self._store.expire(BATCH)
        forgotten = await self._store.forget_answers(BATCH)
        places = await self._store.forget_places(BATCH)
        users = await self._store.forget_users(BATCH)
        judged = await self._store.forget_guardrail(BATCH, self._records_ms)
        keys = await self._store.files_to_delete(BATCH)
        for key in keys:
            await self._storage.delete(key)
        if keys:
            await self._store.forget(keys)
            log.info("files_removed", files=len(keys))
        return BATCH in (expired, forgotten, places, users, judged, len(keys))
