"""The videos themselves: by signed link, which plays in a browser without a header, or by key."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rushes.api.authentication import Authenticated
from rushes.api.native.answers import problems
from rushes.api.ranged import ServedFile, ranged_response
from rushes.api.services import services_of
from rushes.errors import FileExpired, JobNotFinished, JobNotFound
from rushes.jobs.job import Job
from rushes.jobs.store import poster_key
from rushes.media.links import LinkState
from rushes.video.output import StoredVideo

router = APIRouter()
authenticated_router = APIRouter()

CACHED = {"Cache-Control": "private, max-age=3600"}

Index = Annotated[int, Path(ge=0, le=99, description="Which of the job's videos, from 0.")]
Expires = Annotated[str | None, Query(description="Part of the signed link.")]
Signature = Annotated[str | None, Query(description="Part of the signed link.")]


@router.head("/media/{job_id}/{index}.mp4", include_in_schema=False)
@router.get(
    "/media/{job_id}/{index}.mp4",
    summary="Play a video by its signed link",
    response_class=Response,
    responses=problems(403, 404, 410, 503),
)
async def play(
    request: Request, job_id: str, index: Index, expires: Expires = None, signature: Signature = None
) -> Response:
    """The provider's original bytes. Supports Range, conditional requests and HEAD; needs no key, only the link."""
    job, video = await _linked_video(request, job_id, index, expires, signature)
    return await _serve(request, job, video, index)


@router.get(
    "/media/{job_id}/{index}.jpg",
    summary="Show a video's poster frame by its signed link",
    response_class=Response,
    responses=problems(403, 404, 410, 503),
)
async def poster(
    request: Request, job_id: str, index: Index, expires: Expires = None, signature: Signature = None
) -> Response:
    """A JPEG of at most 640 pixels a side, made when it is first asked for."""
    _, video = await _linked_video(request, job_id, index, expires, signature)
    try:
        content = await services_of(request).posters.get(poster_key(job_id, index), video.key)
    except FileNotFoundError:
        raise _gone(job_id) from None
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag, **CACHED})
    return Response(content, headers={"ETag": etag, **CACHED}, media_type="image/jpeg")


@authenticated_router.head("/videos/jobs/{job_id}/content", include_in_schema=False)
@authenticated_router.get(
    "/videos/jobs/{job_id}/content",
    summary="Download a video",
    response_class=Response,
    responses=problems(401, 404, 409, 410, 422, 503),
)
async def download(
    request: Request,
    job_id: str,
    caller: Authenticated,
    index: Annotated[int, Query(ge=0, le=99, description="Which of the job's videos.")] = 0,
) -> Response:
    """The provider's original bytes, to the key's account. Supports Range, conditional requests and HEAD."""
    job = await services_of(request).jobs.get(caller, job_id)
    if not job.outputs:
        raise JobNotFinished(f"Job '{job_id}' is {job.status.value}, so it has no video")
    return await _serve(request, job, _video_of(request, job, index), index)


async def _linked_video(
    request: Request, job_id: str, index: int, expires: str | None, signature: str | None
) -> tuple[Job, StoredVideo]:
    services = services_of(request)
    match services.links.check(request.url.path, expires, signature):
        case LinkState.FORGED:
            raise HTTPException(HTTPStatus.FORBIDDEN, "This link is not one of ours; read the job to get its link")
        case LinkState.EXPIRED:
            raise HTTPException(HTTPStatus.FORBIDDEN, "This link has expired; read the job again to get a fresh one")
        case LinkState.VALID:
            pass
    try:
        job = await services.jobs.get_by_link(job_id)
    except JobNotFound:
        raise _no_video() from None
    return job, _video_of(request, job, index)


def _video_of(request: Request, job: Job, index: int) -> StoredVideo:
    if index >= len(job.outputs):
        raise _no_video()
    if not job.has_files(services_of(request).clock.now_ms()):
        raise _gone(job.id)
    return job.outputs[index]


async def _serve(request: Request, job: Job, video: StoredVideo, index: int) -> Response:
    file = ServedFile(
        key=video.key,
        size_bytes=video.size_bytes,
        sha256=video.sha256,
        content_type=video.content_type,
        filename=f"{job.id}-{index}.mp4",
        last_modified=datetime.fromtimestamp((job.completed_at or job.created_at) / 1000, UTC),
    )
    try:
        return await ranged_response(request, services_of(request).storage, file, CACHED)
    except FileNotFoundError:
        raise _gone(job.id) from None


def _no_video() -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, "There is no video at this address")


def _gone(job_id: str) -> FileExpired:
    return FileExpired(f"The video of job '{job_id}' is no longer kept")
