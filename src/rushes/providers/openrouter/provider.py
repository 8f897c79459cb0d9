"""OpenRouter as a provider: the video models that it brokers.

https://openrouter.ai/docs, "Video generation" and the OpenAPI document of OpenRouterTeam/typescript-sdk at cb9393a
(2026-08-22); openrouter 1.3.84 (components/videogeneration*.py, components/videomodel.py); checked 2026-11-30. Quirks:
`polling_url` may be relative, and a job is polled by its id anyway; `unsigned_urls` need the key and `urls` do not;
`error` of a job is a plain text; a moderated prompt is HTTP 403 with reasons in its metadata; with frames and
references, the frames win; there is no list of jobs, no token and no cancel, so a lost answer stays unknown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import Role, VideoRequest
from rushes.errors import (
    ContentFiltered,
    FieldError,
    ProviderError,
    ProviderRejected,
    UnexpectedResponse,
)
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.credentials import api_key
from rushes.providers.declaration import Declaration, Options, Parts
from rushes.providers.failure import Complaint, Raw, Reply, poll_error, submit_error
from rushes.providers.http import CallLimits, Origin
from rushes.providers.openrouter.listing import entries_of
from rushes.providers.translation import (
    Stage,
    accepted_id,
    bearer,
    data_uri,
    given,
    own_handle,
    refuse_wordless,
    text_of,
)

OPENROUTER_URL: Final = "https://openrouter.ai/api/v1"
VIDEOS: Final = "/videos"
MODELS: Final = "/videos/models"
LIST_LIMIT_BYTES: Final = 4 * 1024 * 1024
VERSION: Final = 1
TITLE: Final = "OpenRouter"

STAGES: Final = {
    "pending": Stage.WORKING,
    "in_progress": Stage.WORKING,
    "completed": Stage.DONE,
    "failed": Stage.FAILED,
    "cancelled": Stage.CANCELLED,
    "expired": Stage.EXPIRED,
}
MODERATED: Final = ("moderat", "content policy", "safety", "sensitive", "flagged")
"""Words of a refusal of content, for which a failed job has no code."""

FRAMES: Final = {Role.INPUT_IMAGE: "first_frame", Role.LAST_FRAME: "last_frame"}
REFERENCES: Final = {
    Role.REFERENCE_IMAGE: "image_url",
    Role.REFERENCE_VIDEO: "video_url",
    Role.VIDEO: "video_url",
    Role.REFERENCE_AUDIO: "audio_url",
}
PASSED_ON: Final = {"negative_prompt": "negativePrompt", "person_generation": "personGeneration"}
"""Portable options that only a model's own provider knows, by the names that Google has for them."""
SWITCHES: Final = ("audio_switch", "options_of", "continues")


