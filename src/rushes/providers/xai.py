"""xAI's Grok Imagine: videos from text, images and voices, and edits and extensions of videos.

https://docs.x.ai/docs/guides/video-generations and the OpenAPI document of xai-org/xai-sdk-ts (spec/openapi.json,
commit 41e766acb916), REST v1, checked 2026-11-30. Quirks: a bad key is HTTP 400; a pending poll is 202, perhaps with an
empty body; `done` with `respect_moderation` false is a refusal; there is no list, no token and no cancel, so a lost
answer stays unknown; links live for 24 hours (xai_sdk/video.py, xai-sdk 1.21.0).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import Role, VideoRequest, VideoTask
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderError,
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

XAI_URL: Final = "https://api.x.ai/v1"
VERSION: Final = 1
TITLE: Final = "xAI"

GENERATE: Final = "/videos/generations"
EDIT: Final = "/videos/edits"
EXTEND: Final = "/videos/extensions"

BAD_KEY: Final = ("incorrect api key", "invalid api key", "api key is invalid")
NO_CREDIT: Final = ("credits", "spending limit", "billing")
MODERATED: Final = ("moderation", "content policy", "safety", "usage guidelines")


STAGES: Final = {
    "pending": Stage.WORKING,
    "done": Stage.DONE,
    "failed": Stage.FAILED,
    # Documented for gRPC alone; REST answers 404 instead.
    "expired": Stage.EXPIRED,
}


class Xai(Provider):
    """The REST API behind one base URL."""

    name = "xai"

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
        """Start one video. There is no token to repeat it by: sending it twice draws it twice."""
        media = {role: [data_uri(item, await read_media(item)) for item in request.media_for(role)] for role in Role}
        path, document = call_for(model, request, media)
        reply = await self._origin.submit(path, headers=bearer(credential), document=document)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        request_id = accepted_id(reply.body, "request_id", "request", provider=TITLE)
        return Submission({"version": VERSION, "id": request_id}, provider_video_id=request_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the video is. One that xAI no longer knows has ended."""
        path = f"/videos/{quote(str(handle['id']), safe='')}"
        reply = await self._origin.call("GET", path, headers=bearer(credential))
        return progress_of(reply, secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a request that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its public link, which lives for a day."""
        return self._origin.download(str(output["url"]), headers={})


def call_for(model: Model, request: VideoRequest, media: Mapping[Role, Sequence[Inline]]) -> tuple[str, dict[str, Any]]:
    """The path and the body for this request; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, "negative_prompt", "person_generation", "seed", "n", provider=TITLE)
    said: dict[str, Any] = {"model": model.upstream_id(None), "prompt": request.prompt}
    video = _first(media, Role.VIDEO)
    if video is not None and request.video_task is VideoTask.EDIT:
        # Length, ratio and resolution are those of the video.
        return EDIT, {**request.additional_params, **said, "video": video}
    said["duration"] = request.duration_s
    if video is not None:
        return EXTEND, given({**request.additional_params, **said, "video": video})
    said["resolution"] = request.resolution
    # The image decides; the API ignores a ratio beside it.
    said["aspect_ratio"] = None if media.get(Role.INPUT_IMAGE) else request.aspect_ratio
    if model.wire.get("audio_switch"):
        said["generate_audio"] = request.generate_audio
    said["image"] = _first(media, Role.INPUT_IMAGE)
    said["last_frame"] = _first(media, Role.LAST_FRAME)
    said["reference_images"] = _all(media, Role.REFERENCE_IMAGE)
    said["reference_audios"] = _all(media, Role.REFERENCE_AUDIO)
    return GENERATE, given({**request.additional_params, **said})


def _first(media: Mapping[Role, Sequence[Inline]], role: Role) -> dict[str, Inline] | None:
    found = media.get(role)
    return {"url": found[0]} if found else None


def _all(media: Mapping[Role, Sequence[Inline]], role: Role) -> list[dict[str, Inline]] | None:
    return [{"url": item} for item in media.get(role, ())] or None


def progress_of(reply: Reply, *, secret: str) -> Progress:
    """What a poll says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404:
        return Failed(_unknown(complaint))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    if reply.status == 202 and _is_empty(reply):
        return Working()
    word = text_of(reply.body, "status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working(fraction=_fraction(reply))
        case Stage.DONE:
            return _delivered(reply)
        case Stage.FAILED:
            return Failed(_ended(complaint))
        case Stage.EXPIRED:
            return Failed(_unknown(complaint))
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def _delivered(reply: Reply) -> Progress:
    body = reply.body if isinstance(reply.body, dict) else {}
    video = body.get("video")
    video = video if isinstance(video, dict) else {}
    if video.get("respect_moderation") is False:
        return Failed(
            ContentFiltered(f"{TITLE} made the video and its moderation withheld it", provider_error="moderation")
        )
    url = video.get("url")
    if not isinstance(url, str) or not url:
        raise UnexpectedResponse(f"{TITLE} says that the video is done, but gives no link", provider_error="done")
    return Done(({"version": VERSION, "url": url},))


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted. A bad key is HTTP 400 here, and an empty account 403 or 429."""
    complaint = complaint_of(reply, secret=secret)
    words = complaint.message.lower()
    if reply.status == 400 and any(part in words for part in BAD_KEY):
        return ProviderAuth(f"{TITLE} does not accept the key", provider_error=complaint.code)
    if reply.status in (403, 429) and any(part in words for part in NO_CREDIT):
        return credit_empty(complaint, provider=TITLE)
    if reply.status in (400, 403, 422) and any(part in words for part in MODERATED):
        return ContentFiltered(f"{TITLE}'s moderation refused: '{complaint.message}'", provider_error=complaint.code)
    if reply.status == 404:
        return ProviderRejected(f"{TITLE} has no such model: '{complaint.message}'", provider_error=complaint.code)
    return submit_error(reply, complaint, provider=TITLE)


def _ended(complaint: Complaint) -> ProviderError:
    words = complaint.message.lower()
    if complaint.code == "permission_denied" or any(part in words for part in MODERATED):
        return ContentFiltered(f"{TITLE}'s moderation refused: '{complaint.message}'", provider_error=complaint.code)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def _unknown(complaint: Complaint) -> ProviderRejected:
    return ProviderRejected(f"{TITLE} no longer knows this video", provider_error=complaint.code)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: `{"code", "error": text}`, or `error` as an object or a plain string."""
    body = reply.body if isinstance(reply.body, dict) else {}
    error = body.get("error")
    if isinstance(error, dict):
        return Complaint.of(error.get("code") or f"HTTP {reply.status}", error.get("message"), secret=secret)
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    return Complaint.of(body.get("code") or f"HTTP {reply.status}", error, secret=secret)


def _fraction(reply: Reply) -> float | None:
    body = reply.body if isinstance(reply.body, dict) else {}
    percent = body.get("progress")
    is_number = isinstance(percent, int | float) and not isinstance(percent, bool)
    return min(100.0, max(0.0, float(percent))) / 100 if is_number and percent is not None else None


def _is_empty(reply: Reply) -> bool:
    return (isinstance(reply.body, Raw) and not reply.body.text.strip()) or reply.body == {}


def _open(options: Options, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Xai(parts.client, options.base_url or XAI_URL, clock=parts.clock)}


PROVIDER: Final = Declaration(name="xai", credentials=(api_key("XAI_API_KEY"),), open=_open)
