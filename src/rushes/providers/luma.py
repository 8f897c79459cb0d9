"""Luma's Agents API: Ray 3.2, from text, frames, videos and earlier generations.

docs.agents.lumalabs.ai, "Video generation", "Models" and "Pricing" as mirrored in public repositories (June to October
2026); luma-agents 0.5.0 (types/); checked 2026-11-30. Quirks: without `model` and `type` the API makes an image; ten
seconds from a frame are said by keyframes on a grid of 24 a second, five by start_frame and end_frame; a video is
extended by the id of an earlier generation alone; the link lives for an hour, and each poll makes a fresh one; there is
no list, no token and no cancel, so a lost answer stays unknown.
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
    ProviderError,
    ProviderRejected,
    UnexpectedResponse,
    UnsupportedOption,
)
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.credentials import api_key
from rushes.providers.declaration import Declaration, Options, Parts
from rushes.providers.failure import Complaint, Raw, Reply, poll_error, submit_error
from rushes.providers.http import CallLimits, Origin
from rushes.providers.translation import Stage, accepted_id, bearer, given, own_handle, refuse_wordless, text_of

LUMA_URL: Final = "https://agents.lumalabs.ai/v1"
GENERATIONS: Final = "/generations"
VERSION: Final = 1
TITLE: Final = "Luma"

GRID_FPS: Final = 24
LONG_S: Final = 10
"""The length at which frames are said as keyframes."""

STAGES: Final = {
    "queued": Stage.WORKING,
    "processing": Stage.WORKING,
    # The word of the older Dream Machine API.
    "dreaming": Stage.WORKING,
    "completed": Stage.DONE,
    "failed": Stage.FAILED,
}
MODERATED: Final = "content_moderated"
MODERATED_WORDS: Final = ("moderat", "content policy")


class Luma(Provider):
    """The Agents API behind one base URL."""

    name = "luma"

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
        """Start one generation. There is no token to repeat it by: sending it twice draws it twice."""
        earlier = own_handle(request, credential, provider=self.name)
        media: list[tuple[Role, dict[str, Any]]] = []
        for item in request.media:
            if item.role is Role.VIDEO and earlier is not None:
                media.append((item.role, {"generation_id": str(earlier["id"])}))
            else:
                media.append((item.role, {"data": Inline(await read_media(item)), "media_type": item.content_type}))
        document = payload(model, request, media)
        reply = await self._origin.submit(GENERATIONS, headers=bearer(credential), document=document)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        generation_id = accepted_id(reply.body, "id", "generation", provider=TITLE)
        return Submission({"version": VERSION, "id": generation_id}, provider_video_id=generation_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the generation is, with a fresh link at the end. One that is no longer known has ended."""
        path = f"{GENERATIONS}/{quote(str(handle['id']), safe='')}"
        reply = await self._origin.call("GET", path, headers=bearer(credential))
        return progress_of(reply, secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a generation that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its signed link, which lives for an hour."""
        return self._origin.download(str(output["url"]), headers={})


def payload(model: Model, request: VideoRequest, media: Sequence[tuple[Role, Mapping[str, Any]]]) -> dict[str, Any]:
    """The request in Luma's words; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, "negative_prompt", "person_generation", "seed", "n", provider=TITLE)
    by_role = {role: [reference for one, reference in media if one is role] for role in Role}
    video: dict[str, Any] = {"resolution": request.resolution}
    if request.duration_s is not None:
        video["duration"] = f"{request.duration_s}s"
    kind, source = "video", None
    if by_role[Role.VIDEO] and request.video_task is VideoTask.EDIT:
        kind, source = "video_edit", by_role[Role.VIDEO][0]
    elif by_role[Role.VIDEO]:
        if "generation_id" not in by_role[Role.VIDEO][0]:
            raise UnsupportedOption(
                f"{TITLE} extends videos of its own alone: name the job that made it as previous_job_id",
                field="video_task",
            )
        video["start_frame"] = by_role[Role.VIDEO][0]
    else:
        video |= _frames(by_role[Role.INPUT_IMAGE], by_role[Role.LAST_FRAME], request.duration_s)
    said = {
        "model": model.upstream_id(None),
        "type": kind,
        "prompt": request.prompt,
        "aspect_ratio": request.aspect_ratio,
        "source": source,
        "video": {**request.additional_params, **given(video)},
    }
    return given(said)


def _frames(
    first: Sequence[Mapping[str, Any]], last: Sequence[Mapping[str, Any]], duration_s: int | None
) -> dict[str, Any]:
    if duration_s != LONG_S:
        return {"start_frame": next(iter(first), None), "end_frame": next(iter(last), None)}
    placed = [(frame, 0) for frame in first] + [(frame, GRID_FPS * LONG_S) for frame in last]
    if not placed:
        return {}
    return {"keyframes": [frame for frame, _ in placed], "keyframe_indexes": [index for _, index in placed]}


def progress_of(reply: Reply, *, secret: str) -> Progress:
    """What a poll says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404:
        return Failed(ProviderRejected(f"{TITLE} no longer knows this generation", provider_error=complaint.code))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    word = text_of(reply.body, "state")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            url = _video_url(reply)
            if not url:
                raise UnexpectedResponse(
                    f"{TITLE} says that the video is complete, without a link", provider_error=word
                )
            return Done(({"version": VERSION, "url": url},))
        case Stage.FAILED:
            code = text_of(reply.body, "failure_code") or word
            return Failed(_ended(Complaint.of(code, text_of(reply.body, "failure_reason"), secret=secret)))
    raise UnexpectedResponse(f"{TITLE} reports a state that its documentation does not know", provider_error=word)


def _video_url(reply: Reply) -> str:
    """The link of the video; images and EXR archives may stand beside it."""
    outputs = reply.body.get("output") if isinstance(reply.body, dict) else None
    videos = [one for one in outputs if text_of(one, "type") == "video"] if isinstance(outputs, list) else []
    return text_of(videos[0], "url") if videos else ""


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted, by the HTTP status; words tell a moderated prompt from other bad requests."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status in (400, 403, 422) and any(part in complaint.message.lower() for part in MODERATED_WORDS):
        return _moderated(complaint)
    return submit_error(reply, complaint, provider=TITLE)


def _ended(complaint: Complaint) -> ProviderError:
    if complaint.code == MODERATED:
        return _moderated(complaint)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def _moderated(complaint: Complaint) -> ContentFiltered:
    return ContentFiltered(f"{TITLE}'s moderation refused: '{complaint.message}'", provider_error=complaint.code)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: `{"detail": text}`, or `detail` as a list of `{"loc", "msg"}`."""
    code = f"HTTP {reply.status}"
    if isinstance(reply.body, Raw):
        return Complaint.of(code, reply.body.text, secret=secret)
    detail = reply.body.get("detail") if isinstance(reply.body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(filter(None, map(_problem, detail)))
    return Complaint.of(code, detail, secret=secret)


def _problem(found: object) -> str:
    loc = found.get("loc") if isinstance(found, dict) else None
    where = ".".join(str(step) for step in loc) if isinstance(loc, list) else ""
    return ": ".join(filter(None, (where, text_of(found, "msg"))))


def _open(options: Options, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Luma(parts.client, options.base_url or LUMA_URL, clock=parts.clock)}


PROVIDER: Final = Declaration(name="luma", credentials=(api_key("LUMA_AGENTS_API_KEY"),), open=_open)
