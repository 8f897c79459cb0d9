"""ByteDance's Seedance, in two regions: Volcengine Ark in China (`ark`) and BytePlus ModelArk abroad (`byteplus`).

Volcengine and ModelArk, "Create a video generation task" and "Error codes"; volcengine-ark-runtime 5.0.54; the error
manual of volcengine/ark-cli at 551d6a6 (2026-07-01); API v3, checked 2026-11-30. Quirks: fields that a model lacks are
refused, so only what was given is sent; DELETE cancels a queued task and erases the record of a finished one; the
result's link is signed for GET alone and lives for 24 hours; there is no token, so a lost answer stays unknown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import Role, VideoRequest
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    UnexpectedResponse,
)
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.credentials import api_key
from rushes.providers.declaration import Declaration, Options, Parts
from rushes.providers.failure import Complaint, Raw, Reply, credit_empty, poll_error, submit_error
from rushes.providers.http import CallLimits, Origin
from rushes.providers.translation import (
    Stage,
    accepted_id,
    bearer,
    content_items,
    data_uri,
    given,
    refuse_wordless,
    text_of,
)

REGIONS: Final = {
    "ark": "https://ark.cn-beijing.volces.com/api/v3",
    "byteplus": "https://ark.ap-southeast.bytepluses.com/api/v3",
}
TASKS: Final = "/contents/generations/tasks"
VERSION: Final = 1
TITLE: Final = "Seedance"

OVERDUE: Final = ("AccountOverdueError", "OperationDenied.ServiceOverdue")
FILTERED: Final = ("SensitiveContentDetected", "RiskDetection")
BUSY: Final = ("ContentSecurityDetectionError", "ServerOverloaded", "RequestBurstTooFast")
"""The provider asks for another try."""
NOT_OPEN: Final = ("ModelNotOpen", "OperationDenied", "AccessDenied", "InvalidAccountStatus", "InvalidSubscription")


STAGES: Final = {
    "queued": Stage.WORKING,
    "running": Stage.WORKING,
    "succeeded": Stage.DONE,
    "failed": Stage.FAILED,
    "cancelled": Stage.CANCELLED,
    "expired": Stage.EXPIRED,
}


class SeedanceOptions(Options):
    """Which of the two services a key belongs to; keys and tasks do not cross."""

    region: Literal["ark", "byteplus"] = "byteplus"


class Seedance(Provider):
    """The task API of one region."""

    name = "seedance"

    def __init__(
        self,
        client: HttpClient,
        base_url: str,
        *,
        region: str = "byteplus",
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._region = region
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
        """Start one task. There is no token to repeat it by: sending it twice draws it twice."""
        media = [(item.role, data_uri(item, await read_media(item))) for item in request.media]
        document = payload(model, request, media, region=self._region)
        reply = await self._origin.submit(TASKS, headers=bearer(credential), document=document)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        task_id = accepted_id(reply.body, "id", "task", provider=TITLE)
        return Submission({"version": VERSION, "id": task_id}, provider_video_id=task_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the task is. One that is no longer known has ended."""
        return progress_of(await self._asked(handle, credential), secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a task that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the task if it is still queued. Raises ProviderRejected if it is not.

        It is asked first: DELETE would erase the record, and the link, of a task that has just finished.
        """
        word = text_of((await self._asked(handle, credential)).body, "status")
        if word != "queued":
            raise ProviderRejected(f"{TITLE} cancels queued tasks alone; this one is '{word}'", provider_error=word)
        reply = await self._origin.call("DELETE", _path(handle), headers=bearer(credential))
        if not reply.is_success:
            complaint = complaint_of(reply, secret=credential.secret)
            if 400 <= reply.status < 500 and reply.status != 429:
                raise ProviderRejected(f"{TITLE} could no longer cancel the task", provider_error=complaint.code)
            raise poll_error(reply, complaint, provider=TITLE)

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its signed link, which lives for a day."""
        return self._origin.download(str(output["url"]), headers={})

    async def _asked(self, handle: Handle, credential: Credential) -> Reply:
        return await self._origin.call("GET", _path(handle), headers=bearer(credential))


def payload(
    model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]], *, region: str
) -> dict[str, Any]:
    """The request in the provider's words; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, "negative_prompt", "person_generation", "n", provider=TITLE)
    said = {
        "model": model.upstream_id(region),
        "content": content_items(request.prompt, media),
        "ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "duration": request.duration_s,
        "seed": request.seed,
        "generate_audio": None if model.wire.get("silent") else request.generate_audio,
    }
    return {**request.additional_params, **given(said)}


def progress_of(reply: Reply, *, secret: str) -> Progress:
    """What a poll says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404:
        return Failed(ProviderRejected(f"{TITLE} no longer knows this task", provider_error=complaint.code))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    word = text_of(reply.body, "status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            content = reply.body.get("content") if isinstance(reply.body, dict) else None
            url = text_of(content, "video_url")
            if not url:
                raise UnexpectedResponse(f"{TITLE} says that the task succeeded, without a link", provider_error=word)
            return Done(({"version": VERSION, "url": url},))
        case Stage.FAILED:
            return Failed(_ended(complaint))
        case Stage.CANCELLED:
            return Failed(ProviderRejected(f"{TITLE} has cancelled the task", provider_error=word))
        case Stage.EXPIRED:
            return Failed(ProviderRejected(f"{TITLE} did not get to the task in time", provider_error=word))
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted, by the provider's own code where it has one."""
    complaint = complaint_of(reply, secret=secret)
    code = complaint.code
    if any(part in code for part in FILTERED):
        return _ended(complaint)
    if code.startswith(OVERDUE):
        return credit_empty(complaint, provider=TITLE)
    if code.startswith(BUSY):
        return ProviderQuota(
            f"{TITLE} is busy: '{complaint.message}'", provider_error=code, retry_after_s=reply.retry_after_s
        )
    if code.startswith(NOT_OPEN):
        return ProviderAuth(
            f"{TITLE} has not opened this model for the key: '{complaint.message}'", provider_error=code
        )
    return submit_error(reply, complaint, provider=TITLE)


def _ended(complaint: Complaint) -> ProviderError:
    if any(part in complaint.code for part in FILTERED):
        return ContentFiltered(f"{TITLE}'s filter refused: '{complaint.message}'", provider_error=complaint.code)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: `{"error": {"code", "message"}}`, also inside a task that failed."""
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    stated: dict[str, object] = error if isinstance(error, dict) else {}
    return Complaint.of(stated.get("code") or f"HTTP {reply.status}", stated.get("message"), secret=secret)


def _path(handle: Handle) -> str:
    return f"{TASKS}/{quote(str(handle['id']), safe='')}"


def _open(options: SeedanceOptions, parts: Parts) -> Mapping[str | None, Provider]:
    base_url = options.base_url or REGIONS[options.region]
    return {None: Seedance(parts.client, base_url, region=options.region, clock=parts.clock)}


PROVIDER: Final = Declaration(
    name="seedance",
    credentials=(api_key("ARK_API_KEY"),),
    options=SeedanceOptions,
    open=_open,
    region=lambda options: options.region,
)
