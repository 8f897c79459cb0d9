"""Alibaba's Model Studio (DashScope): Wan and HappyHorse.

alibabacloud.com Model Studio, "Wan3.0 Video Generation", "Wan 2.7 image-to-video API" (2026-06-16) and "legacy
text-to-video and image-to-video (2.1-2.6)"; dashscope 2.0.2; checked 2026-11-30. Quirks: a submit must say
`X-DashScope-Async: enable`; a task that failed is HTTP 200; an id older than 24 hours has the status `UNKNOWN`; model,
host and key must be of one region; there is no token, so a lost answer stays unknown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.catalogue.size import pixels
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import Role, VideoRequest, VideoTask
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
from rushes.providers.translation import Stage, accepted_id, bearer, data_uri, given, refuse_wordless, text_of

REGIONS: Final = {
    "singapore": "https://dashscope-intl.aliyuncs.com",
    "beijing": "https://dashscope.aliyuncs.com",
}
SUBMIT: Final = "/api/v1/services/aigc/video-generation/video-synthesis"
SUBMIT_FRAMES: Final = "/api/v1/services/aigc/image2video/video-synthesis"
TASKS: Final = "/api/v1/tasks"
VERSION: Final = 1
TITLE: Final = "DashScope"

FILTERED: Final = "DataInspectionFailed"
UNPAID: Final = "Arrearage"
THROTTLED: Final = "Throttling"
NO_RIGHT: Final = ("AccessDenied", "InvalidApiKey")


STAGES: Final = {
    "PENDING": Stage.WORKING,
    "RUNNING": Stage.WORKING,
    "SUSPENDED": Stage.WORKING,
    "SUCCEEDED": Stage.DONE,
    "FAILED": Stage.FAILED,
    "CANCELED": Stage.CANCELLED,
    "UNKNOWN": Stage.EXPIRED,
}

MEDIA: Final = {
    Role.INPUT_IMAGE: "first_frame",
    Role.LAST_FRAME: "last_frame",
    Role.REFERENCE_IMAGE: "reference_image",
    Role.REFERENCE_VIDEO: "reference_video",
    Role.REFERENCE_AUDIO: "reference_audio",
    Role.VIDEO: "video",
}


class DashscopeOptions(Options):
    """The region of the key. A workspace's own host goes into `base_url`."""

    region: Literal["singapore", "beijing"] = "singapore"


class Dashscope(Provider):
    """The task API of one region."""

    name = "dashscope"

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
        """Start one task. There is no token to repeat it by: sending it twice draws and bills it twice."""
        media = [(item.role, data_uri(item, await read_media(item))) for item in request.media]
        path, document = call_for(model, request, media)
        headers = {**bearer(credential), "X-DashScope-Async": "enable"}
        reply = await self._origin.submit(path, headers=headers, document=document)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        task_id = accepted_id(_output(reply), "task_id", "task", provider=TITLE)
        return Submission({"version": VERSION, "id": task_id}, provider_video_id=task_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the task is. One that is no longer known has ended."""
        reply = await self._origin.call("GET", _path(handle), headers=bearer(credential))
        return progress_of(reply, secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a task that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the task while it is pending. Raises ProviderRejected if it is not."""
        reply = await self._origin.call("POST", f"{_path(handle)}/cancel", headers=bearer(credential))
        if reply.is_success:
            return
        complaint = complaint_of(reply, secret=credential.secret)
        if 400 <= reply.status < 500 and reply.status != 429:
            raise ProviderRejected(f"{TITLE} cancels pending tasks alone", provider_error=complaint.code)
        raise poll_error(reply, complaint, provider=TITLE)

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its signed link, which lives for a day."""
        return self._origin.download(str(output["url"]), headers={})


def call_for(model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]]) -> tuple[str, dict[str, Any]]:
    """The path and the body for this request, in the protocol of the model's `wire`. Raises UnsupportedOption."""
    refuse_wordless(request, "person_generation", "n", provider=TITLE)
    if not model.negative_prompt:
        refuse_wordless(request, "negative_prompt", provider=f"{TITLE}'s '{model.id}'")
    if model.wire.get("protocol") == "legacy":
        return _legacy_call(model, request, media)
    entries = [{"type": _kind(model, role, request.video_task), "url": inline} for role, inline in media]
    said_input = {"prompt": request.prompt, "negative_prompt": request.negative_prompt, "media": entries or None}
    said = {
        "resolution": _upper(request.resolution),
        "ratio": request.aspect_ratio,
        "duration": request.duration_s,
        "audio": request.generate_audio if model.wire.get("audio_switch") else None,
        "seed": request.seed,
    }
    return SUBMIT, _document(model, said_input, said, request)


def _kind(model: Model, role: Role, task: VideoTask | None) -> str:
    if role is Role.VIDEO and task is VideoTask.EXTEND and model.wire.get("continues"):
        return "first_clip"
    return MEDIA[role]


def _legacy_call(
    model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]]
) -> tuple[str, dict[str, Any]]:
    """Wan up to 2.6: an image has a field of its own, and text-to-video takes pixels with an asterisk."""
    by_role = {role: [inline for one, inline in media if one is role] for role in Role}
    first, last = by_role[Role.INPUT_IMAGE], by_role[Role.LAST_FRAME]
    said_input: dict[str, Any] = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    if last:
        said_input |= {"first_frame_url": first[0] if first else None, "last_frame_url": last[0]}
    elif first:
        said_input["img_url"] = first[0]
    if by_role[Role.REFERENCE_IMAGE]:
        said_input["reference_urls"] = by_role[Role.REFERENCE_IMAGE]
    takes_pixels = not first and not last
    size = None
    if takes_pixels and request.resolution is not None and request.aspect_ratio is not None:
        named = model.sizes.get(request.resolution, {}).get(request.aspect_ratio)
        size = named or pixels(request.resolution, request.aspect_ratio)
    said = {
        "size": None if size is None else size.replace("x", "*"),
        "resolution": None if takes_pixels else _upper(request.resolution),
        "duration": request.duration_s,
        "audio": request.generate_audio if model.wire.get("audio_switch") else None,
        "seed": request.seed,
    }
    return SUBMIT_FRAMES if last else SUBMIT, _document(model, said_input, said, request)


