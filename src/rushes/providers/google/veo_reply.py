"""What Veo's operations answer, in our terms: pure functions over their JSON; unknown fields are ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Progress, Working
from rushes.errors import ContentFiltered, ProviderAuth, ProviderError, ProviderRejected, UnexpectedResponse
from rushes.providers.failure import Complaint, Reply, credit_empty, quoted, said, submit_error
from rushes.providers.google.reply import CREDIT_WORDS, RETIRED_WORDS, SAFETY_WORDS, complaint_of

OUTPUT_VERSION: Final = 1
INLINE_FIELD: Final = "bytesBase64Encoded"
MOST_REASONS: Final = 10

OPERATION_NAME: Final = re.compile(
    r"projects/[\w.:-]+/locations/(?P<location>[a-z0-9-]+)"
    r"/publishers/google/models/(?P<model>[\w.@-]+)/operations/[\w.-]+"
)

ENDINGS: Final[Mapping[int, tuple[str, str]]] = {
    1: ("CANCELLED", "the generation was cancelled at Google"),
    2: ("UNKNOWN", "the generation failed at Google for no known reason"),
    3: ("INVALID_ARGUMENT", "Google refused the request"),
    4: ("DEADLINE_EXCEEDED", "Google did not finish the generation in time"),
    5: ("NOT_FOUND", "Google did not find something that the generation needs"),
    6: ("ALREADY_EXISTS", "Google found the result's place taken"),
    7: ("PERMISSION_DENIED", "the service account may not do what the generation needs"),
    8: ("RESOURCE_EXHAUSTED", "Google ran out of the project's quota or of capacity during the generation"),
    9: ("FAILED_PRECONDITION", "something that the generation needs is not as Google expects it"),
    10: ("ABORTED", "the generation was aborted at Google"),
    11: ("OUT_OF_RANGE", "Google refused a value in the request"),
    12: ("UNIMPLEMENTED", "Google does not offer what the request asks for"),
    13: ("INTERNAL", "the generation failed inside Google"),
    14: ("UNAVAILABLE", "Google could not finish the generation because it is overloaded"),
    15: ("DATA_LOSS", "Google lost the generation"),
    16: ("UNAUTHENTICATED", "Google no longer accepts the service account"),
}
"""google.rpc codes, which are not HTTP's."""

# https://cloud.google.com/vertex-ai/generative-ai/docs/video/responsible-ai-and-usage-guidelines, remembered; only
# 58061214 and 89371032 were seen again on 2026-11-22.
CATEGORIES: Final[Mapping[str, str]] = {
    code: category
    for category, codes in {
        "child": ("58061214", "17301594"),
        "celebrity": ("29310472", "15236754"),
        "person or face": ("39322892",),
        "video safety": ("64151117", "42237218"),
        "dangerous content": ("62263041",),
        "hate": ("57734940", "22137204"),
        "personal data": ("92201652",),
        "prohibited content": ("89371032", "49114662", "72817394"),
        "sexual content": ("90789179", "63429089", "43188360"),
        "toxic content": ("78610348",),
        "violence": ("61493863", "56562880"),
        "vulgar content": ("32635315",),
    }.items()
    for code in codes
}
SUPPORT_CODES: Final = re.compile(r"support codes?:?\s*(\d+(?:[\s,;]+\d+)*)", re.IGNORECASE)


def operation_name(reply: Reply) -> str | None:
    """The name of the operation that a submit started; it is all that finds it again."""
    name = reply.body.get("name") if isinstance(reply.body, dict) else None
    return name if isinstance(name, str) and OPERATION_NAME.fullmatch(name) else None


def progress_of(body: Mapping[str, object], *, n: int | None, secret: str) -> Progress:
    """How far an operation is that was to make `n` videos (None if that is not known).

    A video inside the reply is known by the number that a sieve put in its place. Raises UnexpectedResponse for a reply
    that is no operation, and for one that is done without a video, an error or a word about filtering.
    """
    done = body.get("done")
    if done is False or (done is None and isinstance(body.get("name"), str)):
        # While it runs, "done" is mostly absent.
        return Working()
    if done is not True:
        raise UnexpectedResponse(
            "Google answered a poll with something that is not an operation",
            provider_error=f"done: {said(done, secret=secret)[:60]}",
        )
    error = body.get("error")
    if isinstance(error, dict):
        return Failed(_why_ended(error, secret=secret))
    response = body.get("response")
    return _done(response if isinstance(response, dict) else {}, n=n, secret=secret)


def categories_in(text: str) -> tuple[str, ...]:
    """What the support codes in a text stand for, in our words; a code we do not know is "other"."""
    codes = [code for found in SUPPORT_CODES.finditer(text) for code in re.findall(r"\d+", found[1])]
    return tuple(dict.fromkeys(CATEGORIES.get(code, "other") for code in codes))


