"""Replicate: a hub of models, official ones by name and others by version.

https://replicate.com/docs (HTTP API, Data retention, Rate limits, Create a prediction), replicate 1.0.7 and 2.0.0b4,
and the recordings of replicate/replicate-python (tests/cassettes at 0110c2c, 2025-06-02); checked 2026-11-30. Quirks:
what a prediction took and made is deleted an hour after it has ended, so its files are fetched at once; `canceled` has
one L; a finished prediction answers a cancel with 200, unchanged; there is no token, and the list shows no mark of
ours, so a lost answer stays unknown. `Cancel-After` ends what no job waits for; `Prefer: wait` and webhooks are not
used.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import (
    ContentFiltered,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.credentials import api_key
from rushes.providers.declaration import Declaration, Options, Parts
from rushes.providers.failure import Complaint, Raw, Reply, poll_error, submit_error
from rushes.providers.form import FormBody, Part
from rushes.providers.http import CallLimits, Origin
from rushes.providers.hub.answer import outputs_in, url_of
from rushes.providers.hub.ask import Ask, ask_for
from rushes.providers.hub.wire import check
from rushes.providers.translation import Stage, accepted_id, bearer, data_uri, text_of

REPLICATE_URL: Final = "https://api.replicate.com/v1"
VERSION: Final = 1
TITLE: Final = "Replicate"

INLINE_BYTES: Final = 256_000
"""Files up to this size together stand in the request; Replicate asks for uploads of larger ones."""
ENDINGS: Final = {"jpeg": "jpg", "quicktime": "mov", "mpeg": "mp3"}
REPLY_BYTES: Final = 8 * 1024 * 1024
"""A prediction repeats its input and has the whole log of the model."""

STAGES: Final = {
    "starting": Stage.WORKING,
    "processing": Stage.WORKING,
    "succeeded": Stage.DONE,
    "failed": Stage.FAILED,
    "canceled": Stage.CANCELLED,
    # Cancelled before it had started.
    "aborted": Stage.CANCELLED,
}

FILTERED: Final = ("flagged as sensitive", "sensitive content", "nsfw", "content policy", "moderation", "safety filter")
FILTER_CODE: Final = "E005"
CODE: Final = re.compile(r"\((E\d{3,5})\)")
RESETS: Final = re.compile(r"resets in ~?(\d{1,5})s")
VERSIONED: Final = re.compile(r"(?:[\w.-]+/[\w.-]+:)?[0-9a-f]{64}")
"""A model that is called by its version: an id of 64 hex digits, perhaps after the model's name."""


class Replicate(Provider):
    """The HTTP API behind one base URL."""

    name = "replicate"

    def __init__(
        self, client: HttpClient, base_url: str, *, limits: CallLimits | None = None, clock: Clock | None = None
    ) -> None:
        self._origin = Origin(client, base_url, provider=TITLE, limits=limits, clock=clock)

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Start one prediction. There is no token to repeat it by: sending it twice draws and bills it twice."""
        # Before anything is uploaded, so that a request without words costs nothing.
        ask_for(model, request, [(item.role, item.key) for item in request.media], hub=TITLE)
        media = await self._placed(request.media, credential, read_media)
        ask = ask_for(model, request, media, hub=TITLE)
        path, document = call_of(ask)
        headers = {**bearer(credential), "Cancel-After": f"{model.deadline_s}s"}
        reply = await self._origin.submit(path, headers=headers, document=document)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        prediction_id = accepted_id(reply.body, "id", "prediction", provider=TITLE)
        handle: Handle = {"version": VERSION, "id": prediction_id}
        if ask.output is not None:
            handle["output"] = ask.output
        return Submission(handle, provider_video_id=prediction_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the prediction is. One that is no longer known has ended."""
        reply = await self._origin.call("GET", _path(handle), headers=bearer(credential), limit_bytes=REPLY_BYTES)
        member = handle.get("output")
        return progress_of(reply, member=member if isinstance(member, str) else None, secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a prediction that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the prediction. Raises ProviderRejected if it has ended."""
        path = f"{_path(handle)}/cancel"
        reply = await self._origin.call("POST", path, headers=bearer(credential), limit_bytes=REPLY_BYTES)
        complaint = complaint_of(reply, secret=credential.secret)
        if reply.is_success:
            word = text_of(reply.body, "status")
            if STAGES.get(word) in (Stage.DONE, Stage.FAILED):
                raise ProviderRejected(f"{TITLE} could not cancel: the prediction has {word}", provider_error=word)
            return
        if 400 <= reply.status < 500 and reply.status not in (401, 403, 408, 429):
            raise ProviderRejected(f"{TITLE} could not cancel the prediction", provider_error=complaint.code)
        raise poll_error(reply, complaint, provider=TITLE)

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its public link, which lives for an hour. Raises OutputInvalid if it made none."""
        return self._origin.download(url_of(output, hub=TITLE), headers={})

    async def _placed(
        self, media: Sequence[InputMedia], credential: Credential, read_media: ReadMedia
    ) -> list[tuple[Role, object]]:
        """The files as Replicate takes them: small ones as data URLs, larger ones uploaded."""
        is_small = sum(item.size_bytes for item in media) <= INLINE_BYTES
        placed: list[tuple[Role, object]] = []
        for item in media:
            content = await read_media(item)
            inline = data_uri(item, content)
            placed.append((item.role, inline if is_small else await self._uploaded(item, content, credential)))
        return placed

    async def _uploaded(self, item: InputMedia, content: bytes, credential: Credential) -> str:
        """The address of a file that was uploaded; Replicate keeps it for a day.

        Raises ProviderUnavailable with `accepted` False, because no prediction has been asked for yet.
        """
        part = Part("content", content, file_name=_file_name(item), content_type=item.content_type)
        try:
            reply = await self._origin.submit_form("/files", headers=bearer(credential), form=FormBody([part]))
        except ProviderUnavailable as exc:
            raise _not_uploaded(exc) from exc
        if not reply.is_success:
            error = refusal(reply, secret=credential.secret)
            raise _not_uploaded(error) if isinstance(error, ProviderUnavailable) else error
        urls = reply.body.get("urls") if isinstance(reply.body, dict) else None
        url = text_of(urls, "get")
        if not url:
            raise ProviderUnavailable(f"{TITLE} took a file, but named no address for it", accepted=False)
        return url


def _file_name(item: InputMedia) -> str:
    """A name with the usual ending: models tell kinds of files by it."""
    kind = item.content_type.rpartition("/")[2].removeprefix("x-")
    return f"{item.role}.{ENDINGS.get(kind, kind)}"


def _not_uploaded(error: ProviderUnavailable) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"a file of the request could not be uploaded to {TITLE}; nothing was submitted",
        accepted=False,
        provider_error=error.provider_error,
        retry_after_s=error.retry_after_s,
    )