class Openrouter(Provider):
    """The video API behind one base URL, to which alone the key goes."""

    name = "openrouter"

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
        """Start one job. There is no token to repeat it by: sending it twice draws it twice."""
        made_by = own_handle(request, credential, provider=self.name)
        # A continuation runs on the model that made the video.
        goes_on = model.wire.get("continues") and request.previous is not None and request.previous.model == model.id
        previous_id = str(made_by["id"]) if goes_on and made_by is not None else None
        media = [
            (item.role, data_uri(item, await read_media(item)))
            for item in request.media
            if previous_id is None or item.role is not Role.VIDEO
        ]
        document = payload(model, request, media, previous_id=previous_id)
        reply = await self._origin.submit(VIDEOS, headers=bearer(credential), document=document)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        job_id = accepted_id(reply.body, "id", "job", provider=TITLE)
        return Submission({"version": VERSION, "id": job_id}, provider_video_id=job_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the job is, with a fresh link at the end. One that is no longer known has ended."""
        reply = await self._origin.call("GET", _path(handle), headers=bearer(credential))
        return progress_of(reply, secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a job that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes: from its signed link without the key, else from OpenRouter's own address with the key."""
        url = output.get("url")
        if url is not None:
            return self._origin.download(str(url), headers={})
        content = self._origin.url(f"{_path(handle)}/content?index={output['index']}")
        return self._origin.download(content, headers=bearer(credential))

    async def list_models(self, *, credential: Credential) -> tuple[str, ...]:
        """The ids of the video models on OpenRouter's list."""
        return tuple(str(entry["id"]) for entry in await self.list_entries(credential=credential))

    async def list_entries(self, *, credential: Credential) -> tuple[Mapping[str, Any], ...]:
        """What OpenRouter's list says of each video model."""
        reply = await self._origin.call("GET", MODELS, headers=bearer(credential), limit_bytes=LIST_LIMIT_BYTES)
        if not reply.is_success:
            raise poll_error(reply, complaint_of(reply, secret=credential.secret), provider=TITLE)
        return entries_of(reply.body)


def payload(
    model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]], *, previous_id: str | None = None
) -> dict[str, Any]:
    """The request in OpenRouter's words; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, "n", provider=TITLE)
    slug = model.wire.get("options_of")
    if slug is None:
        refuse_wordless(request, *PASSED_ON, provider=f"{TITLE}'s '{model.id}'")
    if not model.seed:
        refuse_wordless(request, "seed", provider=f"{TITLE}'s '{model.id}'")
    frames = [
        {"type": "image_url", "image_url": {"url": inline}, "frame_type": FRAMES[role]}
        for role, inline in media
        if role in FRAMES
    ]
    references = [
        {"type": REFERENCES[role], REFERENCES[role]: {"url": inline}} for role, inline in media if role in REFERENCES
    ]
    said = {
        "model": model.upstream_id(None),
        "prompt": request.prompt,
        "aspect_ratio": request.aspect_ratio,
        "resolution": _written(request.resolution),
        "duration": request.duration_s,
        "generate_audio": request.generate_audio if model.wire.get("audio_switch") else None,
        "seed": request.seed,
        "frame_images": frames or None,
        "input_references": references or None,
        "previous_job_id": previous_id,
    }
    passed_on = given({name: getattr(request, field) for field, name in PASSED_ON.items()})
    document = {**request.additional_params, **given(said)}
    return document if not passed_on else {**document, "provider": _with_options(document, slug, passed_on)}


def _with_options(document: Mapping[str, Any], slug: object, passed_on: Mapping[str, Any]) -> dict[str, Any]:
    """The `provider` object with these options for one provider, beside what the caller wrote there."""
    provider = _object(document.get("provider"))
    options = _object(provider.get("options"))
    return {**provider, "options": {**options, str(slug): {**_object(options.get(str(slug))), **passed_on}}}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _written(resolution: str | None) -> str | None:
    """`2k` as `2K`; `720p` stays."""
    return resolution.upper() if resolution is not None and resolution.endswith("k") else resolution


def progress_of(reply: Reply, *, secret: str) -> Progress:
    """What a poll says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404:
        return Failed(ProviderRejected(f"{TITLE} no longer knows this job", provider_error=complaint.code))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    body = _object(reply.body)
    word = text_of(body, "status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            return Done((_output(body, word),))
        case Stage.FAILED:
            return Failed(_ended(Complaint.of(word, body.get("error"), secret=secret)))
        case Stage.CANCELLED:
            return Failed(ProviderRejected(f"{TITLE} has cancelled the job", provider_error=word))
        case Stage.EXPIRED:
            return Failed(ProviderRejected(f"{TITLE} did not finish the job in time", provider_error=word))
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def _output(body: Mapping[str, Any], word: str) -> Output:
    """The signed link, or the place among the outputs that need the key: their addresses are not followed with it."""
    for name in ("urls", "unsigned_urls"):
        links = body.get(name)
        if isinstance(links, list) and links and isinstance(links[0], str) and links[0]:
            return {"version": VERSION, "url": links[0]} if name == "urls" else {"version": VERSION, "index": 0}
    raise UnexpectedResponse(f"{TITLE} says that the job is complete, but names no video", provider_error=word)


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted, by the HTTP status; 403 is a key without rights, or a moderated prompt."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status in (400, 403, 422) and (_has_reasons(reply) or _is_moderated(complaint)):
        return _moderated(complaint)
    return submit_error(reply, complaint, provider=TITLE)


def _has_reasons(reply: Reply) -> bool:
    metadata = _object(_object(_object(reply.body).get("error")).get("metadata"))
    return bool(metadata.get("reasons") or metadata.get("flagged_input"))


def _is_moderated(complaint: Complaint) -> bool:
    words = complaint.message.lower()
    return any(part in words for part in MODERATED)


def _ended(complaint: Complaint) -> ProviderError:
    if _is_moderated(complaint):
        return _moderated(complaint)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def _moderated(complaint: Complaint) -> ContentFiltered:
    return ContentFiltered(
        f"moderation at {TITLE} or behind it refused: '{complaint.message}'", provider_error=complaint.code
    )


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: `{"error": {"code", "message", "metadata"}}`."""
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    error = _object(_object(reply.body).get("error"))
    return Complaint.of(error.get("code") or f"HTTP {reply.status}", error.get("message"), secret=secret)


def _path(handle: Handle) -> str:
    return f"{VIDEOS}/{quote(str(handle['id']), safe='')}"


def wire_problem(model: Model) -> FieldError | None:
    """What in the entry's `wire` table this adapter cannot use."""
    for name in model.wire:
        if name not in SWITCHES:
            return FieldError("wire", f"'{name}' is not one of {', '.join(SWITCHES)}")
    if (model.negative_prompt or model.person_generation) and "options_of" not in model.wire:
        return FieldError("wire", "negative_prompt and person_generation need options_of, a provider's slug")
    return None


def _open(options: Options, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Openrouter(parts.client, options.base_url or OPENROUTER_URL, clock=parts.clock)}


PROVIDER: Final = Declaration(
    name="openrouter", credentials=(api_key("OPENROUTER_API_KEY"),), open=_open, check=wire_problem
)
