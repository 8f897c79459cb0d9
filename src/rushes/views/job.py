"""What a job looks like as JSON: in answers, in webhooks and in the console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import HTTPConnection

from rushes.catalogue.price import to_usd
from rushes.domain.job import Job, State, Status
from rushes.domain.options import OPTIONS
from rushes.domain.request import InputMedia
from rushes.json_text import whole
from rushes.views.signed_links import Links
from rushes.views.times import rfc3339, rfc3339_or_none

SHORTEST_POLL_MS = 250
LONGEST_POLL_MS = 5000

# What is read a thousand times a second is a plain dataclass: mypy checks how it is built, nothing validates it again.


@dataclass(slots=True, kw_only=True)
class Usage:
    """What a job costs. Null cost means that the price is not known."""

    cost: float | None
    currency: str = "USD"
    estimated: bool


@dataclass(slots=True, kw_only=True)
class Video:
    """One finished video. `url` is a signed link to our copy; it plays without a header.

    After retention the links are null. Duration, width and height are null if the file could not be measured; a
    warning of the job then says why.
    """

    url: str | None
    video_url: str | None
    file_size: int
    content_type: str
    duration: float | None
    width: int | None
    height: int | None
    sha256: str
    expires_at: str | None
    url_expires_at: str | None
    thumbnail_url: str | None


@dataclass(slots=True, kw_only=True)
class Result(Video):
    """The first video, and all of them under `data`."""

    data: list[Video]


@dataclass(slots=True, kw_only=True)
class InlineVideo(Video):
    """The same with its bytes, for a job that asked for them; not in lists."""

    b64_json: str


@dataclass(slots=True, kw_only=True)
class InlineResult(InlineVideo):
    """The first video, and all of them under `data`."""

    data: list[InlineVideo]


@dataclass(slots=True, kw_only=True)
class JobView:
    """One job."""

    job_id: str
    status: Status
    progress: Annotated[int, Field(ge=0, le=100)]
    provider: str
    model: str
    prompt: str
    created_at: str
    completed_at: str | None
    result: Result | InlineResult | None
    started_at: str | None
    error: str | None
    error_code: str | None
    provider_error: str | None
    cancelled_at: str | None
    provider_video_id: str | None
    served_model: str
    n: int
    usage: Usage
    warnings: list[str]
    request: Annotated[dict[str, Any], Field(description="The accepted options, defaults filled in.")]
    user: Annotated[str | None, Field(description="The caller's own tag.")] = None
    metadata: Annotated[dict[str, str], Field(description="The caller's own pairs.")] = field(default_factory=dict)


def view_of(
    job: Job,
    links: Links,
    connection: HTTPConnection | None,
    now_ms: int,
    slot_of: Callable[[int], str] | None = None,
    *,
    deleted: bool = False,
) -> JobView:
    """The job as callers see it now. `connection` is the request that asks, if there is one.

    With `slot_of`, the text that it gives for a video's index stands where that video's bytes will be. A deleted job
    has no files and so no links.
    """
    return JobView(
        job_id=job.id,
        status=job.status,
        progress=job.percent(now_ms),
        provider=job.provider,
        model=job.model,
        prompt=job.request.prompt,
        created_at=rfc3339(job.created_at),
        completed_at=rfc3339_or_none(job.completed_at),
        result=_result(connection, links, job, slot_of, kept=not deleted and job.has_files(now_ms)),
        started_at=rfc3339_or_none(job.started_at),
        error=None if job.problem is None else job.problem.message,
        error_code=None if job.problem is None else job.problem.code,
        provider_error=None if job.problem is None else job.problem.provider_error,
        cancelled_at=rfc3339_or_none(job.cancelled_at),
        provider_video_id=job.provider_video_id,
        served_model=job.served_name,
        n=job.request.n,
        usage=usage(job),
        warnings=list(job.warnings),
        request=accepted_options(job),
        user=job.user,
        metadata=dict(job.metadata),
    )


def usage(job: Job) -> Usage:
    """The job's cost: an estimate until it has ended, then what it has cost and what may still be charged."""
    if job.spent_microusd is not None:
        cost_usd = to_usd(job.spent_microusd + job.reserved_microusd)
        return Usage(cost=whole(float(cost_usd)), estimated=job.reserved_microusd > 0)
    if job.cost_usd is None:
        return Usage(cost=None, estimated=True)
    return Usage(cost=whole(float(job.cost_usd)), estimated=job.cost_usd != 0)


