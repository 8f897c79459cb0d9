"""Aborting a job that has not ended: how an operator asks for it.

The request is a column of the job's row, so it survives a crash. The worker that holds the lease finds it within
seconds, and a job without a worker is claimed with it. Only the worker acts on it (engine/stopping.py).
"""

from __future__ import annotations

from rushes.audit.actor import actor
from rushes.audit.log import record
from rushes.db.database import Database, Transaction, fetch_one
from rushes.domain.job import Job, State
from rushes.engine.stopping import NOT_SUBMITTED
from rushes.errors import Aborted, JobNotFound, NotAbortable
from rushes.jobs.rows import GET_ANY_JOB, LOCK_ANY_JOB, job_facts, job_from
from rushes.jobs.transitions import move, record_event

ANY_WORKER = "SELECT id FROM workers WHERE alive_until >= :now LIMIT 1"

ASK_TO_ABORT = "UPDATE jobs SET abort_requested_at = :now WHERE id = :id AND abort_requested_at IS NULL"


class AbortStore:
    """The operator's side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, job_id: str) -> Job:
        """The job, of any account. Raises JobNotFound."""
        rows = await self._database.read(GET_ANY_JOB, id=job_id)
        if not rows:
            raise _no_such_job(job_id)
        return job_from(rows[0])

    async def has_worker(self) -> bool:
        """Whether a worker is alive."""
        return bool(await self._database.read(ANY_WORKER))

    async def request(self, job_id: str) -> Job:
        """End a job that waits in the queue; of one that was begun, note that it is to end. Asking again is no error.

        A job in the queue races with its worker's intent as a caller's cancel does: one of the two finds it there.
        Raises JobNotFound, or NotAbortable if it has ended.
        """
        who = actor()

        async def body(transaction: Transaction) -> Job:
            row = await fetch_one(transaction, LOCK_ANY_JOB, id=job_id)
            if row is None:
                raise _no_such_job(job_id)
            state = State(row["state"])
            if state.is_final or state is State.RECOVERING:
                raise NotAbortable(f"Job '{job_id}' is {state.value}; only a job that has not ended can be aborted")
            if state.waits_in_lane:
                await move(
                    transaction,
                    row,
                    State.FAILED,
                    "aborted by the operator",
                    {"error_code": Aborted.code, "error": NOT_SUBMITTED, "provider_error": None, "cost_usd": "0"},
                )
            elif await transaction.execute(ASK_TO_ABORT, id=job_id):
                await record_event(transaction, row, state, "the operator asks to abort it")
            changed = await fetch_one(transaction, GET_ANY_JOB, id=job_id)
            assert changed is not None
            await record(
                transaction,
                who,
                "job.abort",
                job_id,
                account_id=row["account_id"],
                before=job_facts(row),
                after={**job_facts(changed), "abort_requested": True},
            )
            return job_from(changed)

        return await self._database.write(body)


def _no_such_job(job_id: str) -> JobNotFound:
    return JobNotFound(f"Job '{job_id}' not found")
