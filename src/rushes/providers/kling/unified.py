"""Kling's API of 2026: the model in the path, `contents` and `settings` in the body, one list of tasks.

kling.ai document-api (new standard), mirrored in aself101/kling-api docs/api, September 2026; checked 2026-11-30.
Quirks: text-to-video takes `prompt` at the top and no `contents`; image-to-video has no aspect_ratio. An
`external_task_id` is unique for an account, so a submit that is repeated makes no second task and is looked up by it. A
poll's `data` is a list; there is no cancel. Results are kept for 30 days.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission
from rushes.domain.request import Role, VideoRequest, VideoTask
from rushes.errors import ProviderUnavailable
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.http import CallLimits, Origin
from rushes.providers.kling.reply import (
    ACCEPTED,
    TITLE,
    VERSION,
    check_poll,
    complaint_of,
    data_of,
    is_duplicate,
    progress_of,
    refusal,
    unknown_task,
)
from rushes.providers.translation import accepted_id, bearer, given, refuse_wordless, text_of

WORDLESS: Final = ("negative_prompt", "person_generation", "seed", "n")

TEXT: Final = "text-to-video"
IMAGE: Final = "image-to-video"
OMNI: Final = "omni-video"

ITEMS: Final = {
    Role.INPUT_IMAGE: "first_frame",
    Role.LAST_FRAME: "last_frame",
    Role.REFERENCE_IMAGE: "refer_image",
    Role.REFERENCE_VIDEO: "feature_video",
    Role.VIDEO: "base_video",
}


class Kling(Provider):
    """The API behind one base URL, for API keys."""

    name = "kling"

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
        """Start one task under our attempt's id. Repeated under the same id, it finds the task that it made before."""
        media = [(item.role, Inline(await read_media(item))) for item in request.media]
        path, document = call_for(model, request, media, attempt_id=attempt_id)
        reply = await self._origin.submit(path, headers=bearer(credential), document=document)
        complaint = complaint_of(reply, secret=credential.secret)
        if is_duplicate(complaint):
            return await self._made_before(attempt_id, credential)
        if not reply.is_success or complaint.code != ACCEPTED:
            raise refusal(reply, complaint)
        return _submission(data_of(reply))

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the task is. One that is no longer known has ended."""
        tasks = await self._tasks(f"task_ids={quote(str(handle['id']), safe='')}", credential)
        if not tasks:
            return unknown_task()
        task = tasks[0]
        word = text_of(task, "status")
        return progress_of(word, task.get("message"), task.get("outputs"), secret=credential.secret)

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        """The task that was made under this attempt's id; None if none was, which is certain as ids are unique."""
        tasks = await self._tasks(f"external_task_ids={quote(attempt_id, safe='')}", credential)
        return _submission(tasks[0]) if tasks else None

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a task that an operator found."""
        return {"version": VERSION, "id": provider_video_id}

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its public link."""
        return self._origin.download(str(output["url"]), headers={})

    async def _made_before(self, attempt_id: str, credential: Credential) -> Submission:
        found = await self.find(attempt_id, credential=credential)
        if found is None:
            raise ProviderUnavailable(f"{TITLE} has this task already, and does not show it yet", accepted=None)
        return found

    async def _tasks(self, query: str, credential: Credential) -> Sequence[Mapping[str, Any]]:
        reply = await self._origin.call("GET", f"/tasks?{query}", headers=bearer(credential))
        check_poll(reply, complaint_of(reply, secret=credential.secret))
        data = data_of(reply)
        return [task for task in data if isinstance(task, dict)] if isinstance(data, list) else []


def call_for(
    model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]], *, attempt_id: str
) -> tuple[str, dict[str, Any]]:
    """The path and the body for this request; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, *WORDLESS, provider=TITLE)
    kind = _kind(model, media)
    said: dict[str, Any] = {
        "resolution": request.resolution,
        "duration": request.duration_s,
        "audio": _sound(model, request, media),
        "aspect_ratio": request.aspect_ratio if kind != IMAGE else None,
        "multi_shot": False if model.wire.get("multi_shot") else None,
    }
    settings = {**said, **request.additional_params}
    document: dict[str, Any] = {"settings": given(settings)}
    if kind == TEXT:
        document["prompt"] = request.prompt
    else:
        document["contents"] = [{"type": "prompt", "text": request.prompt}, *_items(media, request.video_task)]
    document["options"] = {"external_task_id": attempt_id}
    return f"/{kind}/{quote(model.upstream_id('unified'), safe='')}", document


def _kind(model: Model, media: Sequence[tuple[Role, Inline]]) -> str:
    roles = {role for role, _ in media}
    if model.wire.get("omni") and (roles or model.wire.get("omni") == "always"):
        return OMNI
    return IMAGE if roles else TEXT


def _items(media: Sequence[tuple[Role, Inline]], task: VideoTask | None) -> list[dict[str, Any]]:
    kinds = {**ITEMS, Role.VIDEO: "base_video" if task is not VideoTask.EXTEND else "feature_video"}
    return [{"type": kinds[role], "url": inline} for role, inline in media]


def _sound(model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]]) -> str | None:
    """The word for sound; None where the model has no switch."""
    words = model.wire.get("audio", ["off", "native"])
    if not words or request.generate_audio is None:
        return None
    wanted = "native" if request.generate_audio else "off"
    if wanted in words:
        return wanted
    return "original" if "original" in words and any(role is Role.VIDEO for role, _ in media) else "off"


def _submission(task: object) -> Submission:
    task_id = accepted_id(task, "id", "task", provider=TITLE)
    return Submission({"version": VERSION, "id": task_id}, provider_video_id=task_id)
