"""Jobs as tasks, for clients that declare the extension `io.modelcontextprotocol/tasks` (revision 2026-07-28).

A task is its job: the same id, durable before it is answered. Only a call that starts a job becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rushes.domain.job import Job, State, Status
from rushes.views.job import poll_after_ms
from rushes.views.times import rfc3339

EXTENSION: Final = "io.modelcontextprotocol/tasks"
CREATED: Final = "task"
"""The `resultType` that stands for a result to come."""


def declares_tasks(extensions: object) -> bool:
    """Whether a client that declares these extensions takes a task for an answer."""
    return isinstance(extensions, Mapping) and EXTENSION in extensions


def task_of(job: Job, now_ms: int) -> dict[str, Any]:
    """The task as it is now, without the result of a completed one."""
    last_ms = max(moment for moment in (job.created_at, job.started_at, job.completed_at) if moment is not None)
    task = {
        "taskId": job.id,
        "status": _status(job),
        "statusMessage": _message(job, now_ms),
        "createdAt": rfc3339(job.created_at),
        "lastUpdatedAt": rfc3339(last_ms),
        # A job is kept until it is deleted.
        "ttlMs": None,
    }
    return task if job.status.is_final else task | {"pollIntervalMs": poll_after_ms(job)}


def _status(job: Job) -> str:
    if not job.status.is_final:
        return "working"
    # `failed` is for errors of the protocol; a job that has failed is a tool's result that is an error.
    return "cancelled" if job.state is State.CANCELLED else "completed"


def _message(job: Job, now_ms: int) -> str:
    if job.problem is not None:
        return f"{job.status} ({job.problem.code}): {job.problem.message}"
    return job.status if job.status is Status.COMPLETED else f"{job.status}, {job.percent(now_ms)} % done"
