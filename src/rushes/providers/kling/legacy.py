"""Kling's older API, for access key and secret key: `/v1/videos/{kind}`, signed with a JSON Web Token.

kling.ai document-api (legacy), and `packages/klingai` of vercel/ai; checked 2026-11-30. Quirks: `duration` is a string;
images are bare base64; success is `succeed`; the token is HS256 with `iss`, `exp` and `nbf`; `external_task_id` is
unique for an account here too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.clock import Clock, SystemClock
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission
from rushes.domain.request import Role, VideoRequest
from rushes.errors import ProviderUnavailable, UnsupportedOption
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.credentials import json_object
from rushes.providers.http import CallLimits, Origin
from rushes.providers.kling.reply import (
    ACCEPTED,
    BAD_ARGUMENT,
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
from rushes.providers.kling.unified import WORDLESS
from rushes.providers.translation import accepted_id, given, refuse_wordless, text_of

TEXT: Final = "text2video"
IMAGE: Final = "image2video"
TOKEN_S: Final = 1800
EARLY_S: Final = 5
MODES: Final = {"720p": "std", "1080p": "pro", "4k": "4k"}


class KlingLegacy(Provider):
    """The API behind one base URL, for pairs of keys."""

    name = "kling"

    def __init__(
        self, client: HttpClient, base_url: str, *, limits: CallLimits | None = None, clock: Clock | None = None
    ) -> None:
        self._clock = clock or SystemClock()
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
        kind, document = call_for(model, request, media, attempt_id=attempt_id)
        headers = self._headers(credential)
        reply = await self._origin.submit(f"/v1/videos/{kind}", headers=headers, document=document)
        complaint = complaint_of(reply, secret=credential.secret)
        if is_duplicate(complaint):
            return await self._made_before(kind, attempt_id, credential)
        if not reply.is_success or complaint.code != ACCEPTED:
            raise refusal(reply, complaint)
        return _submission(kind, data_of(reply))

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the task is. One that is no longer known has ended."""
        task = await self._task(str(handle["kind"]), str(handle["id"]), credential)
        if task is None:
            return unknown_task()
        result = task.get("task_result")
        videos = result.get("videos") if isinstance(result, dict) else None
        word = text_of(task, "task_status")
        return progress_of(word, task.get("task_status_msg"), videos, secret=credential.secret)

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        """The task that was made under this attempt's id; None if none was, which is certain as ids are unique."""
        for kind in (TEXT, IMAGE):
            task = await self._task(kind, attempt_id, credential)
            if task is not None:
                return _submission(kind, task)
        return None

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a task that an operator found, as `KIND:ID`; without a kind it is a text2video."""
        kind, _, task_id = provider_video_id.rpartition(":")
        return {"version": VERSION, "id": task_id, "kind": kind or TEXT}

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes from its public link."""
        return self._origin.download(str(output["url"]), headers={})

    async def _made_before(self, kind: str, attempt_id: str, credential: Credential) -> Submission:
        task = await self._task(kind, attempt_id, credential)
        if task is None:
            raise ProviderUnavailable(f"{TITLE} has this task already, and does not show it yet", accepted=None)
        return _submission(kind, task)

    async def _task(self, kind: str, task_id: str, credential: Credential) -> Mapping[str, Any] | None:
        path = f"/v1/videos/{kind}/{quote(task_id, safe='')}"
        reply = await self._origin.call("GET", path, headers=self._headers(credential))
        complaint = complaint_of(reply, secret=credential.secret)
        if complaint.code == BAD_ARGUMENT or reply.status == 404:
            return None
        check_poll(reply, complaint)
        data = data_of(reply)
        return data if isinstance(data, dict) else None

    def _headers(self, credential: Credential) -> dict[str, str]:
        pair = json_object(credential.secret) or {}
        token = signed_token(str(pair["access_key"]), str(pair["secret_key"]), now_s=self._clock.now_ms() // 1000)
        return {"Authorization": f"Bearer {token}"}


def signed_token(access_key: str, secret_key: str, *, now_s: int) -> str:
    """The token for calls of the next half hour (RFC 7519, HS256)."""
    claims = {"iss": access_key, "exp": now_s + TOKEN_S, "nbf": now_s - EARLY_S}
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    signature = hmac.new(secret_key.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=").decode()


def call_for(
    model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]], *, attempt_id: str
) -> tuple[str, dict[str, Any]]:
    """The kind and the body for this request; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, *WORDLESS, provider=TITLE)
    by_role = dict(media)
    for role in by_role:
        if role not in (Role.INPUT_IMAGE, Role.LAST_FRAME):
            raise UnsupportedOption(
                f"{TITLE} takes a {role.value} with an API key alone, not with a pair of keys", field=role.field
            )
    said = {
        "model_name": model.upstream_id("legacy"),
        "prompt": request.prompt,
        "duration": None if request.duration_s is None else str(request.duration_s),
        "aspect_ratio": None if by_role else request.aspect_ratio,
        "mode": None if request.resolution is None else MODES[request.resolution],
        "sound": _sound(model, request),
        "image": by_role.get(Role.INPUT_IMAGE),
        "image_tail": by_role.get(Role.LAST_FRAME),
        "external_task_id": attempt_id,
    }
    return IMAGE if by_role else TEXT, {**request.additional_params, **given(said)}


def _sound(model: Model, request: VideoRequest) -> str | None:
    if not model.wire.get("audio", ["off", "native"]) or request.generate_audio is None:
        return None
    return "on" if request.generate_audio else "off"


def _submission(kind: str, task: object) -> Submission:
    task_id = accepted_id(task, "task_id", "task", provider=TITLE)
    return Submission({"version": VERSION, "id": task_id, "kind": kind}, provider_video_id=f"{kind}:{task_id}")
