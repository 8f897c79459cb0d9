"""fal: a hub of models behind one queue.

https://fal.ai/docs (Queue API, Cancel a request, Errors, Data retention), fal_client 1.0.3, fal-js at 381105e
(2026-08-02); checked 2026-11-30. Quirks: status, result and cancel drop the endpoint's sub-path, so the address that
the submit names is kept; `COMPLETED` says that it ended, also badly, and the result says how; wrong input is refused at
the result, not at the submit; an empty account is HTTP 403; there is no list and no token, so a lost answer stays
unknown; files are public links, kept for at least seven days, so a poll names the same link again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import VideoRequest
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderError,
    ProviderRejected,
    UnexpectedResponse,
    UnsupportedOption,
)
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.credentials import api_key
from rushes.providers.declaration import Declaration, Options, Parts
from rushes.providers.failure import Complaint, Raw, Reply, credit_empty, poll_error, submit_error
from rushes.providers.http import CallLimits, Origin
from rushes.providers.hub.answer import outputs_in, url_of
from rushes.providers.hub.ask import ask_for
from rushes.providers.hub.wire import check
from rushes.providers.translation import Stage, accepted_id, data_uri, text_of

FAL_URL: Final = "https://queue.fal.run"
VERSION: Final = 1
TITLE: Final = "fal"

STAGES: Final = {
    "IN_QUEUE": Stage.WORKING,
    "IN_PROGRESS": Stage.WORKING,
    "COMPLETED": Stage.DONE,
}

FILTERED: Final = ("content_policy_violation",)
NO_CREDIT: Final = ("exhausted balance", "user is locked")
TOO_EARLY: Final = "still in progress"
THREE_SEGMENTS: Final = ("workflows", "comfy")
REQUEST_PATH: Final = re.compile(r"(?:/(?!\.)[A-Za-z0-9._~-]+){2,3}/requests/[A-Za-z0-9_-]+")
"""Where a request lives: the owner, the app, perhaps a third segment, and its id."""


class Fal(Provider):
    """The queue behind one base URL."""

    name = "fal"
    no_generation = "fal-ai/veo3/requests/00000000-0000-4000-8000-000000000000"

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
        """Queue one request. There is no token to repeat it by: sending it twice draws and bills it twice."""
        media = [(item.role, data_uri(item, await read_media(item))) for item in request.media]
        ask = ask_for(model, request, media, hub=TITLE)
        path = "/" + quote(ask.to, safe="/")
        reply = await self._origin.submit(path, headers=_headers(credential), document=ask.input)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        request_id = accepted_id(reply.body, "request_id", "request", provider=TITLE)
        where = request_path(ask.to, request_id, text_of(reply.body, "status_url"))
        handle: Handle = {"version": VERSION, "path": where}
        if ask.output is not None:
            handle["output"] = ask.output
        return Submission(handle, provider_video_id=where.removeprefix("/"))

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the request is, and its result once it has ended. One that is no longer known has ended."""
        path, headers = str(handle["path"]), _headers(credential)
        status = await self._origin.call("GET", f"{path}/status?logs=0", headers=headers)
        progress = progress_of(status, secret=credential.secret)
        if progress is not None:
            return progress
        result = await self._origin.call("GET", path, headers=headers)
        return result_of(status, result, member=_member(handle), secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a request that an operator found, as `OWNER/APP/requests/ID`. Raises UnsupportedOption."""
        path = "/" + urlsplit(provider_video_id).path.strip("/").removesuffix("/status")
        if not REQUEST_PATH.fullmatch(path):
            raise UnsupportedOption(
                f"{TITLE} finds a request by its address: give it as OWNER/APP/requests/ID", field="provider_id"
            )
        return {"version": VERSION, "path": path}

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the request. Raises ProviderRejected if it has ended or is not known."""
        reply = await self._origin.call("PUT", f"{handle['path']}/cancel", headers=_headers(credential))
        if reply.is_success:
            return
        complaint = complaint_of(reply, secret=credential.secret)
        if 400 <= reply.status < 500 and reply.status not in (401, 403, 408, 429):
            raise ProviderRejected(f"{TITLE} could no longer cancel the request", provider_error=complaint.code)
        raise poll_error(reply, complaint, provider=TITLE)

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its public link. Raises OutputInvalid if the model made no video."""
        return self._origin.download(url_of(output, hub=TITLE), headers={})


def request_path(endpoint: str, request_id: str, status_url: str) -> str:
    """Where a request lives: as its status URL says, or else by fal's rule. Its host is never called, ours is."""
    try:
        stated = urlsplit(status_url).path.removesuffix("/status")
    except ValueError:
        stated = ""
    if stated.endswith(f"/requests/{request_id}") and REQUEST_PATH.fullmatch(stated):
        return stated
    segments = endpoint.split("/")
    app = segments[: 3 if segments[0] in THREE_SEGMENTS else 2]
    return f"/{quote('/'.join(app), safe='/')}/requests/{quote(request_id, safe='')}"


def progress_of(status: Reply, *, secret: str) -> Progress | None:
    """What the status says; None if the request has ended, so that its result says how.

    Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse.
    """
    complaint = complaint_of(status, secret=secret)
    if status.status == 404:
        return Failed(ProviderRejected(f"{TITLE} no longer knows this request", provider_error=complaint.code))
    if not status.is_success:
        raise poll_error(status, complaint, provider=TITLE)
    word = text_of(status.body, "status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            return None
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def result_of(status: Reply, result: Reply, *, member: str | None, secret: str) -> Progress:
    """How a request has ended. Raises ProviderUnavailable or ProviderQuota if the result cannot be read now."""
    complaint = complaint_of(result, secret=secret)
    if result.is_success:
        return _delivered(result.body, member)
    if result.status == 400 and TOO_EARLY in complaint.message.lower():
        return Working()
    if result.status == 404:
        return Failed(ProviderRejected(f"{TITLE} no longer has the result", provider_error=complaint.code))
    stated = status.body.get("error") if isinstance(status.body, dict) else None
    if stated:
        # The status says it too, so a server error here is the generation's own.
        return Failed(_ended(complaint_of(status, secret=secret)))
    if result.status in (401, 403, 408, 429) or result.status >= 500:
        raise poll_error(result, complaint, provider=TITLE)
    return Failed(_ended(complaint))


def _delivered(answer: object, member: str | None) -> Progress:
    flagged = answer.get("has_nsfw_concepts") if isinstance(answer, dict) else None
    if flagged is True or (isinstance(flagged, list) and True in flagged):
        return Failed(ContentFiltered(f"{TITLE}'s filter withheld the video", provider_error="has_nsfw_concepts"))
    return Done(outputs_in(answer, member))


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted."""
    complaint = complaint_of(reply, secret=secret)
    words = complaint.message.lower()
    if any(part in complaint.code for part in FILTERED):
        return _ended(complaint)
    if reply.status == 403 and any(part in words for part in NO_CREDIT):
        return credit_empty(complaint, provider=TITLE)
    if reply.status in (401, 403):
        message = f"{TITLE} does not let this key use the model: '{complaint.message}'"
        return ProviderAuth(message, provider_error=complaint.code)
    if reply.status == 404:
        return ProviderRejected(f"{TITLE} has no such model: '{complaint.message}'", provider_error=complaint.code)
    return submit_error(reply, complaint, provider=TITLE)


def _ended(complaint: Complaint) -> ProviderError:
    if any(part in complaint.code for part in FILTERED):
        return ContentFiltered(f"{TITLE}'s filter refused: '{complaint.message}'", provider_error=complaint.code)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: `{"detail": text or list, "error_type"?}`, or a status with `error`."""
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    body: Mapping[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    detail = body.get("detail")
    faults = [item for item in detail if isinstance(item, dict)] if isinstance(detail, list) else []
    first = faults[0] if faults else {}
    code = body.get("error_type") or first.get("type") or f"HTTP {reply.status}"
    if faults:
        return Complaint.of(code, "; ".join(_fault(item) for item in faults), secret=secret)
    return Complaint.of(code, detail or body.get("error") or body.get("status"), secret=secret)


def _fault(item: Mapping[str, Any]) -> str:
    """One fault of the input, with the field that has it: the rest of `loc` says that it is in the body."""
    place = item.get("loc")
    field = ".".join(str(part) for part in place if part != "body") if isinstance(place, list) else ""
    return f"{field}: {item.get('msg')}" if field else str(item.get("msg"))


def _member(handle: Handle) -> str | None:
    member = handle.get("output")
    return member if isinstance(member, str) else None


def _headers(credential: Credential) -> dict[str, str]:
    return {"Authorization": f"Key {credential.secret}"}


def _open(options: Options, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Fal(parts.client, options.base_url or FAL_URL, clock=parts.clock)}


PROVIDER: Final = Declaration(name="fal", credentials=(api_key("FAL_KEY"),), open=_open, check=check)
