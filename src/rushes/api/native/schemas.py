"""The envelopes and pages that the native API answers with."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from rushes.api.inline import InlineVideos
from rushes.api.services import services_of
from rushes.domain.job import Job, Status
from rushes.views.job import InlineVideo, JobView, Usage, Video, view_of


@dataclass(slots=True, kw_only=True)
class JobPage:
    """Jobs, newest first. `total` is exact with no filter or by status alone, else null."""

    jobs: list[JobView]
    total: int | None
    limit: int
    skip: int
    next_cursor: str | None


@dataclass(slots=True, kw_only=True)
class StartedJob:
    """What a create answers about its job."""

    job_id: str
    status: Status
    is_async: bool = True
    provider_video_id: str | None = None
    status_url: str


@dataclass(slots=True, kw_only=True)
class GenerationStarted:
    """The envelope that a create answers with."""

    request_id: str
    created_at: str
    duration_ms: float
    provider: str
    model: str
    success: bool = True
    message: str = "Video generation started"
    byok_api_key: bool = False
    job_id: str
    status: Status
    served_model: str
    usage: Usage
    data: StartedJob
    warnings: list[str]


@dataclass(slots=True, kw_only=True)
class GenerationFinished:
    """What a create answers that has waited for the end (`Prefer: wait`): the envelope with the videos in it.

    A job that failed has no videos, `success` false, and says why.
    """

    request_id: str
    created_at: str
    duration_ms: float
    provider: str
    model: str
    success: bool
    message: str
    byok_api_key: bool
    job_id: str
    status: Status
    served_model: str
    usage: Usage
    data: list[Video] | list[InlineVideo]
    error: str | None
    error_code: str | None
    provider_error: str | None
    warnings: list[str]


class Cancelled(BaseModel):
    """What a cancel answers."""

    success: bool = True
    job_id: str
    status: Status
    message: str = "Job cancelled"


class Problem(BaseModel):
    """application/problem+json (RFC 9457). `code` is stable; `detail` is one sentence."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: list[dict[str, str]] = []
    suggestions: list[str] = []


def job_view(request: Request, job: Job, inline: InlineVideos | None = None) -> JobView:
    """The job as callers see it now; with `inline`, slots stand where its videos' bytes will be."""
    services = services_of(request)
    slot_of = None if inline is None else inline.slot
    return view_of(job, services.links, request, services.clock.now_ms(), slot_of)
