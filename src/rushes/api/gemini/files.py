"""Finished videos as files of Google's Files API: what one is, and its bytes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.answers import json_of
from rushes.api.content import finished_video, video_response
from rushes.api.gemini.answers import refusals
from rushes.api.gemini.authentication import Authenticated
from rushes.api.gemini.names import FileName, file_named
from rushes.api.gemini.operations import file_uri
from rushes.api.gemini.shapes import FileView
from rushes.api.services import services_of
from rushes.catalogue.wording import shown
from rushes.domain.job import Job
from rushes.domain.output import StoredVideo
from rushes.errors import JobNotFinished, JobNotFound, NotFound
from rushes.views.times import rfc3339

router = APIRouter()


@router.get(
    "/files/{file_id:path}:download",
    summary="Download a file",
    response_class=Response,
    responses=refusals(404),
)
async def download_file(request: Request, file_id: str, caller: Authenticated) -> Response:
    """The provider's original bytes, with Range support. Google's clients ask with `alt=media`."""
    file = file_named(file_id)
    job, video = await _found(request, caller, file)
    return await video_response(request, job, video, file.index)


@router.get("/files/{file_id:path}", summary="Get a file", response_model=FileView, responses=refusals(404))
async def get_file(request: Request, file_id: str, caller: Authenticated) -> Response:
    """The file's type, size, hash and times; `downloadUri` has its bytes."""
    file = file_named(file_id)
    job, video = await _found(request, caller, file)
    uri = file_uri(services_of(request).links.base(request), file)
    view: FileView = {
        "name": f"files/{file}",
        "mimeType": video.content_type,
        "sizeBytes": str(video.size_bytes),
        "createTime": rfc3339(job.completed_at or job.created_at),
        "sha256Hash": video.sha256,
        "uri": uri.partition(":download")[0],
        "downloadUri": uri,
        "state": "ACTIVE",
        "source": "GENERATED",
    }
    if job.files_expire_at is not None:
        view["expirationTime"] = rfc3339(job.files_expire_at)
    return json_of(view)


async def _found(request: Request, caller: Caller, file: FileName) -> tuple[Job, StoredVideo]:
    """The job and the video. Raises NotFound or FileExpired."""
    services = services_of(request)
    try:
        job = await services.jobs.get(caller, file.job_id)
        return job, finished_video(services, job, file.index)
    except (JobNotFound, JobNotFinished, HTTPException) as exc:
        # A file is there as soon as its job has finished, and not before.
        raise NotFound(f"File {shown(str(file))} not found") from exc
