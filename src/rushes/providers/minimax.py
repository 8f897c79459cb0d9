"""MiniMax: the H3 models on its V2 API, and the Hailuo models on V1.

platform.minimax.io, API reference "Video generation" V2 and V1; mmx-cli 1.0.27; @ai-sdk/minimax 3.0.45; checked
2026-11-30. Quirks: V1 answers errors with HTTP 200 and a code in `base_resp`, and delivers a file id; V2 puts the code
in parentheses at the end of its message, cancels queued tasks alone, and DELETE erases the record of a finished one;
there is no token, so a lost answer stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import Role, VideoRequest, VideoTask
from rushes.errors import (
    ContentFiltered,
    OutputLost,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
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
from rushes.providers.http import CallLimits, Origin
from rushes.providers.translation import (
    Stage,
    accepted_id,
    bearer,
    content_items,
    data_uri,
    given,
    own_handle,
    refuse_wordless,
    text_of,
)

REGIONS: Final = {"global": "https://api.minimax.io", "mainland": "https://api.minimaxi.com"}
VERSION: Final = 1
TITLE: Final = "MiniMax"

SUBMIT_V2: Final = "/v2/video_generation"
UPSCALE_V2: Final = "/v2/video_regeneration"
QUERY_V2: Final = "/v2/query/video_generation"
SUBMIT_V1: Final = "/v1/video_generation"
QUERY_V1: Final = "/v1/query/video_generation"
FILE_V1: Final = "/v1/files/retrieve"

WORDLESS: Final = ("negative_prompt", "person_generation", "seed", "n")

ACCEPTED: Final = "0"
BAD_KEY: Final = ("1004", "2049")
NOT_IN_PLAN: Final = "2061"
NO_CREDIT: Final = "1008"
BUSY: Final = ("1002", "1028", "1030", "1039")
FILTERED: Final = ("1026", "1027")
SERVER: Final = ("1000", "1001", "1013", "1024", "1033")
CODE_IN_WORDS: Final = re.compile(r"\((\d{4})\)\s*$")


STAGES: Final = {
    # V2
    "queued": Stage.WORKING,
    "running": Stage.WORKING,
    "succeeded": Stage.DONE,
    "failed": Stage.FAILED,
    "cancelled": Stage.CANCELLED,
    "expired": Stage.EXPIRED,
    # V1; the vendor's own client knows `Failed` where its documents say `Fail`.
    "Preparing": Stage.WORKING,
    "Queueing": Stage.WORKING,
    "Processing": Stage.WORKING,
    "Success": Stage.DONE,
    "Fail": Stage.FAILED,
    "Failed": Stage.FAILED,
}


class MinimaxOptions(Options):
    """Which of the two services a key belongs to; keys do not cross."""

    region: Literal["global", "mainland"] = "global"


class Minimax(Provider):
    """Both generations of the API behind one base URL. A model's `wire` says which one serves it."""

    name = "minimax"

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
        path, document = await _call_for(model, request, read_media, credential)
        reply = await self._origin.submit(path, headers=bearer(credential), document=document)
        complaint = complaint_of(reply, secret=credential.secret)
        if not reply.is_success or complaint.code != ACCEPTED:
            raise refusal(reply, complaint)
        task_id = accepted_id(reply.body, "task_id", "task", provider=TITLE)
        handle = {"version": VERSION, "id": task_id, "api": "v1" if _is_v1(model) else "v2"}
        return Submission(handle, provider_video_id=task_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the task is. One that is no longer known has ended."""
        return progress_of(await self._asked(handle, credential), secret=credential.secret)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a task that an operator found. Ids of V1 have 12 to 15 digits too, so V2 is assumed."""
        api, _, task_id = provider_video_id.rpartition(":")
        return {"version": VERSION, "id": task_id, "api": api or "v2"}

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the task if it is still queued. Raises ProviderRejected if it is not, UnsupportedOption on V1.

        It is asked first: DELETE would erase the record, and the link, of a task that has just finished.
        """
        if handle["api"] == "v1":
            raise UnsupportedOption(f"{TITLE} cannot cancel a task of its V1 API", field="cancel")
        word = text_of(_task(await self._asked(handle, credential)), "status")
        if word != "queued":
            raise ProviderRejected(f"{TITLE} cancels queued tasks alone; this one is '{word}'", provider_error=word)
        path = f"{SUBMIT_V2}/{quote(str(handle['id']), safe='')}"
        reply = await self._origin.call("DELETE", path, headers=bearer(credential))
        if not reply.is_success:
            complaint = complaint_of(reply, secret=credential.secret)
            if 400 <= reply.status < 500 and reply.status != 429:
                raise ProviderRejected(f"{TITLE} could no longer cancel the task", provider_error=complaint.code)
            raise poll_error(reply, complaint, provider=TITLE)

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes: from the task's signed link on V2, from the link of its file on V1."""
        url = output.get("url")
        if url is None:
            url = await self._file_url(str(output["file_id"]), credential)
        async for chunk in self._origin.download(str(url), headers={}):
            yield chunk

    async def _file_url(self, file_id: str, credential: Credential) -> str:
        path = f"{FILE_V1}?file_id={quote(file_id, safe='')}"
        reply = await self._origin.call("GET", path, headers=bearer(credential))
        complaint = complaint_of(reply, secret=credential.secret)
        if reply.status == 404 or (reply.is_success and complaint.code == "2013"):
            raise OutputLost(f"{TITLE} no longer has the file of this video")
        if not reply.is_success or complaint.code != ACCEPTED:
            raise ProviderUnavailable(f"{TITLE} does not name the file's link", provider_error=complaint.code)
        file = reply.body.get("file") if isinstance(reply.body, dict) else None
        url = text_of(file, "download_url")
        if not url:
            raise ProviderUnavailable(f"{TITLE} names no link for the file", provider_error=complaint.code)
        return url

    async def _asked(self, handle: Handle, credential: Credential) -> Reply:
        task_id = quote(str(handle["id"]), safe="")
        path = f"{QUERY_V1}?task_id={task_id}" if handle["api"] == "v1" else f"{QUERY_V2}/{task_id}"
        return await self._origin.call("GET", path, headers=bearer(credential))


async def _call_for(
    model: Model, request: VideoRequest, read_media: ReadMedia, credential: Credential
) -> tuple[str, dict[str, Any]]:
    """The path and the body for this request. Raises UnsupportedOption."""
    if request.video_task is VideoTask.UPSCALE:
        return UPSCALE_V2, upscale_payload(model, request, own_handle(request, credential, provider=Minimax.name))
    media = [(item.role, data_uri(item, await read_media(item))) for item in request.media]
    if _is_v1(model):
        return SUBMIT_V1, v1_payload(model, request, media)
    return SUBMIT_V2, v2_payload(model, request, media)


def v2_payload(model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]]) -> dict[str, Any]:
    """A request of the V2 API; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, *WORDLESS, provider=TITLE)
    said = {
        "model": model.upstream_id(None),
        "content": content_items(request.prompt, media),
        "resolution": _upper(request.resolution),
        "duration": request.duration_s,
        "ratio": request.aspect_ratio,
    }
    return {**request.additional_params, **given(said)}


def upscale_payload(model: Model, request: VideoRequest, made_by: Handle | None) -> dict[str, Any]:
    """A request to make an earlier task's video larger. Raises UnsupportedOption for a video that is not one."""
    if made_by is None:
        raise UnsupportedOption(
            f"{TITLE} upscales videos of its own key alone: name the job that made it as previous_job_id",
            field="video_task",
        )
    said = {"model": model.upstream_id(None), "source_task_id": str(made_by["id"]), "resolution": "2K"}
    return {**request.additional_params, **said}


