"""Ending a job on an operator's word: how it is asked for, and what its worker then does at the provider.

The word is a column of the job's row, so it survives a crash and nobody has to be reached: whoever holds the lease
finds it within seconds, and a job that nobody holds is claimed with it. Only the holder acts on it.
"""

from __future__ import annotations

from enum import Enum

import structlog

from rushes.db.database import Database, Transaction, fetch_one
from rushes.errors import Aborted, JobNotFound, NotAbortable, ProviderError, ProviderRejected, UnsupportedOption
from rushes.jobs.job import Job, State
from rushes.jobs.moving import record_event, record_move
from rushes.jobs.patience import Patience
from rushes.jobs.store import GET_ANY_JOB, LEAVE_LANE, job_from
from rushes.jobs.tools import Tools
from rushes.video.progress import Done, Failed, Handle, Progress

log = structlog.get_logger(__name__)

LOCK_ANY_JOB = GET_ANY_JOB + " FOR UPDATE"

ABORT_WAITING = """
UPDATE jobs SET state = 'failed', status = 'failed', completed_at = :now, lease = NULL, worker_id = NULL, in_slot = 0,
                error_code = :code, error = :error, provider_error = NULL, cost_usd = '0'
WHERE id = :id AND state IN ('queued', 'rerouted')
"""

ANY_WORKER = "SELECT id FROM workers WHERE alive_until >= :now LIMIT 1"

ASK_TO_ABORT = "UPDATE jobs SET abort_requested_at = :now WHERE id = :id AND abort_requested_at IS NULL"

CANCEL_TRIES = 3
LAST_LOOKS = 4
"""How often a generation is looked at after its provider has agreed to stop it."""

BY_OPERATOR = "The operator aborted the job"
NOT_SUBMITTED = f"{BY_OPERATOR} before it was submitted; nothing was charged"


class AbortStore:
    """The operator's side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, job_id: str) -> Job:
        """The job, whosever it is. Raises JobNotFound."""
        rows = await self._database.read(GET_ANY_JOB, id=job_id)
        if not rows:
            raise _no_such_job(job_id)
        return job_from(rows[0])

    async def has_worker(self) -> bool:
        """Whether anybody is alive who carries jobs out."""
        return bool(await self._database.read(ANY_WORKER))

    async def request(self, job_id: str) -> Job:
        """End a job that waits in the queue; of one that was begun, note that it is to end. Asking again is no error.

        A job in the queue races with its worker's intent as a caller's cancel does: one of the two finds it there.
        Raises JobNotFound, or NotAbortable if it has ended.
        """

        async def body(transaction: Transaction) -> Job:
            row = await fetch_one(transaction, LOCK_ANY_JOB, id=job_id)
            if row is None:
                raise _no_such_job(job_id)
            state = State(row["state"])
            if state.is_final or state is State.RECOVERING:
                raise NotAbortable(f"Job '{job_id}' is {state.value}; only a job that has not ended can be aborted")
            if state.waits_in_lane:
                claimed = row["in_slot"]
                await transaction.execute(ABORT_WAITING, id=job_id, code=Aborted.code, error=NOT_SUBMITTED)
                await transaction.execute(
                    LEAVE_LANE, lane=row["lane"], ready=0 if claimed else -1, in_use=-1 if claimed else 0
                )
                await record_move(transaction, row, State.FAILED, "aborted by the operator")
            elif await transaction.execute(ASK_TO_ABORT, id=job_id):
                await record_event(transaction, row, state, "the operator asks to abort it")
            changed = await fetch_one(transaction, GET_ANY_JOB, id=job_id)
            assert changed is not None
            return job_from(changed)

        return await self._database.write(body)


class _Cancelled(Enum):
    """What became of the request to the provider; the value is how people are told, the provider's name before it."""

    AGREED = "took the cancellation and has not confirmed it yet"
    CONFIRMED = "has stopped it"
    TOO_LATE = "could no longer cancel it"
    CANNOT = "cannot stop a generation that runs, so it goes on there"
    UNREACHED = "could not be reached to cancel it"


class Stopping:
    """Stops generations of one job at its provider."""

    def __init__(self, job: Job, tools: Tools, patience: Patience) -> None:
        self._job = job
        self._tools = tools
        self._patience = patience

    async def stop(self, handle: Handle) -> Done:
        """Cancel the generation where the provider can. Returns it if it was finished all the same: it is paid for.

        Raises Aborted, saying what is known about its cost, or the provider's reason if it had failed by itself.
        """
        cancelled = await self._cancel(handle)
        for look in range(LAST_LOOKS if cancelled is _Cancelled.AGREED else 1):
            if look:
                await self._patience.rest(self._tools.model.poll_interval_s, until_deadline=False)
            progress = await self._look(handle)
            if isinstance(progress, Done) and progress.outputs:
                return progress
            if isinstance(progress, Failed):
                if cancelled is not _Cancelled.AGREED:
                    raise progress.error
                cancelled = _Cancelled.CONFIRMED
                break
        log.info("generation_aborted", outcome=cancelled.name.lower())
        raise Aborted(
            f"{BY_OPERATOR}; '{self._job.served_provider}' {cancelled.value}; {self._what_it_costs()}",
            may_be_charged=self._is_priced,
        )

    async def _cancel(self, handle: Handle) -> _Cancelled:
        if not self._tools.model.can_cancel:
            return _Cancelled.CANNOT
        failures = 0
        while True:
            try:
                await self._tools.provider.cancel(handle, credential=self._tools.credential)
            except UnsupportedOption:
                return _Cancelled.CANNOT
            except ProviderRejected:
                return _Cancelled.TOO_LATE
            except ProviderError as error:
                failures += 1
                log.info("cancel_failed", error_code=error.code, failures=failures)
                if failures == CANCEL_TRIES:
                    return _Cancelled.UNREACHED
                delay_s = self._patience.back_off_s(failures, error.retry_after_s)
                await self._patience.rest(delay_s, until_deadline=True)
            except Exception:  # logged; an adapter's fault must not keep the job from ending
                log.exception("adapter_failed", verb="cancel")
                return _Cancelled.UNREACHED
            else:
                return _Cancelled.AGREED

    async def _look(self, handle: Handle) -> Progress | None:
        try:
            return await self._tools.provider.poll(handle, credential=self._tools.credential)
        except ProviderError as error:
            log.info("poll_failed", error_code=error.code)
        except Exception:
            log.exception("adapter_failed", verb="poll")
        return None

    @property
    def _is_priced(self) -> bool:
        return self._job.byok or self._job.cost_usd != 0

    def _what_it_costs(self) -> str:
        return "it may be charged" if self._is_priced else "it costs nothing"


def _no_such_job(job_id: str) -> JobNotFound:
    return JobNotFound(f"Job '{job_id}' not found")
