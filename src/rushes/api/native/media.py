"""GET /media/...: the videos themselves, behind signed links instead of keys."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rushes.api.native.answers import problems
from rushes.api.ranged import ServedFile, ranged_response
from rushes.api.services import services_of
from rushes.errors import JobNotFound
from rushes.media.links import LinkState

router = APIRouter()

_NO_VIDEO = HTTPException(HTTPStatus.NOT_FOUND, "There is no video at this address")


@router.head("/media/{job_id}/{index}.mp4", include_in_schema=False)
@router.get(
    "/media/{job_id}/{index}.mp4",
    summary="Play a video by its signed link",
    response_class=Response,
    responses=problems(403, 404, 410, 503),
)
async def play(
    request: Request,
    job_id: str,
    index: Annotated[int, Path(ge=0)],
    expires: str | None = None,
    signature: str | None = None,
) -> Response:
    """The provider's original bytes. Supports Range, conditional requests and HEAD; needs no key, only the link."""
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
        raise _NO_VIDEO from None
    if index >= len(job.outputs):
        raise _NO_VIDEO
    stored = job.outputs[index]
    file = ServedFile(
        key=stored.key,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        content_type=stored.content_type,
        filename=f"{job.id}-{index}.mp4",
        last_modified=datetime.fromtimestamp((job.completed_at or job.created_at) / 1000, UTC),
    )
    try:
        return await ranged_response(request, services.storage, file, {"Cache-Control": "private, max-age=3600"})
    except FileNotFoundError:
        raise HTTPException(HTTPStatus.GONE, "This video is no longer kept") from None
