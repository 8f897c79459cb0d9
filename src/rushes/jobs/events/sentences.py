"""What has happened to a job, in sentences that a person understands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rushes.domain.job import Job, State, Status
from rushes.domain.tenant import Tenant
from rushes.jobs.events.store import AttemptMade, Event, HistoryStore, JobSnapshot

MOST_ENTRIES = 500
"""A job has a dozen; a service that is killed again and again adds one each time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: when (milliseconds since 1970 UTC), the status from then on, and what happened."""

    at: int
    status: Status
    message: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A job's history, oldest first. `now` says what it waits for, and is None once it has ended."""

    job: Job
    now: str | None
    entries: Sequence[Entry]
    earlier_left_out: bool
    attempts: Sequence[AttemptMade]


async def read_timeline(history: HistoryStore, tenant: Tenant, job_id: str, now_ms: int) -> Timeline:
    """The timeline of the tenant's job. Raises JobNotFound."""
    snapshot = await history.read(tenant, job_id)
    events = await history.newest_events(job_id, MOST_ENTRIES + 1)
    shown_events = events[-MOST_ENTRIES:]
    return Timeline(
        job=snapshot.job,
        now=what_now(snapshot.job, now_ms),
        entries=[entry_of(event, snapshot) for event in shown_events],
        earlier_left_out=len(events) > len(shown_events),
        attempts=await history.attempts(job_id),
    )


def entry_of(event: Event, snapshot: JobSnapshot) -> Entry:
    """One event as a line; the event that ended the job says why as the job does."""
    return Entry(event.at, event.state.status, _message(event, snapshot))


def _message(event: Event, snapshot: JobSnapshot) -> str:
    problem = snapshot.job.problem if event.seq == snapshot.last_event else None
    match event.state:
        case State.SUCCEEDED:
            return "completed: its videos are stored here"
        # Our own words have spaces; a lone one is an error's code.
        case State.FAILED if problem is not None and " " not in event.cause:
            return f"failed ({event.cause}): {problem.message}"
        case State.FAILED if " " not in event.cause:
            return f"failed ({event.cause})"
        case State.EXPIRED:
            return "its time ran out" if problem is None else f"its time ran out: {problem.message}"
        case _:
            return event.cause


def what_now(job: Job, now_ms: int) -> str | None:
    """What an unfinished job is waiting for, and its last trouble if it has one; None if it has ended."""
    waits_for = _waits_for(job, now_ms)
    if waits_for is None or job.trouble is None:
        return waits_for
    at = datetime.fromtimestamp(job.trouble.at / 1000, UTC)
    return f"{waits_for}; last trouble at {at:%H:%M:%S} UTC ({job.trouble.code}): {job.trouble.message}"


def _waits_for(job: Job, now_ms: int) -> str | None:
    model = f"'{job.served_provider}/{job.served_model}'"
    match job.state:
        case State.QUEUED if job.available_at > now_ms:
            until = datetime.fromtimestamp(job.available_at / 1000, UTC)
            return f"held until {until:%H:%M:%S} UTC, so that it can still be cancelled; then for {model}"
        case State.QUEUED | State.REROUTED:
            return f"waiting for a free place of {model}"
        case State.SUBMITTING:
            return f"being submitted to {model}"
        case State.RUNNING:
            return f"being made by {model}"
        case State.STORING:
            return "finished at the provider; its videos are being fetched and stored"
        case State.RECOVERING:
            return "taken up again by the operator"
        case _:
            return None
