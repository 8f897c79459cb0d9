"""What an operator can still do for a job that failed after it may have been paid for.

`reconcile` takes up a generation whose submission got no answer, by the id that the provider shows for it; `recover`
tries once more to store a video that was lost on the way; `write_off` says that nothing is to be had. Meanwhile callers
go on seeing `failed`; if the videos are got after all, the job becomes `completed`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rushes.audit.actor import Actor, actor
from rushes.audit.log import record
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.job import Job, State
from rushes.domain.progress import Handle
from rushes.engine.job_record import LATE_ANSWER
from rushes.errors import JobNotFound, NotRecoverable
from rushes.jobs.rows import GET_ANY_JOB, LOCK_ANY_JOB, job_facts, job_from
from rushes.jobs.transitions import move, record_event
from rushes.money.ledger import unlist, write_off
from rushes.providers.base import Provider

UNSETTLED = """
SELECT jobs.* FROM jobs WHERE state = 'failed' AND id IN (
    SELECT job_id FROM attempts WHERE state = 'failed' AND error_code IN ('submission_unknown', 'output_lost')
) AND seq > :after_seq ORDER BY seq LIMIT :most
"""

UNKNOWN_ATTEMPTS = """
SELECT * FROM attempts WHERE job_id = :job_id AND state = 'failed' AND (
    error_code = 'submission_unknown'
    OR (handle IS NULL AND error_code IN ('expired', 'aborted'))
    OR (error_code <> 'written_off' AND EXISTS (SELECT 1 FROM job_events WHERE job_id = :job_id AND cause LIKE :cause))
) ORDER BY CASE error_code WHEN 'submission_unknown' THEN 0 ELSE 1 END, part
"""
"""Also those that an operator has reconciled before: an id that was mistyped must not be the last word."""

RECONCILED = "reconciled with "

RECOVERABLE_ATTEMPTS = """
SELECT * FROM attempts WHERE job_id = :job_id AND state = 'failed' AND handle IS NOT NULL
  AND error_code IN ('output_lost', 'output_invalid', 'expired', 'aborted', 'provider_auth') ORDER BY part
"""

REVIVE_ATTEMPT = """
UPDATE attempts SET state = 'accepted', handle = :handle, error_code = NULL, error = NULL, provider_error = NULL
WHERE id = :id AND state = 'failed'
"""

WRITE_OFF = """
UPDATE attempts SET error_code = 'written_off'
WHERE job_id = :job_id AND state = 'failed' AND error_code IN ('submission_unknown', 'output_lost')
"""

RECOVERY_DEADLINE_MS = 3600 * 1000


LATE_ANSWERS = "SELECT cause FROM job_events WHERE job_id = :job_id AND cause LIKE :cause ORDER BY seq"


class RecoveryStore:
    """The operator's side of failed jobs. What changes one raises JobNotFound or NotRecoverable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unsettled(self, most: int = 100, *, after_seq: int = 0) -> Sequence[Job]:
        """Failed jobs that may have been paid for and wait for an operator's word, oldest first."""
        return [job_from(row) for row in await self._database.read(UNSETTLED, most=most, after_seq=after_seq)]

    async def late_answers(self, job_id: str) -> Sequence[str]:
        """The late answers: of submissions that were answered after their worker had lost the job."""
        rows = await self._database.read(LATE_ANSWERS, job_id=job_id, cause=LATE_ANSWER + "%")
        return [row["cause"] for row in rows]

    async def get(self, job_id: str) -> Job:
        """The job, of any account. Raises JobNotFound."""
        rows = await self._database.read(GET_ANY_JOB, id=job_id)
        if not rows:
            raise _no_such_job(job_id)
        return job_from(rows[0])

    async def reconcile(self, job_id: str, handle: Handle, provider_video_id: str) -> None:
        """Go on with the generation behind `handle` for the first attempt whose fate is not known."""
        who = actor()

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, job_id)
            attempts = await transaction.fetch(UNKNOWN_ATTEMPTS, job_id=job_id, cause=RECONCILED + "%")
            if not attempts:
                raise NotRecoverable(f"Job '{job_id}' has no submission whose fate is unknown")
            await transaction.execute(REVIVE_ATTEMPT, id=attempts[0]["id"], handle=json.dumps(handle))
            await _revive(transaction, row, f"{RECONCILED}'{provider_video_id}' by the operator", provider_video_id)
            found = {"provider_video_id": provider_video_id}
            await _record(transaction, who, "job.reconcile", row, found)

        await self._database.write(body)

    async def recover(self, job_id: str) -> None:
        """Try once more to fetch and store the videos that were lost."""
        who = actor()

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, job_id)
            attempts = await transaction.fetch(RECOVERABLE_ATTEMPTS, job_id=job_id)
            if not attempts:
                raise NotRecoverable(f"Job '{job_id}' has no video at its provider that could be fetched")
            for attempt in attempts:
                await transaction.execute(REVIVE_ATTEMPT, id=attempt["id"], handle=attempt["handle"])
            await _revive(transaction, row, "to be stored once more, by the operator", None)
            await _record(transaction, who, "job.recover", row)

        await self._database.write(body)

    async def write_off(self, job_id: str) -> None:
        """Record that nothing of the job is to be had at the provider; what was finished and lost counts as paid."""
        who = actor()

        async def body(transaction: Transaction) -> None:
            row = await _lock(transaction, job_id)
            await write_off(transaction, row, "written off by the operator")
            if not await transaction.execute(WRITE_OFF, job_id=job_id):
                raise NotRecoverable(f"Job '{job_id}' has nothing that could be written off")
            await unlist(transaction, job_id)
            await record_event(transaction, row, State(row["state"]), "written off by the operator")
            await _record(transaction, who, "job.write_off", row)

        await self._database.write(body)