def poll_after_ms(job: Job) -> int:
    """When it is worth asking again: a twentieth of the model's usual time, within bounds."""
    return int(max(SHORTEST_POLL_MS, min(LONGEST_POLL_MS, job.usual_s * 1000 / 20)))


def accepted_options(job: Job) -> dict[str, Any]:
    """The options as the model got them, without media bytes and keys."""
    request = job.request
    options: dict[str, Any] = {
        option.name: getattr(request, option.attribute) for option in OPTIONS if option.attribute is not None
    }
    options |= {
        "model": job.model,
        "provider": job.provider,
        "response_format": job.response_format,
        "media": [_file(item) for item in request.media] or None,
        "previous_job_id": None if request.previous is None else request.previous.job_id,
        "previous_index": None if request.previous is None else request.previous.index,
        "user": job.user,
        "metadata": dict(job.metadata) or None,
        "webhook_url": None if job.webhook is None else job.webhook.shown_url,
        "webhook_events": None if job.webhook is None or job.webhook.events is None else list(job.webhook.events),
        "retention_s": None if job.retention_ms is None else job.retention_ms / 1000,
        "fallback_models": [fallback.name for fallback in job.fallbacks.models] or None,
        "additional_params": dict(request.additional_params),
    }
    return {name: value for name, value in options.items() if value is not None}


def _file(item: InputMedia) -> dict[str, Any]:
    content = {
        "role": item.role,
        "content_type": item.content_type,
        "size_bytes": item.size_bytes,
        "sha256": item.sha256,
        "duration": item.duration_s,
    }
    return {name: value for name, value in content.items() if value is not None}


def _result(
    connection: HTTPConnection | None, links: Links, job: Job, slot_of: Callable[[int], str] | None, *, kept: bool
) -> Result | InlineResult | None:
    if job.state is not State.SUCCEEDED:
        return None
    videos = _videos(connection, links, job, kept=kept)
    if slot_of is None:
        first = videos[0]
        return Result(
            url=first.url,
            video_url=first.video_url,
            file_size=first.file_size,
            content_type=first.content_type,
            duration=first.duration,
            width=first.width,
            height=first.height,
            sha256=first.sha256,
            expires_at=first.expires_at,
            url_expires_at=first.url_expires_at,
            thumbnail_url=first.thumbnail_url,
            data=videos,
        )
    whole = [InlineVideo(**_fields(video), b64_json=slot_of(index)) for index, video in enumerate(videos)]
    return InlineResult(**_fields(videos[0]), b64_json=whole[0].b64_json, data=whole)


def _videos(connection: HTTPConnection | None, links: Links, job: Job, *, kept: bool) -> list[Video]:
    link_expires_at = links.expires_at_ms()
    base = links.base(connection)
    expires_at = rfc3339_or_none(job.files_expire_at)
    url_expires_at = rfc3339(link_expires_at) if kept else None
    videos = []
    for index, stored in enumerate(job.outputs):
        url = links.to_video(base, job, index, link_expires_at) if kept else None
        # A file that could not be measured has no frame to show.
        has_poster = kept and stored.width is not None
        videos.append(
            Video(
                url=url,
                video_url=url,
                file_size=stored.size_bytes,
                content_type=stored.content_type,
                duration=None if stored.duration_s is None else whole(stored.duration_s),
                width=stored.width,
                height=stored.height,
                sha256=stored.sha256,
                expires_at=expires_at,
                url_expires_at=url_expires_at,
                thumbnail_url=links.to_poster(base, job, index, link_expires_at) if has_poster else None,
            )
        )
    return videos


def _fields(video: Video) -> dict[str, Any]:
    return {name: getattr(video, name) for name in Video.__slots__}
