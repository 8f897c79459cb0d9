"""Deleting a job as other services know it: what still waits is cancelled first."""

from __future__ import annotations

from rushes.accounts.keys import Caller
from rushes.domain.job import Status
from rushes.errors import JobNotFinished, NotCancellable
from rushes.jobs.service import JobService


async def remove(jobs: JobService, caller: Caller, job_id: str, *, called: str) -> None:
    """Forget a finished job; one that is still queued is cancelled first, and never submitted to a provider.

    `called` is what the surface calls a job. Raises JobNotFound or JobNotFinished.
    """
    job = await jobs.get(caller, job_id)
    if job.status is Status.PENDING:
        try:
            await jobs.cancel(caller, job_id)
        except NotCancellable as exc:
            raise JobNotFinished(f"{called} '{job_id}' has just begun; delete it when it has ended") from exc
    elif job.status is Status.IN_PROGRESS:
        raise JobNotFinished(f"{called} '{job_id}' is in progress; delete it when it has ended")
    await jobs.delete(caller, job_id)