def v1_payload(model: Model, request: VideoRequest, media: Sequence[tuple[Role, Inline]]) -> dict[str, Any]:
    """A request of the V1 API; options that were not given are not sent. Raises UnsupportedOption."""
    refuse_wordless(request, *WORDLESS, provider=TITLE)
    if request.aspect_ratio is not None and not model.wire.get("ratio"):
        raise UnsupportedOption(f"{TITLE}'s V1 API has no aspect_ratio", field="aspect_ratio")
    by_role = {role: [inline for one, inline in media if one is role] for role in Role}
    references = by_role[Role.REFERENCE_IMAGE]
    said = {
        "model": model.upstream_id(None),
        "prompt": request.prompt,
        "duration": request.duration_s,
        "resolution": _upper(request.resolution),
        "first_frame_image": next(iter(by_role[Role.INPUT_IMAGE]), None),
        "last_frame_image": next(iter(by_role[Role.LAST_FRAME]), None),
        "subject_reference": [{"type": "character", "image": references}] if references else None,
    }
    return {**request.additional_params, **given(said)}


def progress_of(reply: Reply, *, secret: str) -> Progress:
    """What a poll of either API says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 404 or "record not found" in complaint.message.lower():
        return Failed(ProviderRejected(f"{TITLE} no longer knows this task", provider_error=complaint.code))
    if not reply.is_success:
        raise poll_error(reply, complaint, provider=TITLE)
    task = _task(reply)
    word = text_of(task, "status")
    match STAGES.get(word):
        case Stage.WORKING:
            return Working()
        case Stage.DONE:
            return Done((_output(task, word),))
        case Stage.FAILED:
            return Failed(_ended(_error_of(task, complaint, secret=secret)))
        case Stage.CANCELLED:
            return Failed(ProviderRejected(f"{TITLE} has cancelled the task", provider_error=word))
        case Stage.EXPIRED:
            return Failed(ProviderRejected(f"{TITLE} did not finish the task in time", provider_error=word))
    if not word and complaint.code in (*BUSY, *SERVER):
        raise ProviderUnavailable(f"{TITLE} could not say how far the task is", provider_error=complaint.code)
    raise UnexpectedResponse(f"{TITLE} reports a status that its documentation does not know", provider_error=word)


def _output(task: Mapping[str, Any], word: str) -> Output:
    content = task.get("content")
    url = text_of(content, "url")
    if url:
        return {"version": VERSION, "url": url}
    file_id = task.get("file_id")
    if isinstance(file_id, str | int) and str(file_id):
        return {"version": VERSION, "file_id": str(file_id)}
    raise UnexpectedResponse(f"{TITLE} says that the task succeeded, but names no video", provider_error=word)


def refusal(reply: Reply, complaint: Complaint) -> ProviderError:
    """Why a submit was not accepted, by MiniMax's own code, whatever the HTTP status is."""
    code, words = complaint.code, complaint.message
    if code in FILTERED:
        return _ended(complaint)
    if code in BAD_KEY or reply.status == 401:
        return ProviderAuth(f"{TITLE} does not accept the key: '{words}'", provider_error=code)
    if code == NOT_IN_PLAN:
        return ProviderAuth(f"{TITLE} does not offer this model in the key's plan: '{words}'", provider_error=code)
    if code == NO_CREDIT or reply.status == 402:
        return credit_empty(complaint, provider=TITLE)
    if code in BUSY:
        message = f"{TITLE}'s rate limit or quota is used up: '{words}'"
        return ProviderQuota(message, provider_error=code, retry_after_s=reply.retry_after_s)
    if reply.is_success and code in SERVER:
        return ProviderUnavailable(f"{TITLE} failed: '{words}'", accepted=None, provider_error=code)
    if reply.is_success:
        return ProviderRejected(f"{TITLE} refused the request: '{words}'", provider_error=code)
    return submit_error(reply, complaint, provider=TITLE)


