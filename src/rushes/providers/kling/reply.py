"""What Kling's answers mean, on both of its APIs: `{"code", "message", "request_id", "data"}`.

kling.ai document-api, "General information" and "Error codes", as mirrored in aself101/kling-api (September 2026), and
the live log of that project (docs/specs/kling-api-2.0-migration-checklist.md at 2ffc505a); checked 2026-11-30.
"""

from __future__ import annotations

from typing import Any, Final

from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Progress, Working
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.providers.failure import Complaint, Raw, Reply, credit_empty, poll_error, submit_error
from rushes.providers.translation import Stage

TITLE: Final = "Kling"
VERSION: Final = 1

ACCEPTED: Final = "0"
BAD_KEY: Final = ("1000", "1001", "1002", "1003", "1004")
NO_CREDIT: Final = ("1100", "1101", "1102")
NO_RIGHT: Final = "1103"
BAD_ARGUMENT: Final = "1201"
FILTERED: Final = ("1300", "1301")
BUSY: Final = ("1302", "1303")
BLOCKED_ADDRESS: Final = "1304"
MODERATED_WORDS: Final = ("risk control", "content security", "sensitive", "policy")

STAGES: Final = {
    "submitted": Stage.WORKING,
    "processing": Stage.WORKING,
    "succeeded": Stage.DONE,
    # The older API's word.
    "succeed": Stage.DONE,
    "failed": Stage.FAILED,
}


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """Kling's code and words. The code is `0` where nothing is wrong."""
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    body = reply.body if isinstance(reply.body, dict) else {}
    otherwise = ACCEPTED if reply.is_success else f"HTTP {reply.status}"
    return Complaint.of(body.get("code", otherwise), body.get("message"), secret=secret)


def is_duplicate(complaint: Complaint) -> bool:
    """Whether the account has a task of this external id already, so that this request made none."""
    words = complaint.message.lower()
    return complaint.code == BAD_ARGUMENT and "external_task_id" in words and "already exists" in words


def refusal(reply: Reply, complaint: Complaint) -> ProviderError:
    """Why a submit was not accepted, by Kling's own code."""
    code, words = complaint.code, complaint.message
    if code in FILTERED:
        return ContentFiltered(f"{TITLE}'s content policy refused: '{words}'", provider_error=code)
    if code in BAD_KEY:
        return ProviderAuth(f"{TITLE} does not accept the key: '{words}'", provider_error=code)
    if code in (NO_RIGHT, BLOCKED_ADDRESS):
        return ProviderAuth(f"{TITLE} does not let this key use the model: '{words}'", provider_error=code)
    if code in NO_CREDIT:
        return credit_empty(complaint, provider=TITLE)
    if code in BUSY:
        message = f"{TITLE} runs as many tasks of this account as it may: '{words}'"
        return ProviderQuota(message, provider_error=code, retry_after_s=reply.retry_after_s)
    if reply.is_success:
        return ProviderRejected(f"{TITLE} refused the request: '{words}'", provider_error=code)
    return submit_error(reply, complaint, provider=TITLE)


def check_poll(reply: Reply, complaint: Complaint) -> None:
    """Raises ProviderUnavailable or ProviderQuota if this answer is not about a task."""
    if reply.is_success and complaint.code == ACCEPTED:
        return
    if complaint.code in BUSY:
        raise ProviderQuota(f"{TITLE} limits how often tasks are asked for", provider_error=complaint.code)
    if reply.is_success:
        raise ProviderUnavailable(f"{TITLE} could not say how far the task is", provider_error=complaint.code)
    raise poll_error(reply, complaint, provider=TITLE)


def progress_of(word: str, message: object, videos: object, *, secret: str) -> Progress:
    """How far a task is, by its status word. Raises UnexpectedResponse for a word that is not documented."""
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            return Done(_outputs(videos, word))
        case Stage.FAILED:
            return Failed(_ended(Complaint.of(word, message, secret=secret)))
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def unknown_task() -> Failed:
    """The task does not exist, or no longer exists; Kling keeps one for 30 days."""
    return Failed(ProviderRejected(f"{TITLE} no longer knows this task", provider_error="no such task"))


def _ended(complaint: Complaint) -> ProviderError:
    if any(part in complaint.message.lower() for part in MODERATED_WORDS):
        return ContentFiltered(
            f"{TITLE}'s content policy refused: '{complaint.message}'", provider_error=complaint.code
        )
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def _outputs(videos: object, word: str) -> tuple[Output, ...]:
    found = [
        {"version": VERSION, "url": video["url"]}
        for video in (videos if isinstance(videos, list) else [])
        if isinstance(video, dict) and isinstance(video.get("url"), str) and video["url"]
        if video.get("type", "video") == "video"
    ]
    if not found:
        raise UnexpectedResponse(f"{TITLE} says that the task succeeded, but names no video", provider_error=word)
    return tuple(found)


def data_of(reply: Reply) -> Any:
    """What stands under `data`."""
    return reply.body.get("data") if isinstance(reply.body, dict) else None
