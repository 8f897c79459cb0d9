"""A job as Google's Interactions API shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rushes.api.gemini.names import FileName
from rushes.api.gemini.operations import file_uri
from rushes.api.gemini.rpc import rpc_status
from rushes.api.gemini.shapes import Block, InteractionView
from rushes.domain.job import Job, State, Status
from rushes.views.times import rfc3339

IN_PROGRESS: Final = "in_progress"
CANCELLED: Final = "cancelled"

_STATUS: Final = {
    # Not "queued", which Google has too: its examples wait only as long as the status is "in_progress".
    Status.PENDING: IN_PROGRESS,
    Status.IN_PROGRESS: IN_PROGRESS,
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
}


def interaction_view(
    job: Job, base: str, now_ms: int, *, slot_of: Callable[[int], str] | None = None, shows_input: bool = False
) -> InteractionView:
    """The interaction as it is now; `base` is where the service is reached.

    `slot_of` gives what stands for the base64 of a video, by its index; without it the videos are addresses alone.
    With `shows_input` the prompt comes first, without the media.
    """
    view: InteractionView = {
        "id": job.id,
        "object": "interaction",
        "status": CANCELLED if job.state is State.CANCELLED else _STATUS[job.status],
        "model": job.asked_name,
        "created": rfc3339(job.created_at),
        "updated": rfc3339(job.completed_at or job.started_at or job.created_at),
        "steps": [],
        "progress": job.percent(now_ms),
        "served_model": job.served_name,
        "warnings": list(job.warnings),
    }
    if job.request.previous is not None:
        view["previous_interaction_id"] = job.request.previous.job_id
    if shows_input:
        view["steps"].append({"type": "user_input", "content": [{"type": "text", "text": job.request.prompt}]})
    if job.outputs:
        blocks = [_video(job, base, index, slot_of) for index in range(len(job.outputs))]
        view["steps"].append({"type": "model_output", "content": blocks})
    elif job.problem is not None and job.state is not State.CANCELLED:
        # Google says a refusal by its filter as text in the place of the video; so this is read there as well.
        reason: Block = {"type": "text", "text": job.problem.message}
        view["steps"].append({"type": "model_output", "content": [reason], "error": rpc_status(job.problem)})
        view["errors"] = [{"code": job.problem.code, "message": job.problem.message}]
    return view


def _video(job: Job, base: str, index: int, slot_of: Callable[[int], str] | None) -> Block:
    block: Block = {
        "type": "video",
        "mime_type": job.outputs[index].content_type,
        "uri": file_uri(base, FileName(job.id, index)),
    }
    if slot_of is not None:
        block["data"] = slot_of(index)
    return block
