"""What the Interactions API answers, in our terms: pure functions over its JSON; unknown fields are ignored."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final

from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Progress, Working
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.providers.failure import Complaint, Reply, credit_empty, quoted, said, submit_error

OUTPUT_VERSION: Final = 1
VIDEO_FAMILIES: Final = ("gemini-omni-", "veo-")
DECODED_AT_ONCE_CHARS: Final = 1024 * 1024


class Stage(Enum):
    """What a status word means for us."""

    WORKING = auto()
    COMPLETED = auto()
    """Which is not yet success: that takes a video."""
    ENDED = auto()


STATUSES: Final[Mapping[str, tuple[Stage, str]]] = {
    "queued": (Stage.WORKING, ""),
    "in_progress": (Stage.WORKING, ""),
    "completed": (Stage.COMPLETED, ""),
    "failed": (Stage.ENDED, "Google reports that the generation failed"),
    "cancelled": (Stage.ENDED, "the generation was cancelled at Google"),
    "incomplete": (Stage.ENDED, "Google stopped before the video was complete"),
    "budget_exceeded": (Stage.ENDED, "the budget set at Google is used up"),
    "requires_action": (Stage.ENDED, "Google asks for an action, which a video generation cannot give"),
    "requires_continuation": (Stage.ENDED, "Google asks to be continued, which a video generation cannot be"),
}

SAFETY_WORDS: Final = re.compile(
    r"""
      \bsafety\b(?!\ settings)
    | \bblocked\b | \bprohibited | \bmoderat | \bharmful | \binappropriate | \bsensitive\ (?:content|words)
    | content[ _]filter | responsible\ ai | \busage\ guidelines | \b(?:content|use|usage)\ polic
    | \bviolat\w*\b.{0,60}\b(?:polic|guideline|terms)
    """,
    re.IGNORECASE | re.VERBOSE,
)
BAD_KEY_WORDS: Final = re.compile(r"API_KEY_INVALID|API key (?:not valid|not found|expired)", re.IGNORECASE)
CREDIT_WORDS: Final = re.compile(
    r"prepay(?:ment)? credits?|credits? (?:are|is) depleted|billing account .{0,40}(?:closed|disabled)", re.IGNORECASE
)
RETIRED_WORDS: Final = re.compile(r"\bmodels?\b|is not found for API version|no longer available", re.IGNORECASE)
UNKNOWN_INTERACTION_WORDS: Final = re.compile(r"invalid interaction name", re.IGNORECASE)
RETRY_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def interaction_id(reply: Reply) -> str | None:
    """The id of the interaction that a reply describes."""
    found = _object(reply.body).get("id")
    return found if isinstance(found, str) and found else None


def progress_of(body: Mapping[str, object], *, had_video: bool, secret: str) -> Progress:
    """How far an interaction is. Raises UnexpectedResponse for a status word that is not documented."""
    word = body.get("status")
    stage, sentence = STATUSES.get(word, (None, "")) if isinstance(word, str) else (None, "")
    match stage:
        case Stage.WORKING:
            return Working()
        case Stage.COMPLETED:
            return _completed(body, had_video=had_video, secret=secret)
        case Stage.ENDED:
            return Failed(_why_ended(body, str(word), sentence, secret=secret))
        case _:
            shown = said(word, secret=secret)[:60]
            raise UnexpectedResponse(f"Google reports the undocumented status '{shown}'", provider_error=shown)


def inline_video(body: Mapping[str, object]) -> Iterator[bytes]:
    """The bytes of a video that came inside the reply. Raises ProviderUnavailable if no video can be read."""
    data = inline_data(body)
    if data is None:
        raise ProviderUnavailable("Google's answer no longer holds the video")
    for start in range(0, len(data), DECODED_AT_ONCE_CHARS):
        try:
            yield base64.b64decode(data[start : start + DECODED_AT_ONCE_CHARS], validate=True)
        except ValueError as exc:
            raise ProviderUnavailable("the video in Google's answer is not base64") from exc


def inline_data(body: Mapping[str, object]) -> str | None:
    """The base64 of a video that came inside the reply, or what a sieve has put in its place."""
    video = _video(body)
    data = video.get("data") if video is not None else None
    return data if isinstance(data, str) and data else None


def has_video(body: Mapping[str, object]) -> bool:
    """Whether there is a video in the reply, or a link to one."""
    return _video(body) is not None


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What Google says is wrong, from either of its envelopes."""
    error = _error(reply.body)
    reason, delay_s = _details(error.get("details"))
    codes = [code for code in (error.get("code"), error.get("status")) if isinstance(code, str) and code]
    code = " ".join(dict.fromkeys([*codes, *([f"({reason})"] if reason else [])]))
    return Complaint.of(code or f"HTTP {reply.status}", error.get("message"), secret=secret, retry_after_s=delay_s)


def why_refused(reply: Reply, *, model_id: str, secret: str) -> ProviderError:
    """Why a submit was not accepted."""
    complaint = complaint_of(reply, secret=secret)
    text = f"{complaint.code} {complaint.message}"
    if reply.status in (400, 401, 403) and BAD_KEY_WORDS.search(text):
        return ProviderAuth(
            "Google does not accept the API key; check it in Google AI Studio", provider_error=complaint.code
        )
    if reply.status < 500 and CREDIT_WORDS.search(text):
        return credit_empty(complaint, provider="Google")
    if reply.status == 404 and (not complaint.message or RETIRED_WORDS.search(text)):
        return ProviderRejected(
            f"Google does not offer, or no longer offers, the model '{model_id}'; "
            f"ask for another, as listed by GET /api/v1/models{quoted(complaint.message)}",
            provider_error=complaint.code,
        )
    if reply.status in (400, 422) and SAFETY_WORDS.search(complaint.message):
        return ContentFiltered(
            f"Google's safety filter refused the request; change the prompt or the media{quoted(complaint.message)}",
            provider_error=complaint.code,
        )
    return submit_error(reply, complaint, provider="Google")


