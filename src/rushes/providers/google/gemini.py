"""Gemini Omni on the Gemini API, through interactions that run in the background.

https://ai.google.dev/gemini-api/docs (*Interactions API*, *Generate and edit videos with Gemini Omni Flash*), v1beta,
revision 2026-05-20, checked 2026-11-22. Quirks:

- A refusal by the safety filter is a generation that is `completed` without a video.
- A bad key is HTTP 400. Two credentials in one request are HTTP 400 as well, so the key goes into one header only.
- A poll may answer 400 with words about authentication or blob storage while the generation is well.
- There is no idempotency token and no list: what became of a submit without an answer cannot be found out.
- A result is a file that lives 48 hours; downloading it takes the key.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

from yarl import URL

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Failed, Handle, Progress, Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import (
    OutputLost,
    ProviderAuth,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.net.client import HttpClient, same_origin
from rushes.net.urls import exact_url
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.failure import Reply, poll_error
from rushes.providers.google.payload import interaction
from rushes.providers.google.reply import (
    complaint_of,
    inline_video,
    interaction_id,
    is_unknown_interaction,
    progress_of,
    video_models,
    why_refused,
)
from rushes.providers.http import DOWNLOAD_LIMIT_BYTES, CallLimits, Origin

GOOGLE_URL: Final = "https://generativelanguage.googleapis.com"
GEMINI: Final = "gemini"
API_REVISION: Final = "2026-05-20"
HANDLE_VERSION: Final = 1
MODELS_PATH: Final = "/v1beta/models?pageSize=1000"

# We ask for links. A small result may come inline all the same, "about 4 MB" of it.
INLINE_LIMIT_BYTES: Final = 24 * 1024 * 1024

FILE_PATH: Final = re.compile(r"(?:/download)?/v1(?:beta\d*|alpha)?/files/([\w-]+)(?::download)?")
SENDABLE_KEY: Final = re.compile(r"[\x21-\x7e]+")


class Gemini(Provider):
    """The Gemini API. `base_url` is the only host that sees a key; `limit_bytes` is the largest result it fetches."""

    name = "google"

    def __init__(
        self,
        client: HttpClient,
        base_url: str = GOOGLE_URL,
        *,
        limit_bytes: int = DOWNLOAD_LIMIT_BYTES,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._origin = Origin(client, base_url, provider="Google", limits=limits, clock=clock)
        self._limit_bytes = limit_bytes

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Start one interaction for one video. There is no token to repeat it by: sending it twice pays twice."""
        headers = _headers(credential)
        model_id = model.upstream_id(GEMINI)
        media = [(item, Inline(await read_media(item))) for item in _in_order(request)]
        document = interaction(model_id, request, media)
        reply = await self._origin.submit("/v1beta/interactions", headers=headers, document=document)
        if not reply.is_success:
            raise why_refused(reply, model_id=model_id, secret=credential.secret)
        return _submission(reply, request, secret=credential.secret)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """Look at the interaction. One that Google no longer knows has ended."""
        reply = await self._look(handle, credential)
        if isinstance(reply, Failed):
            return reply
        return progress_of(reply, had_video=handle.get("had_video") is True, secret=credential.secret)

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Ask Google to stop, which it does if it still can.

        Raises ProviderRejected if it is too late, ProviderUnavailable or ProviderQuota if the request did not arrive.
        """
        reply = await self._origin.call("POST", f"{_path(handle)}/cancel", headers=_headers(credential))
        if reply.is_success:
            return
        complaint = complaint_of(reply, secret=credential.secret)
        if reply.status in (400, 404, 405, 409):
            raise ProviderRejected("Google can no longer cancel this generation", provider_error=complaint.code)
        raise poll_error(reply, complaint, provider="Google")

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes, from the file that Google keeps for 48 hours."""
        uri = output.get("uri")
        if isinstance(uri, str):
            source = self._origin.download(
                self._result_url(uri), headers=_headers(credential), limit_bytes=self._limit_bytes
            )
            async with aclosing(source) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        found = await self._look(handle, credential)
        if isinstance(found, Failed):
            raise OutputLost(found.error.message) from found.error
        for chunk in inline_video(found):
            yield chunk

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of an interaction whose id an operator found, for a submission whose answer was lost."""
        return {"version": HANDLE_VERSION, "id": provider_video_id}

    async def try_credential(self, *, credential: Credential) -> None:
        """Reads the list of models."""
        await self.list_models(credential=credential)

    async def list_models(self, *, credential: Credential) -> tuple[str, ...]:
        """The video models on the list of all models; there are fewer than one page of all."""
        reply = await self._origin.call("GET", MODELS_PATH, headers=_headers(credential))
        if not reply.is_success or not isinstance(reply.body, dict):
            raise poll_error(reply, complaint_of(reply, secret=credential.secret), provider="Google")
        return video_models(reply.body)

    async def _look(self, handle: Handle, credential: Credential) -> Mapping[str, object] | Failed:
        reply = await self._origin.call(
            "GET", _path(handle), headers=_headers(credential), limit_bytes=INLINE_LIMIT_BYTES
        )
        if reply.is_success and isinstance(reply.body, dict):
            return reply.body
        complaint = complaint_of(reply, secret=credential.secret)
        if is_unknown_interaction(reply, complaint):
            return Failed(
                ProviderRejected(
                    "Google does not know, or no longer knows, this generation; it keeps one for 55 days, "
                    "for 1 day without billing",
                    provider_error=complaint.code,
                )
            )
        raise poll_error(reply, complaint, provider="Google")

    def _result_url(self, uri: str) -> str | URL:
        """Where to get the result: a file of Google's from the configured origin, anything else from where it says."""
        try:
            url = exact_url(uri)
            own = same_origin(url, self._origin.origin) or same_origin(url, URL(GOOGLE_URL))
        except ValueError as exc:
            raise ProviderUnavailable("Google names a result by something that is not a URL") from exc
        file = FILE_PATH.fullmatch(url.path)
        if own and file is not None:
            return self._origin.url(f"/v1beta/files/{file[1]}:download?alt=media")
        return url