def _document(
    model: Model, said_input: Mapping[str, Any], said: Mapping[str, Any], request: VideoRequest
) -> dict[str, Any]:
    return {
        "model": model.upstream_id(None),
        "input": given(said_input),
        "parameters": {**request.additional_params, **given(said)},
    }


def progress_of(reply: Reply, *, secret: str) -> Progress:
    """What a poll says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404:
        return Failed(_lost(complaint.code))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    output = _output(reply)
    word = text_of(output, "task_status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            url = text_of(output, "video_url")
            if not url:
                raise UnexpectedResponse(f"{TITLE} says that the task succeeded, without a link", provider_error=word)
            return Done(({"version": VERSION, "url": url},))
        case Stage.FAILED:
            return Failed(_ended(Complaint.of(output.get("code"), output.get("message"), secret=secret)))
        case Stage.CANCELLED:
            return Failed(ProviderRejected(f"{TITLE} has cancelled the task", provider_error=word))
        case Stage.EXPIRED:
            return Failed(_lost(word))
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted, by the provider's own code where it has one."""
    complaint = complaint_of(reply, secret=secret)
    code = complaint.code
    if code.startswith(FILTERED):
        return _ended(complaint)
    if code.startswith(UNPAID):
        return credit_empty(complaint, provider=TITLE)
    if code.startswith(THROTTLED):
        message = f"{TITLE}'s rate limit or quota is used up: '{complaint.message}'"
        return ProviderQuota(message, provider_error=code, retry_after_s=reply.retry_after_s)
    if code.startswith(NO_RIGHT):
        return ProviderAuth(f"{TITLE} does not let this key use the model: '{complaint.message}'", provider_error=code)
    return submit_error(reply, complaint, provider=TITLE)


def _ended(complaint: Complaint) -> ProviderError:
    if complaint.code.startswith(FILTERED):
        return ContentFiltered(f"{TITLE}'s inspection refused: '{complaint.message}'", provider_error=complaint.code)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def _lost(code: str) -> ProviderRejected:
    message = f"{TITLE} does not know this task: it keeps one for 24 hours, in one region"
    return ProviderRejected(message, provider_error=code)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: `{"code", "message", "request_id"}`."""
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    body = reply.body if isinstance(reply.body, dict) else {}
    return Complaint.of(body.get("code") or f"HTTP {reply.status}", body.get("message"), secret=secret)


def _output(reply: Reply) -> Mapping[str, Any]:
    output = reply.body.get("output") if isinstance(reply.body, dict) else None
    return output if isinstance(output, dict) else {}


def _path(handle: Handle) -> str:
    return f"{TASKS}/{quote(str(handle['id']), safe='')}"


def _upper(resolution: str | None) -> str | None:
    return None if resolution is None else resolution.upper()


def _open(options: DashscopeOptions, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Dashscope(parts.client, options.base_url or REGIONS[options.region], clock=parts.clock)}


PROVIDER: Final = Declaration(
    name="dashscope",
    credentials=(api_key("DASHSCOPE_API_KEY"),),
    options=DashscopeOptions,
    open=_open,
    region=lambda options: options.region,
)