def call_of(ask: Ask) -> tuple[str, dict[str, Any]]:
    """The path and the body: a version is named in the body, an official model in the path."""
    if VERSIONED.fullmatch(ask.to):
        return "/predictions", {"version": ask.to.rpartition(":")[2], "input": ask.input}
    return f"/models/{quote(ask.to, safe='/')}/predictions", {"input": ask.input}


def progress_of(reply: Reply, *, member: str | None, secret: str) -> Progress:
    """What a poll says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404:
        return Failed(ProviderRejected(f"{TITLE} no longer knows this prediction", provider_error=complaint.code))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    body: Mapping[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    word = text_of(body, "status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            if body.get("data_removed") is True:
                message = f"{TITLE} has deleted the video: it keeps one for an hour"
                return Failed(ProviderRejected(message, provider_error="data_removed"))
            return Done(outputs_in(body.get("output"), member))
        case Stage.FAILED:
            return Failed(_ended(body.get("error"), secret=secret))
        case Stage.CANCELLED:
            return Failed(ProviderRejected(f"{TITLE} has cancelled the prediction", provider_error=word))
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status in (400, 422) and _is_filtered(complaint.message):
        return ContentFiltered(f"{TITLE}'s filter refused: '{complaint.message}'", provider_error=complaint.code)
    if reply.status == 404:
        return ProviderRejected(f"{TITLE} has no such model: '{complaint.message}'", provider_error=complaint.code)
    return submit_error(reply, complaint, provider=TITLE)


def _ended(error: object, *, secret: str) -> ProviderError:
    found = CODE.search(error) if isinstance(error, str) else None
    complaint = Complaint.of(found[1] if found else "failed", error, secret=secret)
    if complaint.code == FILTER_CODE or _is_filtered(complaint.message):
        return ContentFiltered(f"{TITLE}'s filter refused: '{complaint.message}'", provider_error=complaint.code)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def _is_filtered(words: str) -> bool:
    return any(part in words.lower() for part in FILTERED)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: a problem document, perhaps with the fields of the input that are wrong."""
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    body: Mapping[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    detail = text_of(body, "detail")
    resets = RESETS.search(detail)
    fields = body.get("invalid_fields")
    faults = [_fault(item) for item in fields if isinstance(item, dict)] if isinstance(fields, list) else []
    return Complaint.of(
        body.get("title") or f"HTTP {reply.status}",
        " ".join([detail, *faults]),
        secret=secret,
        retry_after_s=None if resets is None else float(resets[1]),
    )


def _fault(item: Mapping[str, Any]) -> str:
    return f"{text_of(item, 'field')}: {text_of(item, 'description')};"


def _path(handle: Handle) -> str:
    return f"/predictions/{quote(str(handle['id']), safe='')}"


def _open(options: Options, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Replicate(parts.client, options.base_url or REPLICATE_URL, clock=parts.clock)}


PROVIDER: Final = Declaration(name="replicate", credentials=(api_key("REPLICATE_API_TOKEN"),), open=_open, check=check)
