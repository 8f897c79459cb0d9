"""Runway: its own models and those it resells, on the tasks API.

https://docs.dev.runwayml.com: API reference, "Task failures", "HTTP errors"; runwayml 5.24.0 (types/*_create_params.py,
resources/tasks.py); API version 2024-11-06, checked 2026-11-30. Quirks: each model has a request type of its own, in
which an unknown field is HTTP 400, so a model's `wire` says what its type has; sizes are pixel pairs (`1280:720`),
tiers or ratios; files over 5 MB as a data URI are uploaded first; DELETE cancels a running task and erases a finished
one; after it, the task is 404; there is no token, so a lost answer stays unknown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.catalogue.size import pixels
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import InputMedia, MediaKind, Role, VideoRequest, VideoTask
from rushes.errors import (
    ContentFiltered,
    FieldError,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
    UnsupportedOption,
)
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.credentials import api_key
from rushes.providers.declaration import Declaration, Options, Parts
from rushes.providers.failure import Complaint, Raw, Reply, credit_empty, poll_error, submit_error
from rushes.providers.form import FormBody, Part
from rushes.providers.http import CallLimits, Origin
from rushes.providers.translation import Stage, accepted_id, bearer, data_uri, given, refuse_wordless, text_of

RUNWAY_URL: Final = "https://api.dev.runwayml.com"
API_VERSION: Final = "2024-11-06"
VERSION: Final = 1
TITLE: Final = "Runway"

UPLOADS: Final = "/v1/uploads"
TASKS: Final = "/v1/tasks"
PATHS: Final = {"text": "/v1/text_to_video", "image": "/v1/image_to_video", "video": "/v1/video_to_video"}
"""The endpoints, by the names that a `wire` table has for them."""

LARGEST_DATA_URI_BYTES: Final = 5_000_000

FRAMINGS: Final = ("pixels", "auto", "tier", "ratio", "source")
"""How a request says ratio and resolution: `1280:720`, `auto_720p`, a tier alone, both apart, or not at all."""
SWITCHES: Final = (
    *("text", "image", "video"),
    *("video_field", "audio", "modes", "edit_duration", "plain_videos", "most_images"),
)

STAGES: Final = {
    "PENDING": Stage.WORKING,
    # Accepted, and held back by the account's limit of parallel tasks.
    "THROTTLED": Stage.WORKING,
    "RUNNING": Stage.WORKING,
    "SUCCEEDED": Stage.DONE,
    "FAILED": Stage.FAILED,
    "CANCELLED": Stage.CANCELLED,
}
FILTERED: Final = "SAFETY"
"""In a failure code such as `SAFETY.INPUT.TEXT` or `INPUT_PREPROCESSING.SAFETY.THIRD_PARTY`."""
NO_CREDIT: Final = "credits"


class Runway(Provider):
    """The tasks API behind one base URL."""

    name = "runway"

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
        """Start one task. There is no token to repeat it by: sending it twice draws it twice."""
        # Without the files first, so that none is uploaded for a request that cannot be said.
        call_for(model, request, [(item.role, "") for item in request.media])
        media = [(item.role, await self._uri_of(item, credential, read_media)) for item in request.media]
        path, document = call_for(model, request, media)
        reply = await self._origin.submit(path, headers=headers(credential), document=document)
        if not reply.is_success:
            raise refusal(reply, secret=credential.secret)
        task_id = accepted_id(reply.body, "id", "task", provider=TITLE)
        return Submission({"version": VERSION, "id": task_id}, provider_video_id=task_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the task is, with fresh links at the end. One that is no longer known has ended."""
        return progress_of(await self._asked(handle, credential), secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a task that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the task. Raises ProviderRejected if it has ended. One that was running is not refunded.

        It is asked first: DELETE would erase the outputs of a task that has just finished.
        """
        asked = await self._asked(handle, credential)
        word = text_of(asked.body, "status")
        if not asked.is_success or STAGES.get(word) is not Stage.WORKING:
            code = word or f"HTTP {asked.status}"
            raise ProviderRejected(f"{TITLE} has ended the task already: '{code}'", provider_error=code)
        reply = await self._origin.call("DELETE", _path(handle), headers=headers(credential))
        if not reply.is_success:
            complaint = complaint_of(reply, secret=credential.secret)
            if 400 <= reply.status < 500 and reply.status != 429:
                raise ProviderRejected(f"{TITLE} could no longer cancel the task", provider_error=complaint.code)
            raise poll_error(reply, complaint, provider=TITLE)

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its signed link, which lives for 24 to 48 hours."""
        return self._origin.download(str(output["url"]), headers={})

    async def _asked(self, handle: Handle, credential: Credential) -> Reply:
        return await self._origin.call("GET", _path(handle), headers=headers(credential))

    async def _uri_of(self, item: InputMedia, credential: Credential, read_media: ReadMedia) -> Inline | str:
        """The file as a data URI, or the address of the copy that was uploaded where it is too large for one."""
        inline = data_uri(item, await read_media(item))
        if inline.size_bytes <= LARGEST_DATA_URI_BYTES:
            return inline
        name = f"{item.role}.{item.content_type.rpartition('/')[2]}"
        document = b'{"filename":"%s","type":"ephemeral"}' % name.encode()
        sent = {**headers(credential), "Content-Type": "application/json"}
        try:
            reply = await self._origin.call("POST", UPLOADS, headers=sent, body=document)
        except (ProviderUnavailable, UnexpectedResponse) as exc:
            raise ProviderUnavailable(f"{TITLE} could not take a file; nothing was submitted", accepted=False) from exc
        if not reply.is_success:
            raise _before_submit(refusal(reply, secret=credential.secret))
        url, uri = text_of(reply.body, "uploadUrl"), text_of(reply.body, "runwayUri")
        fields = reply.body.get("fields") if isinstance(reply.body, dict) else None
        if not url or not uri or not isinstance(fields, dict):
            raise ProviderUnavailable(f"{TITLE} names no address for an upload", accepted=False)
        parts = [Part(str(field), str(value)) for field, value in fields.items()]
        file = Part("file", inline.content, file_name=name, content_type=item.content_type)
        await self._origin.deliver(url, FormBody([*parts, file]))
        return uri


def call_for(
    model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline | str]]
) -> tuple[str, dict[str, Any]]:
    """The path and the body for this request; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, "person_generation", "n", provider=TITLE)
    for field, is_offered in (("negative_prompt", model.negative_prompt), ("seed", model.seed)):
        if not is_offered:
            refuse_wordless(request, field, provider=f"{TITLE}'s '{model.id}'")
    length = len(request.prompt.encode("utf-16-le")) // 2
    if length > model.prompt_chars:
        raise UnsupportedOption(
            f"prompt has {length} UTF-16 units; '{model.id}' takes at most {model.prompt_chars}", field="prompt"
        )
    by_role = {role: [uri for one, uri in media if one is role] for role in Role}
    endpoint = _endpoint(model, by_role)
    _check_images(model, endpoint, by_role)
    said = {
        "model": model.upstream_id(None),
        "promptText": request.prompt,
        "promptImage": _frames(by_role),
        **_framing(model, endpoint, request),
        "duration": request.duration_s,
        "seed": request.seed,
        "audio": request.generate_audio if endpoint in model.wire.get("audio", ()) else None,
        "negativePrompt": request.negative_prompt,
        "references": [{"uri": uri} for uri in by_role[Role.REFERENCE_IMAGE]] or None,
        "referenceVideos": [_video(model, uri) for uri in by_role[Role.REFERENCE_VIDEO]] or None,
        "referenceAudio": [{"type": "audio", "uri": uri} for uri in by_role[Role.REFERENCE_AUDIO]] or None,
    }
    if endpoint == "video":
        said[model.wire["video_field"]] = by_role[Role.VIDEO][0]
        if model.wire.get("modes"):
            said["mode"] = str(request.video_task)
        if request.video_task is VideoTask.EDIT:
            said["duration"] = model.wire.get("edit_duration", said["duration"])
    return PATHS[endpoint], {**request.additional_params, **given(said)}


def _endpoint(model: Model, by_role: Mapping[Role, Sequence[Inline | str]]) -> str:
    endpoint = "text"
    if by_role[Role.VIDEO]:
        endpoint = "video"
    elif by_role[Role.INPUT_IMAGE] or by_role[Role.LAST_FRAME]:
        endpoint = "image"
    if endpoint not in model.wire:
        needs = "needs an input_image" if endpoint == "text" else f"makes no video from a given {endpoint}"
        raise UnsupportedOption(f"{TITLE}'s '{model.id}' {needs}", field="input_image")
    return endpoint


def _check_images(model: Model, endpoint: str, by_role: Mapping[Role, Sequence[Inline | str]]) -> None:
    count = sum(len(uris) for role, uris in by_role.items() if role.kind is MediaKind.IMAGE)
    most = model.wire.get("most_images", {}).get(endpoint, count)
    if count > most:
        raise UnsupportedOption(
            f"{count} images are given; {TITLE}'s '{model.id}' takes at most {most} here",
            field=Role.REFERENCE_IMAGE.field,
        )


def _frames(by_role: Mapping[Role, Sequence[Inline | str]]) -> list[dict[str, Any]] | None:
    places = ((Role.INPUT_IMAGE, "first"), (Role.LAST_FRAME, "last"))
    return [{"uri": uri, "position": place} for role, place in places for uri in by_role[role]] or None


def _framing(model: Model, endpoint: str, request: VideoRequest) -> dict[str, Any]:
    resolution, ratio = request.resolution, request.aspect_ratio
    match model.wire[endpoint]:
        case "pixels" if resolution is not None and ratio is not None:
            size = model.sizes.get(resolution, {}).get(ratio) or pixels(resolution, ratio)
            if size is None:
                raise UnsupportedOption(f"{TITLE} has no {resolution} of {ratio}", field="resolution")
            return {"ratio": size.replace("x", ":")}
        case "auto" if resolution is not None:
            return {"ratio": f"auto_{resolution}"}
        case "tier":
            return {"resolution": resolution}
        case "ratio":
            return {"resolution": resolution, "ratio": ratio}
        case _:
            return {}


def _video(model: Model, uri: Inline | str) -> dict[str, Any]:
    return {"uri": uri} if model.wire.get("plain_videos") else {"type": str(MediaKind.VIDEO), "uri": uri}


def progress_of(reply: Reply, *, secret: str) -> Progress:
    """What a poll says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404:
        return Failed(ProviderRejected(f"{TITLE} no longer knows this task", provider_error=complaint.code))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    body = reply.body if isinstance(reply.body, dict) else {}
    word = text_of(body, "status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working(fraction=_fraction(body.get("progress")))
        case Stage.DONE:
            output = body.get("output")
            urls = output if isinstance(output, list) else []
            if not urls or not all(isinstance(url, str) and url for url in urls):
                raise UnexpectedResponse(f"{TITLE} says that the task succeeded, without a link", provider_error=word)
            return Done(({"version": VERSION, "url": urls[0]},))
        case Stage.FAILED:
            return Failed(_ended(Complaint.of(body.get("failureCode") or word, body.get("failure"), secret=secret)))
        case Stage.CANCELLED:
            return Failed(ProviderRejected(f"{TITLE} has cancelled the task", provider_error=word))
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def refusal(reply: Reply, *, secret: str) -> ProviderError:
    """Why a submit was not accepted. An empty account is HTTP 400 with words about credits."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status in (400, 402) and NO_CREDIT in complaint.message.lower():
        return credit_empty(complaint, provider=TITLE)
    if reply.status in (400, 403, 422) and FILTERED in complaint.message:
        return _ended(complaint)
    return submit_error(reply, complaint, provider=TITLE)


def _before_submit(error: ProviderError) -> ProviderError:
    """The same failure of a call that came before the submit: nothing was accepted."""
    if isinstance(error, ProviderUnavailable):
        return ProviderUnavailable(error.message, accepted=False, provider_error=error.provider_error)
    return error


def _ended(complaint: Complaint) -> ProviderError:
    if FILTERED in complaint.code or FILTERED in complaint.message:
        return ContentFiltered(f"{TITLE}'s moderation refused: '{complaint.message}'", provider_error=complaint.code)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What the reply says is wrong: `{"error": text, "issues": [{"path", "message"}], "docUrl"}`."""
    code = f"HTTP {reply.status}"
    if isinstance(reply.body, Raw):
        return Complaint.of(code, reply.body.text, secret=secret)
    body = reply.body if isinstance(reply.body, dict) else {}
    issues = body.get("issues")
    found = [_issue(one) for one in issues if isinstance(one, dict)] if isinstance(issues, list) else []
    words = [text_of(body, "error"), *found]
    return Complaint.of(code, "; ".join(filter(None, words)), secret=secret)


def _issue(issue: Mapping[str, Any]) -> str:
    path = issue.get("path")
    where = ".".join(str(step) for step in path) if isinstance(path, list) else ""
    return ": ".join(filter(None, (where, text_of(issue, "message"))))


def _fraction(progress: object) -> float | None:
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    return min(1.0, max(0.0, float(progress)))


def headers(credential: Credential) -> dict[str, str]:
    """What every call has: the key and the version."""
    return {**bearer(credential), "X-Runway-Version": API_VERSION}


def _path(handle: Handle) -> str:
    return f"{TASKS}/{quote(str(handle['id']), safe='')}"


def wire_problem(model: Model) -> FieldError | None:
    """What in the entry's `wire` table this adapter cannot use."""
    for name, value in model.wire.items():
        if name not in SWITCHES:
            return FieldError("wire", f"'{name}' is not one of {', '.join(SWITCHES)}")
        if name in PATHS and value not in FRAMINGS:
            return FieldError("wire", f"{name} '{value}' is not one of {', '.join(FRAMINGS)}")
    if not PATHS.keys() & model.wire.keys():
        return FieldError("wire", f"say how one of {', '.join(PATHS)} is framed: {', '.join(FRAMINGS)}")
    if ("video" in model.wire) != (Role.VIDEO in model.inputs) or ("video" in model.wire) != (
        model.wire.get("video_field") in ("videoUri", "promptVideo")
    ):
        return FieldError("wire", "video, video_field (videoUri or promptVideo) and the input 'video' go together")
    return None


def _open(options: Options, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Runway(parts.client, options.base_url or RUNWAY_URL, clock=parts.clock)}


PROVIDER: Final = Declaration(
    name="runway", credentials=(api_key("RUNWAYML_API_SECRET"),), open=_open, check=wire_problem
)
