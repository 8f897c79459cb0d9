"""GET /videos/jobs/{job_id}/timeline: what has happened to a job, for people."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Viewer
from rushes.api.native.answers import problems
from rushes.api.services import services_of
from rushes.domain.job import AttemptState, Job, Status
from rushes.jobs.events.sentences import Timeline, read_timeline
from rushes.views.times import rfc3339

router = APIRouter()


class EntryView(BaseModel):
    """One line: when, the job's status from then on, and what happened."""

    at: str
    status: Status
    message: str


class AttemptView(BaseModel):
    """One call to the provider: `intent` until it is answered, then `accepted`, `stored` or `failed`.

    `provider` and `model` are what really ran; `n` is how many videos it is for.
    """

    attempt_id: str
    state: AttemptState
    provider: str
    model: str
    n: int
    created_at: str
    error: str | None
    error_code: str | None
    provider_error: str | None


class TimelineView(BaseModel):
    """A job's history, oldest first. `now` says what it waits for; null once it has ended."""

    job_id: str
    status: Status
    progress: int
    now: str | None
    entries: list[EntryView]
    earlier_left_out: bool
    attempts: list[AttemptView]
    provider_video_id: str | None
    warnings: list[str]


@router.get(
    "/videos/jobs/{job_id}/timeline",
    summary="Get a job's history",
    response_model=TimelineView,
    responses=problems(401, 404, 422, 503),
)
async def get_timeline(request: Request, job_id: str, caller: Viewer) -> Response:
    """Every move of the job in plain words, the calls to its provider, and what it waits for now."""
    services = services_of(request)
    now_ms = services.clock.now_ms()
    timeline = await read_timeline(services.history, caller.tenant, job_id, now_ms)
    return json_response(_view(timeline, now_ms))


def _view(timeline: Timeline, now_ms: int) -> TimelineView:
    job = timeline.job
    return TimelineView(
        job_id=job.id,
        status=job.status,
        progress=job.percent(now_ms),
        now=timeline.now,
        entries=[EntryView(at=rfc3339(one.at), status=one.status, message=one.message) for one in timeline.entries],
        earlier_left_out=timeline.earlier_left_out,
        attempts=_attempts(timeline, job),
        provider_video_id=job.provider_video_id,
        warnings=list(job.warnings),
    )


def _attempts(timeline: Timeline, job: Job) -> list[AttemptView]:
    # A fallback takes over only from attempts that are taken back, so all that are left ran where the job runs now.
    return [
        AttemptView(
            attempt_id=one.id,
            state=one.state,
            provider=job.served_provider,
            model=job.served_model,
            n=one.n,
            created_at=rfc3339(one.created_at),
            error=None if one.problem is None else one.problem.message,
            error_code=None if one.problem is None else one.problem.code,
            provider_error=None if one.problem is None else one.problem.provider_error,
        )
        for one in timeline.attempts
    ]
