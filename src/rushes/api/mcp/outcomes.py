"""What a tool answers: words for the reader, facts for programs, and the videos of a job with their posters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.requests import Request

from rushes.api.services import Services, services_of
from rushes.domain.job import Job, Status
from rushes.errors import RushesError
from rushes.jobs.retention import poster_key
from rushes.json_text import json_bytes
from rushes.views.job import JobView, Video, view_of

log = structlog.get_logger(__name__)

SHOWN_PROMPT_CHARS = 80


@dataclass(frozen=True, slots=True)
class Poster:
    """A JPEG of at most 640 pixels a side."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VideoLink:
    """A link that plays without a key until it expires."""

    url: str
    name: str
    content_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call has led to. `started` is the job of a call that makes one: it can be answered as a task."""

    text: str
    structured: dict[str, Any]
    links: tuple[VideoLink, ...] = ()
    posters: tuple[Poster, ...] = ()
    started: Job | None = None
    failed: bool = False
    """Whether the job has failed."""


def as_json(content: Any) -> dict[str, Any]:
    """A shape of ours as plain JSON values."""
    found: dict[str, Any] = json.loads(json_bytes(content))
    return found


def seen(request: Request, job: Job) -> JobView:
    """The job as callers see it now."""
    services = services_of(request)
    return view_of(job, services.links, request, services.clock.now_ms())


async def job_outcome(request: Request, job: Job, *, before: str = "", with_posters: bool = True) -> Outcome:
    """The job in words, as facts, and with what there is to show of it."""
    view = seen(request, job)
    videos = [] if view.result is None else list(view.result.data)
    links = tuple(_link(job, index, video) for index, video in enumerate(videos) if video.url is not None)
    return Outcome(
        text=before + in_words(view),
        structured=as_json(view),
        links=links,
        posters=await _posters(services_of(request), job) if with_posters and links else (),
        failed=job.status is Status.FAILED,
    )


def in_words(view: JobView) -> str:
    """What the job has come to, and what to do next."""
    said = f"Job {view.job_id} ({view.served_model}) is {view.status}"
    match view.status:
        case Status.COMPLETED:
            said += f" and {_cost(view)}."
            links = [video.url for video in view.result.data if video.url is not None] if view.result else []
            if links and view.result is not None:
                said += f" Show the person the link, which works until {view.result.url_expires_at}: " + " ".join(links)
            else:
                said += " Its video is no longer kept."
        case Status.FAILED:
            said += f" ({view.error_code}): {view.error} It {_cost(view)}."
        case _:
            said += (
                f", {view.progress} % done; it {_cost(view)}. Call get_video with job_id {view.job_id} and wait_s 50 "
                "until the status is completed or failed."
            )
    if view.warnings:
        said += " Warnings: " + " ".join(view.warnings)
    return said


def in_a_line(view: JobView) -> str:
    """The job in a list."""
    prompt = view.prompt[:SHOWN_PROMPT_CHARS].replace("\n", " ")
    return f"{view.job_id}: {view.status}, {view.created_at}, {view.served_model}, {prompt!r}"


def _cost(view: JobView) -> str:
    if view.usage.cost is None:
        return "has an unknown price"
    if view.usage.cost == 0:
        return "costs nothing"
    return f"{'costs up to' if view.usage.estimated else 'cost'} {view.usage.cost:g} USD"


def _link(job: Job, index: int, video: Video) -> VideoLink:
    return VideoLink(video.url or "", f"{job.id}-{index}", video.content_type, video.file_size)


async def _posters(services: Services, job: Job) -> tuple[Poster, ...]:
    posters = []
    for index, video in enumerate(job.outputs):
        if video.width is None:
            continue
        try:
            content = await services.posters.get(poster_key(job.id, index), video.key, job.account_id)
        except (RushesError, FileNotFoundError) as error:
            # The job is shown all the same: a poster is an extra.
            log.info("poster_left_out", job_id=job.id, index=index, reason=str(error)[:200])
        else:
            posters.append(Poster(content))
    return tuple(posters)