def _headers(credential: Credential) -> dict[str, str]:
    if credential.kind != "api_key":
        raise ProviderAuth("the Gemini API takes an API key", provider_error="wrong kind of credential")
    if not SENDABLE_KEY.fullmatch(credential.secret):
        raise ProviderAuth(
            "the Google API key is empty or holds characters that no key has; check how it was copied",
            provider_error="malformed key",
        )
    return {"x-goog-api-key": credential.secret, "Api-Revision": API_REVISION}


def _path(handle: Handle) -> str:
    return f"/v1beta/interactions/{quote(str(handle['id']), safe='')}"


def _in_order(request: VideoRequest) -> tuple[InputMedia, ...]:
    roles = (Role.INPUT_IMAGE, Role.LAST_FRAME, Role.REFERENCE_IMAGE, Role.REFERENCE_VIDEO, Role.VIDEO)
    return tuple(item for role in roles for item in request.media_for(role))


def _submission(reply: Reply, request: VideoRequest, *, secret: str) -> Submission:
    identity = interaction_id(reply)
    if identity is None:
        raise ProviderUnavailable(
            "Google answered the submission without an id; whether it was accepted is not known",
            accepted=None,
            provider_error=complaint_of(reply, secret=secret).code,
        )
    handle: Handle = {"version": HANDLE_VERSION, "id": identity}
    had_video = bool(request.media_for(Role.VIDEO))
    if had_video:
        handle["had_video"] = True
    body = reply.body
    assert isinstance(body, dict)
    try:
        progress = progress_of(body, had_video=had_video, secret=secret)
    except UnexpectedResponse:
        # It has an id, so it was accepted; what its status means is for the polls to find out.
        progress = Working()
    return Submission(handle, progress, provider_video_id=identity)
