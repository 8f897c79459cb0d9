"""The shapes of OpenAI's Videos API, and how a stored job becomes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from rushes.catalogue.size import pixels
from rushes.domain.job import Job, Problem, Status
from rushes.domain.request import Role

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]

_STATUS: dict[Status, VideoStatus] = {
    Status.PENDING: "queued",
    Status.IN_PROGRESS: "in_progress",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
}

_CODE_THERE = {"content_filtered": "moderation_blocked"}
"""Where OpenAI has a word of its own for why a video failed; else ours stands."""


@dataclass(slots=True, kw_only=True)
class VideoError:
    """Why a video failed: a stable code and one sentence."""

    code: str
    message: str


@dataclass(slots=True, kw_only=True)
class VideoView:
    """One video. Times are seconds since 1970 UTC. `served_model` and `warnings` are ours."""

    id: str
    object: Literal["video"] = "video"
    status: VideoStatus
    progress: Annotated[int, Field(ge=0, le=100)]
    model: str
    prompt: str
    seconds: Annotated[str | None, Field(description="As asked for; of an extended video its whole length.")]
    size: Annotated[str | None, Field(description="As asked for; null until it is known.")]
    created_at: int
    completed_at: int | None
    expires_at: int | None
    remixed_from_video_id: str | None
    error: VideoError | None
    served_model: str
    warnings: list[str]


@dataclass(slots=True, kw_only=True)
class VideoPage:
    """Some of the account's videos; `after=last_id` goes on."""

    object: Literal["list"] = "list"
    data: list[VideoView]
    first_id: str | None
    last_id: str | None
    has_more: bool


@dataclass(slots=True, kw_only=True)
class DeletedVideo:
    """What a delete answers."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True


@dataclass(slots=True, kw_only=True)
class ModelView:
    """One model; its `id` is what to ask for. `created` is 0 where the release is not known."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    shutdown_date: str | None


@dataclass(slots=True, kw_only=True)
class ModelList:
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelView]


@dataclass(slots=True, kw_only=True)
class ErrorDetail:
    """What went wrong: a sentence, the kind, the field that is at fault, a stable code."""

    message: str
    type: str
    param: str | None
    code: str


@dataclass(slots=True, kw_only=True)
class ErrorEnvelope:
    """What every refusal answers."""

    error: ErrorDetail


def video_view(job: Job, now_ms: int) -> VideoView:
    """The job as callers of this surface see it now."""
    return VideoView(
        id=job.id,
        status=_STATUS[job.status],
        progress=job.percent(now_ms),
        model=job.asked_name,
        prompt=job.request.prompt,
        seconds=_seconds(job),
        size=_size(job),
        created_at=job.created_at // 1000,
        completed_at=_seconds_or_none(job.completed_at),
        expires_at=_seconds_or_none(job.files_expire_at),
        remixed_from_video_id=job.source_job_id,
        error=None if job.problem is None else _error(job.problem),
        served_model=job.served_name,
        warnings=list(job.warnings),
    )


def _error(problem: Problem) -> VideoError:
    return VideoError(code=_CODE_THERE.get(problem.code, problem.code), message=problem.message)


def _seconds(job: Job) -> str | None:
    # Of a video that goes on from another, only the result says how long both are together.
    goes_on = bool(job.request.media_for(Role.VIDEO)) and bool(job.outputs)
    if job.request.duration_s is not None and not goes_on:
        return str(job.request.duration_s)
    measured_s = job.outputs[0].duration_s if job.outputs else None
    if measured_s is None and job.request.duration_s is None:
        # An edit is as long as its video.
        measured_s = next((item.duration_s for item in job.request.media_for(Role.VIDEO)), None)
    return None if measured_s is None else str(round(measured_s))


def _size(job: Job) -> str | None:
    request = job.request
    if request.resolution is not None and request.aspect_ratio is not None:
        named = pixels(request.resolution, request.aspect_ratio)
        if named is not None:
            return named
    if not job.outputs or job.outputs[0].width is None:
        return None
    return f"{job.outputs[0].width}x{job.outputs[0].height}"


def _seconds_or_none(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // 1000
