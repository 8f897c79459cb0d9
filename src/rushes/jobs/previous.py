"""A finished job whose video another request goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from rushes.db.database import Row
from rushes.domain.job import Job
from rushes.domain.output import StoredVideo
from rushes.domain.request import InputMedia, PreviousVideo, Role
from rushes.errors import FileExpired, JobNotFinished, UnsupportedOption
from rushes.jobs.rows import outputs_from


@dataclass(frozen=True, slots=True)
class Source:
    """The video that is gone on from: where its bytes are, and what its provider knows of it."""

    job: Job
    stored: StoredVideo
    previous: PreviousVideo

    def expected(self) -> InputMedia:
        """What stands for the video while the request is checked, before its bytes are copied."""
        return InputMedia(
            Role.VIDEO,
            key="",
            content_type=self.stored.content_type,
            size_bytes=self.stored.size_bytes,
            sha256=self.stored.sha256,
            duration_s=self.stored.duration_s,
            width=self.stored.width,
            height=self.stored.height,
        )


def source_of(job: Job, attempts: Sequence[Row], index: int, now_ms: int) -> Source:
    """The video of this index.

    Raises JobNotFinished while the job has none, UnsupportedOption for an index that it does not have, FileExpired if
    the video is no longer kept.
    """
    if not job.outputs:
        raise JobNotFinished(f"previous_job_id: job '{job.id}' is {job.status.value}, so it has no video to go on from")
    if index >= len(job.outputs):
        raise UnsupportedOption(
            f"previous_index {index} is not a video of job '{job.id}'; it has {len(job.outputs)}, counted from 0",
            field="previous_index",
        )
    if not job.has_files(now_ms):
        raise FileExpired(f"previous_job_id: the video of job '{job.id}' is no longer kept")
    handle, handle_index = _call_of(attempts, index)
    previous = PreviousVideo(
        job_id=job.id,
        index=index,
        provider=job.served_provider,
        model=job.served_model,
        api=job.api,
        credential=job.credential,
        provider_video_id=job.provider_video_id,
        handle=handle,
        handle_index=handle_index,
        completed_at=job.created_at if job.completed_at is None else job.completed_at,
    )
    return Source(job, job.outputs[index], previous)


def _call_of(attempts: Sequence[Row], index: int) -> tuple[object, int]:
    """The handle of the call that made the video, and the video's place in it; None if that is not certain."""
    made = [(attempt, len(outputs_from(attempt["outputs"]))) for attempt in attempts]
    if len(made) == 1:
        # A job of one call keeps its videos in its own row alone.
        return _handle(attempts[0]), index
    for attempt, count in made:
        if index < count:
            return _handle(attempt), index
        index -= count
    return None, index


def _handle(attempt: Row) -> object:
    return None if attempt["handle"] is None else from_json(attempt["handle"])