def why_refused(reply: Reply, *, model_id: str, project: str, secret: str) -> ProviderError:
    """Why a submit was not accepted, by either of the platform's video APIs."""
    complaint = complaint_of(reply, secret=secret)
    text = f"{complaint.code} {complaint.message}"
    if reply.status < 500 and (CREDIT_WORDS.search(text) or "BILLING_DISABLED" in complaint.code):
        return credit_empty(complaint, provider="Google")
    if reply.status == 401:
        return ProviderAuth(
            f"Google does not accept the service account's access token{quoted(complaint.message)}",
            provider_error=complaint.code,
        )
    if reply.status == 403:
        return ProviderAuth(
            f"the service account may not use Vertex in project '{project}': enable the Vertex AI API there and grant "
            f"it the role Vertex AI User{quoted(complaint.message)}",
            provider_error=complaint.code,
        )
    if reply.status == 404 and (not complaint.message or RETIRED_WORDS.search(text)):
        return ProviderRejected(
            f"Google does not offer, or no longer offers, the model '{model_id}', or not to project '{project}' at "
            f"this location{quoted(complaint.message)}",
            provider_error=complaint.code,
        )
    if reply.status in (400, 422) and _is_about_safety(complaint.message):
        return _filtered("the request", code=complaint.code, words=complaint.message)
    return submit_error(reply, complaint, provider="Google")


def _done(response: Mapping[str, object], *, n: int | None, secret: str) -> Progress:
    videos = response.get("videos")
    outputs = [
        output for video in (videos if isinstance(videos, list) else []) if (output := _output(video)) is not None
    ]
    count = response.get("raiMediaFilteredCount")
    filtered = count if isinstance(count, int) and not isinstance(count, bool) else 0
    reasons = response.get("raiMediaFilteredReasons")
    # Each apart from the rest, so that one long reason does not hide the codes of the next.
    said_reasons = [
        said(reason, secret=secret) for reason in (reasons if isinstance(reasons, list) else [])[:MOST_REASONS]
    ]
    words = " ".join(dict.fromkeys(reason for reason in said_reasons if reason))
    if outputs:
        return Done(tuple(outputs), missing=_missing(len(outputs), n, filtered, words))
    if filtered > 0 or words:
        return Failed(_filtered("the result", code=_code_of(words), words=words))
    raise UnexpectedResponse(
        "Google reports that the generation is done, but gives no video and no reason", provider_error="done"
    )


def _output(video: object) -> Output | None:
    if not isinstance(video, dict):
        return None
    uri, number = video.get("gcsUri"), video.get(INLINE_FIELD)
    if isinstance(uri, str) and uri:
        return {"version": OUTPUT_VERSION, "uri": uri}
    if isinstance(number, str) and number.isdigit():
        # The bytes never go into the job's row: they are asked for again when they are fetched.
        return {"version": OUTPUT_VERSION, "inline": int(number)}
    return None


def _missing(delivered: int, n: int | None, filtered: int, words: str) -> str | None:
    asked = n if n is not None else delivered + filtered
    if delivered >= asked:
        return None
    lacking = asked - delivered
    if filtered > 0 or words:
        return (
            f"Google's safety filter held back {lacking} of {asked} videos{_named(words)}; "
            f"{delivered} came{quoted(said(words, secret=''))}"
        )
    return f"Google delivered {delivered} of {asked} videos and gave no reason"


def _why_ended(error: Mapping[str, object], *, secret: str) -> ProviderError:
    number = error.get("code")
    word, sentence = ENDINGS.get(number, ("", "")) if isinstance(number, int) else ("", "")
    complaint = Complaint.of(f"{word} ({number})" if word else f"code {number}", error.get("message"), secret=secret)
    # The filter speaks as INVALID_ARGUMENT. Elsewhere its words are chance, unless it names its codes.
    if SUPPORT_CODES.search(complaint.message) or (number == 3 and _is_about_safety(complaint.message)):
        return _filtered("the request", code=complaint.code, words=complaint.message)
    if word in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return ProviderAuth(f"{sentence}{quoted(complaint.message)}", provider_error=complaint.code)
    sentence = sentence or "Google reports that the generation failed"
    return ProviderRejected(f"{sentence}{quoted(complaint.message)}", provider_error=complaint.code)


def _filtered(subject: str, *, code: str, words: str) -> ContentFiltered:
    return ContentFiltered(
        f"Google's safety filter refused {subject}{_named(words)}; change the prompt or the media"
        f"{quoted(said(words, secret=''))}",
        provider_error=code,
    )


def _is_about_safety(message: str) -> bool:
    return SUPPORT_CODES.search(message) is not None or SAFETY_WORDS.search(message) is not None


def _code_of(words: str) -> str:
    found = SUPPORT_CODES.search(words)
    return f"support codes {' '.join(re.findall(r'[0-9]+', found[1]))}"[:100] if found else "raiMediaFilteredCount"


def _named(words: str) -> str:
    categories = categories_in(words)
    return f" ({', '.join(categories)})" if categories else ""