def _ended(complaint: Complaint) -> ProviderError:
    if complaint.code in FILTERED:
        return ContentFiltered(f"{TITLE}'s filter refused: '{complaint.message}'", provider_error=complaint.code)
    return ProviderRejected(f"{TITLE} failed: '{complaint.message}'", provider_error=complaint.code)


def _error_of(task: Mapping[str, Any], otherwise: Complaint, *, secret: str) -> Complaint:
    error = task.get("error")
    if not isinstance(error, dict):
        return otherwise
    return Complaint.of(error.get("code"), error.get("message"), secret=secret)


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """MiniMax's code and words: from `base_resp` (V1), or from `error`, whose message ends with the code (V2).

    The code is `0` where nothing is wrong.
    """
    if isinstance(reply.body, Raw):
        return Complaint.of(f"HTTP {reply.status}", reply.body.text, secret=secret)
    body = reply.body if isinstance(reply.body, dict) else {}
    stated = body.get("base_resp")
    if isinstance(stated, dict):
        return Complaint.of(stated.get("status_code", 0), stated.get("status_msg"), secret=secret)
    error = body.get("error")
    if isinstance(error, dict):
        words = str(error.get("message") or "")
        found = CODE_IN_WORDS.search(words)
        return Complaint.of(found[1] if found else error.get("type"), words, secret=secret)
    return Complaint.of(ACCEPTED if reply.is_success else f"HTTP {reply.status}", None, secret=secret)


def _task(reply: Reply) -> Mapping[str, Any]:
    """The task of a poll's answer: under `task` on V2, the answer itself on V1."""
    body = reply.body if isinstance(reply.body, dict) else {}
    task = body.get("task")
    return task if isinstance(task, dict) else body


def _is_v1(model: Model) -> bool:
    return model.wire.get("api") == "v1"


def _upper(resolution: str | None) -> str | None:
    return None if resolution is None else resolution.upper()


def _open(options: MinimaxOptions, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Minimax(parts.client, options.base_url or REGIONS[options.region], clock=parts.clock)}


PROVIDER: Final = Declaration(
    name="minimax", credentials=(api_key("MINIMAX_API_KEY"),), options=MinimaxOptions, open=_open
)