def is_unknown_interaction(reply: Reply, complaint: Complaint) -> bool:
    """Whether a poll was answered with: there is no such interaction."""
    return reply.status in (404, 410) or (
        reply.status == 400 and UNKNOWN_INTERACTION_WORDS.search(complaint.message) is not None
    )


def _completed(body: Mapping[str, object], *, had_video: bool, secret: str) -> Progress:
    video = _video(body)
    if video is not None:
        uri = video.get("uri")
        output: Output = {"version": OUTPUT_VERSION}
        # Inline bytes never go into the job's row: they are asked for again when they are fetched.
        output |= {"uri": uri} if isinstance(uri, str) and uri else {"inline": True}
        return Done((output,))
    if _video_tokens(body) > 0:
        raise UnexpectedResponse("Google charged for a video that is not in its answer", provider_error="completed")
    words = said(" ".join(_texts(body)), secret=secret)
    error = _error(body)
    if words:
        message = f"Google's safety filter gave no video, but said: '{words}'"
    elif had_video:
        message = (
            "Google gave no video and no reason; it does not take source videos from people in the EEA, "
            "Switzerland, the UK and some states of the USA"
        )
    else:
        message = "Google gave no video and no reason; most likely its safety filter refused the result"
    code = said(error.get("code"), secret=secret)[:100] or "completed without a video"
    return Failed(ContentFiltered(message, provider_error=code))


def _why_ended(body: Mapping[str, object], word: str, sentence: str, *, secret: str) -> ProviderError:
    error = _error(body)
    code = said(error.get("code") or error.get("status") or word, secret=secret)[:100]
    words = said(error.get("message"), secret=secret) or said(" ".join(_texts(body)), secret=secret)
    if SAFETY_WORDS.search(f"{code} {words}"):
        return ContentFiltered(f"Google's safety filter ended the generation{quoted(words)}", provider_error=code)
    return ProviderRejected(f"{sentence}{quoted(words)}", provider_error=code)


def _output_steps(body: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The model's output steps, the last one first."""
    steps = [_object(step) for step in _list(body.get("steps"))]
    yield from reversed([step for step in steps if step.get("type") == "model_output"])


def _blocks(body: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    for step in _output_steps(body):
        yield from (_object(block) for block in reversed(_list(step.get("content"))))
    # Until May 2026 the blocks stood here.
    yield from (_object(block) for block in reversed(_list(body.get("outputs"))))


def _video(body: Mapping[str, object]) -> Mapping[str, object] | None:
    for block in _blocks(body):
        if block.get("type") == "video" and any(
            isinstance(block.get(name), str) and block[name] for name in ("uri", "data")
        ):
            return block
    return None


def _texts(body: Mapping[str, object]) -> list[str]:
    texts = [block.get("text") for block in _blocks(body) if block.get("type") == "text"]
    return [text for text in reversed(texts) if isinstance(text, str)]


def _video_tokens(body: Mapping[str, object]) -> int:
    tokens = 0
    for entry in map(_object, _list(_object(body.get("usage")).get("output_tokens_by_modality"))):
        count = entry.get("tokens")
        if str(entry.get("modality")).lower() == "video" and isinstance(count, int):
            tokens += count
    return tokens


def _error(body: object) -> Mapping[str, object]:
    """The error object: in `{"error": ...}`, `[{"error": ...}]`, `{"errors": [...]}` or an output step."""
    if isinstance(body, list):
        return _error(body[0]) if body else {}
    found = _object(body)
    error = found.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {"message": error}
    for item in _list(found.get("errors")):
        if isinstance(item, dict):
            return item
    for step in _output_steps(found):
        if isinstance(step.get("error"), dict):
            return _object(step["error"])
    return {}


def _details(details: object) -> tuple[str | None, float | None]:
    """The reason of an ErrorInfo and the delay of a RetryInfo, as google.rpc defines them."""
    reason: str | None = None
    delay_s: float | None = None
    for detail in map(_object, _list(details)):
        if isinstance(detail.get("reason"), str):
            reason = str(detail["reason"])
        delay = detail.get("retryDelay")
        found = RETRY_DELAY.fullmatch(delay) if isinstance(delay, str) else None
        if found is not None:
            delay_s = float(found[1])
    return reason, delay_s


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def video_models(body: Mapping[str, object]) -> tuple[str, ...]:
    """The ids of the video models in a list of all models. Raises UnexpectedResponse if it is not a list."""
    models = body.get("models")
    if not isinstance(models, list):
        raise UnexpectedResponse("Google's list of models is not one", provider_error="malformed list")
    names = [str(model["name"]) for model in models if isinstance(model, dict) and isinstance(model.get("name"), str)]
    ids = [name.removeprefix("models/") for name in names]
    return tuple(model_id for model_id in ids if model_id.startswith(VIDEO_FAMILIES))
