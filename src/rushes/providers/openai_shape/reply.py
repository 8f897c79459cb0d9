"""What `/v1/videos` answers, in our terms: pure functions over its JSON; unknown fields are ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Progress, Working
from rushes.errors import ContentFiltered, ProviderError, ProviderRejected, UnexpectedResponse
from rushes.providers.failure import Complaint, Reply, credit_empty, quoted, said, submit_error

OUTPUT_VERSION: Final = 1
MOST_MODELS: Final = 200


class Stage(Enum):
    """What a status word means for us."""

    WORKING = auto()
    COMPLETED = auto()
    ENDED = auto()


STATUSES: Final[Mapping[str, tuple[Stage, str]]] = {
    "queued": (Stage.WORKING, ""),
    "in_progress": (Stage.WORKING, ""),
    "processing": (Stage.WORKING, ""),
    "completed": (Stage.COMPLETED, ""),
    "failed": (Stage.ENDED, "reports that the generation failed"),
    "deleted": (Stage.ENDED, "says that the generation was deleted there"),
}

FILTER_CODES: Final = frozenset({
    "moderation_blocked", "content_policy_violation", "content_filter", "content_filtered",
    "input_moderation", "output_moderation",
})  # fmt: skip
FILTER_WORDS: Final = re.compile(
    r"moderation|content[ _]polic|safety (?:system|filter|checker|polic)|\bguardrail", re.IGNORECASE
)
CREDIT_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_credits"})
MODEL_WORDS: Final = re.compile(r"\bmodels?\b", re.IGNORECASE)


def video_id(reply: Reply) -> str | None:
    """The id of the video that a reply describes."""
    found = _object(reply.body).get("id")
    return found if isinstance(found, str) and found else None


def video_of(reply: Reply) -> Mapping[str, object] | None:
    """The video object in a reply, or None if it is something else.

    vLLM-Omni answers the GET of a failed generation with 4xx or 5xx and the object as body; an error status with any
    other state in the body is a failure of the call, not of the generation.
    """
    body = _object(reply.body)
    if not isinstance(body.get("status"), str) or video_id(reply) is None:
        return body if reply.is_success and body.get("object") == "video" else None
    return body if reply.is_success or (reply.status >= 400 and body["status"] == "failed") else None


def progress_of(video: Mapping[str, object], *, server: str, n: int = 1, real_progress: bool, secret: str) -> Progress:
    """How far a generation of `n` videos is. Raises UnexpectedResponse for a status word that is not documented."""
    word = video.get("status")
    stage, sentence = STATUSES.get(word, (None, "")) if isinstance(word, str) else (None, "")
    match stage:
        case Stage.WORKING:
            return Working(_fraction(video.get("progress")) if real_progress else None)
        case Stage.COMPLETED:
            return _completed(video, n, server)
        case Stage.ENDED:
            return Failed(_why_ended(video, f"'{server}' {sentence}", secret=secret))
        case _:
            shown = said(word, secret=secret)[:60]
            raise UnexpectedResponse(f"'{server}' reports the undocumented status '{shown}'", provider_error=shown)


def is_finished(video: Mapping[str, object]) -> bool:
    """Whether the generation has ended, well or badly."""
    return STATUSES.get(str(video.get("status")), (Stage.WORKING, ""))[0] is not Stage.WORKING


def url_of(video: Mapping[str, object], index: int) -> str | None:
    """Where a server that stores its results elsewhere says that one lies."""
    urls = video.get("urls")
    found = urls[index] if isinstance(urls, list) and index < len(urls) else None
    if found is None and index == 0:
        found = video.get("url")
    return found if isinstance(found, str) and found else None


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What a server says is wrong, from OpenAI's envelope, FastAPI's or vLLM's older one."""
    body = _object(reply.body)
    detail = body.get("detail")
    error = body.get("error")
    if isinstance(error, str):
        return Complaint.of(f"HTTP {reply.status}", error, secret=secret)
    if detail is not None:
        return Complaint.of(f"HTTP {reply.status}", _detail(detail), secret=secret)
    found = _object(error) or body
    return Complaint.of(_code(found) or f"HTTP {reply.status}", found.get("message"), secret=secret)


def why_refused(reply: Reply, *, server: str, model_id: str, secret: str) -> ProviderError:
    """Why a submit was not accepted."""
    complaint = complaint_of(reply, secret=secret)
    provider = f"'{server}'"
    if 400 <= reply.status < 500:
        if complaint.code in CREDIT_CODES:
            return credit_empty(complaint, provider=provider)
        if reply.status != 429 and _is_filtered(complaint):
            return ContentFiltered(
                f"the safety filter of {provider} refused the request; change the prompt or the media"
                f"{quoted(complaint.message)}",
                provider_error=complaint.code,
            )
        if complaint.code == "model_not_found" or (reply.status == 404 and MODEL_WORDS.search(complaint.message)):
            return ProviderRejected(
                f"{provider} does not serve the model '{model_id}'; ask for another, or correct its id in the "
                f"configuration{quoted(complaint.message)}",
                provider_error=complaint.code,
            )
    return submit_error(reply, complaint, provider=provider)


def model_ids(reply: Reply) -> tuple[str, ...]:
    """The ids that `GET /v1/models` lists, as far as they can be ids of ours; at most 200."""
    data = _object(reply.body).get("data")
    ids = [_object(item).get("id") for item in data] if isinstance(data, list) else []
    usable = [
        item
        for item in ids
        if isinstance(item, str) and 0 < len(item) <= 200 and item.isprintable() and " " not in item
    ]
    return tuple(dict.fromkeys(usable))[:MOST_MODELS]


def _completed(video: Mapping[str, object], n: int, server: str) -> Done:
    urls, count = video.get("urls"), video.get("num_outputs")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        count = len(urls) if isinstance(urls, list) and urls else 1
    outputs: tuple[Output, ...] = tuple(
        {"version": OUTPUT_VERSION, "index": index} for index in range(min(count, n) if n > 1 else 1)
    )
    missing = f"'{server}' made {count} of {n} videos" if count < n else None
    return Done(outputs, missing)


def _why_ended(video: Mapping[str, object], sentence: str, *, secret: str) -> ProviderError:
    error = video.get("error")
    found = {"message": error} if isinstance(error, str) else _object(error)
    complaint = Complaint.of(_code(found) or video.get("status"), found.get("message"), secret=secret)
    if _is_filtered(complaint):
        return ContentFiltered(
            f"the safety filter ended the generation{quoted(complaint.message)}", provider_error=complaint.code
        )
    return ProviderRejected(f"{sentence}{quoted(complaint.message)}", provider_error=complaint.code)


def _is_filtered(complaint: Complaint) -> bool:
    return complaint.code in FILTER_CODES or FILTER_WORDS.search(complaint.message) is not None


def _fraction(progress: object) -> float | None:
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    return progress / 100 if 0 <= progress <= 100 else None


def _code(error: Mapping[str, object]) -> str | None:
    for name in ("code", "type"):
        value = error.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def _detail(detail: object) -> str | None:
    """FastAPI's words: a sentence, or one entry for each field that is wrong."""
    if not isinstance(detail, list):
        return detail if isinstance(detail, str) else str(_object(detail).get("message", "")) or None
    entries = [_object(item) for item in detail[:5]]
    lines = []
    for entry in entries:
        where = entry.get("loc")
        path = ".".join(str(step) for step in where) if isinstance(where, list) else ""
        lines.append(f"{path}: {entry.get('msg')}" if path else str(entry.get("msg")))
    return "; ".join(lines)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