class Recovery:
    """The same, with the adapters that know what a provider's id means."""

    def __init__(self, store: RecoveryStore, adapters: Mapping[tuple[str, str | None], Provider]) -> None:
        self._store = store
        self._adapters = adapters
        self.unsettled = store.unsettled
        self.late_answers = store.late_answers
        self.recover = store.recover
        self.write_off = store.write_off

    async def reconcile(self, job_id: str, provider_video_id: str) -> None:
        """Go on with what the provider shows under this id. Raises UnsupportedOption where its id is not enough."""
        handle = self.handle_for(await self._store.get(job_id), provider_video_id)
        await self._store.reconcile(job_id, handle, provider_video_id)

    def handle_for(self, job: Job, provider_video_id: str) -> Handle:
        """The handle of this id at the job's provider. Raises UnsupportedOption or NotRecoverable."""
        adapter = self._adapters.get((job.served_provider, job.api))
        if adapter is None:
            raise NotRecoverable(f"Job '{job.id}' ran at '{job.served_provider}', which this service no longer uses")
        return adapter.handle_for(provider_video_id)


async def _lock(transaction: Transaction, job_id: str) -> Row:
    row = await fetch_one(transaction, LOCK_ANY_JOB, id=job_id)
    if row is None:
        raise _no_such_job(job_id)
    if row["state"] not in (State.FAILED, State.EXPIRED):
        raise NotRecoverable(
            f"Job '{job_id}' is {row['state']}; only a job that has failed or expired can be taken up again"
        )
    return row


async def _record(
    transaction: Transaction, who: Actor, action: str, before: Row, found: Mapping[str, str] | None = None
) -> None:
    after = await fetch_one(transaction, GET_ANY_JOB, id=before["id"])
    assert after is not None, "a job that is locked stays"
    await record(
        transaction,
        who,
        action,
        before["id"],
        account_id=before["account_id"],
        before=job_facts(before),
        after={**job_facts(after), **(found or {})},
    )


async def _revive(transaction: Transaction, row: Row, cause: str, provider_video_id: str | None) -> None:
    if row["byok"]:
        raise NotRecoverable(
            f"Job '{row['id']}' ran on the caller's own key, which was wiped when it ended; "
            "only the caller can look it up at the provider"
        )
    given = row["provider_video_id"] if provider_video_id is None else provider_video_id
    until = {"deadline_at": RECOVERY_DEADLINE_MS}
    await move(transaction, row, State.RECOVERING, cause, {"provider_video_id": given}, ms_from_now=until)


def _no_such_job(job_id: str) -> JobNotFound:
    return JobNotFound(f"Job '{job_id}' not found")
