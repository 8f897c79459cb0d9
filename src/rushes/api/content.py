"""Videos and input files as answers: the bytes with Range and conditions, and the poster frames of videos."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.http.ranges import Sending, ServedFile, is_unchanged, ranged_response
from rushes.api.http.request_line import is_head
from rushes.api.services import Services, services_of
from rushes.domain.job import Job
from rushes.domain.output import StoredVideo
from rushes.errors import FileExpired, JobNotFinished, OutputInvalid
from rushes.jobs.retention import poster_key
from rushes.media.sniff import extension_of
from rushes.shared_places import DOWNLOADS

CACHED = {"Cache-Control": "private, max-age=3600"}
NOT_CACHED = {"Cache-Control": "no-store"}


def finished_video(services: Services, job: Job, index: int) -> StoredVideo:
    """The job's video. Raises JobNotFinished if the job has no video yet or never will, else what `video_of` raises."""
    if not job.outputs:
        raise JobNotFinished(f"Job '{job.id}' is {job.status.value}, so it has no video")
    return video_of(services, job, index)


def video_of(services: Services, job: Job, index: int) -> StoredVideo:
    """The job's video. Raises FileExpired, or a 404 if it has none of this index."""
    if index >= len(job.outputs):
        raise no_video()
    if not job.has_files(services.clock.now_ms()):
        raise video_gone(job.id)
    return job.outputs[index]


async def linked_response(request: Request, job: Job, video: StoredVideo, index: int, ttl_s: int) -> Response:
    """The video, or where the storage gives links of its own, the way to it: a 307 to one that lasts `ttl_s`.

    Raises FileExpired, AccountBusy or Overloaded.
    """
    try:
        return await linked_file(request, _served_file(job, video, index), job.account_id, ttl_s)
    except FileNotFoundError:
        raise video_gone(job.id) from None


async def linked_file(request: Request, file: ServedFile, account_id: str, ttl_s: int) -> Response:
    """The same for any file of an account. Raises FileNotFoundError, AccountBusy or Overloaded."""
    services = services_of(request)
    # What compares our validator is answered here: the bucket has another one for the same bytes.
    ours = "If-Range" in request.headers or is_unchanged(request.headers, file)
    if not is_head(request.scope) and not ours:
        url = await services.storage.link(
            file.key, ttl_s=ttl_s, content_type=file.content_type, disposition=file.disposition
        )
        if url is not None:
            return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": url, **NOT_CACHED})
    # What a signed link has opened ends with the link, not with a key.
    sending = Sending(services.places[DOWNLOADS], account_id, None)
    return await ranged_response(request, services.storage, file, CACHED, sending)


async def video_response(request: Request, job: Job, video: StoredVideo, index: int) -> Response:
    """The provider's original bytes. Supports Range, conditional requests and HEAD.

    The connection is cut when the caller's key becomes invalid. Raises FileExpired, AccountBusy or Overloaded.
    """
    services = services_of(request)
    caller: Caller | None = getattr(request.state, "caller", None)
    key = None if caller is None else services.revocations.watch(caller.key_id)
    sending = Sending(services.places[DOWNLOADS], job.account_id, key)
    try:
        return await ranged_response(request, services.storage, _served_file(job, video, index), CACHED, sending)
    except FileNotFoundError:
        raise video_gone(job.id) from None


def _served_file(job: Job, video: StoredVideo, index: int) -> ServedFile:
    return ServedFile(
        key=video.key,
        size_bytes=video.size_bytes,
        sha256=video.sha256,
        content_type=video.content_type,
        filename=f"{job.id}-{index}{extension_of(video.content_type)}",
        last_modified=datetime.fromtimestamp((job.completed_at or job.created_at) / 1000, UTC),
    )


async def poster_response(request: Request, job: Job, video: StoredVideo, index: int) -> Response:
    """A JPEG of at most 640 pixels a side, made when it is first asked for. Raises FileExpired."""
    try:
        content = await services_of(request).posters.get(poster_key(job.id, index), video.key, job.account_id)
    except FileNotFoundError:
        raise video_gone(job.id) from None
    except OutputInvalid as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"The video has no poster frame: {error.message}") from error
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag, **CACHED})
    return Response(content, headers={"ETag": etag, **CACHED}, media_type="image/jpeg")


def no_video() -> HTTPException:
    """The 404 of an address that names no video."""
    return HTTPException(HTTPStatus.NOT_FOUND, "There is no video at this address")


def video_gone(job_id: str) -> FileExpired:
    """The refusal of a video that is no longer kept."""
    return FileExpired(f"The video of job '{job_id}' is no longer kept")
