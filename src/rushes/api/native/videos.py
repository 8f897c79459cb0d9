"""The videos themselves: by signed link, which plays in a browser without a header, or by key."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rushes.api.authentication import Viewer
from rushes.api.content import finished_video, linked_response, no_video, poster_response, video_of, video_response
from rushes.api.native.answers import file_of, problems, ranged_file_of
from rushes.api.services import services_of
from rushes.domain.job import Job
from rushes.domain.output import StoredVideo
from rushes.errors import JobNotFound
from rushes.media.links import LinkState

router = APIRouter()
authenticated_router = APIRouter()

VIDEO_TYPES = ("video/mp4", "video/webm", "video/quicktime")

Index = Annotated[int, Path(ge=0, le=99, description="Which of the job's videos, from 0.")]
Extension = Annotated[
    Literal["mp4", "mov", "webm", "bin"], Path(description="Of the kind of file that the provider delivered.")
]
Expires = Annotated[str | None, Query(description="Part of the signed link.")]
Signature = Annotated[str | None, Query(description="Part of the signed link.")]


@router.get(
    "/media/{job_id}/{index}.jpg",
    summary="Show a video's poster frame by its signed link",
    response_class=Response,
    responses=problems(403, 404, 410, 422, 503) | file_of("image/jpeg"),
)
async def poster(
    request: Request, job_id: str, index: Index, expires: Expires = None, signature: Signature = None
) -> Response:
    """A JPEG of at most 640 pixels a side, made when it is first asked for."""
    job, video = await _linked_video(request, job_id, index, expires, signature)
    return await poster_response(request, job, video, index)


@router.get(
    "/media/{job_id}/{index}.{extension}",
    summary="Play a video by its signed link",
    response_class=Response,
    responses=problems(403, 404, 410, 422, 503) | ranged_file_of(*VIDEO_TYPES),
)
async def play(
    request: Request,
    job_id: str,
    index: Index,
    extension: Extension,
    expires: Expires = None,
    signature: Signature = None,
) -> Response:
    """The provider's original bytes. Supports Range, conditional requests and HEAD; needs no key, only the link.

    Where videos are kept in S3 this may be a 307 to a link there, which supports Range as well.
    """
    # A link made before another kind was found keeps its name; the signature covers it.
    del extension
    job, video = await _linked_video(request, job_id, index, expires, signature)
    left_s = services_of(request).links.left_s(expires)
    return await linked_response(request, job, video, index, left_s)


@authenticated_router.get(
    "/videos/jobs/{job_id}/content",
    summary="Download a video",
    response_class=Response,
    responses=problems(401, 404, 409, 410, 422, 503) | ranged_file_of(*VIDEO_TYPES),
)
async def download(
    request: Request,
    job_id: str,
    caller: Viewer,
    index: Annotated[int, Query(ge=0, le=99, description="Which of the job's videos.")] = 0,
) -> Response:
    """The provider's original bytes, to the key's account. Supports Range, conditional requests and HEAD."""
    job = await services_of(request).jobs.get(caller, job_id)
    return await video_response(request, job, finished_video(services_of(request), job, index), index)


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
        raise no_video() from None
    return job, video_of(services, job, index)
