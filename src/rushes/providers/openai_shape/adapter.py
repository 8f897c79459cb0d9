"""One server that speaks `/v1/videos`, in one of its flavors.

OpenAI's Videos API as openai 3.54.0 speaks it, vllm_omni 0.30.0 (`entrypoints/openai/api_server.py`), sglang 0.5.23
(`multimodal_gen/runtime/entrypoints/openai/video_api.py`), checked 2026-11-22. Quirks:

- There is no idempotency token, and the list tells nothing that a submission could be known by: two jobs may share
  prompt, model and size, and nothing of ours is echoed. So a lost answer stays unknown.
- vLLM-Omni answers the GET of a failed generation with 4xx or 5xx and the video object as body.
- vLLM-Omni's DELETE aborts; SGLang's forgets the record while the GPU goes on; OpenAI's is refused.
- SGLang tells several outputs of one call apart by `variant`, an index; a name there is 404.
- SGLang with cloud storage answers a download with 400, and names a `url` in the video object.
- Both keep their records in memory: after a restart a generation is 404.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

from yarl import URL

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Failed, Handle, Progress, Submission, Working
from rushes.domain.request import VideoRequest
from rushes.errors import (
    OutputLost,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
    UnsupportedOption,
)
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.failure import Raw, Reply, poll_error
from rushes.providers.form import FormBody
from rushes.providers.http import DOWNLOAD_LIMIT_BYTES, CallLimits, Origin
from rushes.providers.openai_shape.entry import Server
from rushes.providers.openai_shape.payload import form
from rushes.providers.openai_shape.reply import (
    complaint_of,
    is_finished,
    model_ids,
    progress_of,
    url_of,
    video_id,
    video_of,
    why_refused,
)
from rushes.providers.own_server import key_headers

HANDLE_VERSION: Final = 1


class OpenaiShape(Provider):
    """One configured server. Its base URL is the only place that sees a key, and it needs none if it asks for none."""

    def __init__(
        self,
        client: HttpClient,
        server: Server,
        *,
        limit_bytes: int = DOWNLOAD_LIMIT_BYTES,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = server.name
        self._server = server
        self._flavor = server.flavor
        self._shown = f"'{server.name}'"
        self._origin = Origin(client, server.api_url, provider=self._shown, limits=limits, clock=clock)
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
        """Start one generation. There is no token to repeat it by: sending it twice draws it twice."""
        headers = self._headers(credential)
        media = [(item, await read_media(item)) for item in request.media]
        body = FormBody(form(model, request, media, self._flavor))
        reply = await self._origin.submit_form("/videos", headers=headers, form=body)
        if not reply.is_success:
            raise why_refused(reply, server=self.name, model_id=model.upstream_id(None), secret=credential.secret)
        return self._submission(reply, request.n, secret=credential.secret)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """Look at the generation. One that the server no longer knows has ended."""
        video = await self._look(handle, credential)
        if isinstance(video, Failed):
            return video
        return self._progress_of(video, _n(handle), secret=credential.secret)

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Abort the generation, where DELETE does that.

        Raises ProviderRejected if it has ended, for then DELETE would throw its video away; UnsupportedOption,
        ProviderUnavailable or ProviderQuota.
        """
        if not self._flavor.delete_aborts:
            raise UnsupportedOption(f"{self._shown} cannot cancel a running generation", field="cancel")
        video = await self._look(handle, credential)
        if isinstance(video, Failed) or is_finished(video):
            raise ProviderRejected(f"{self._shown} can no longer cancel this generation", provider_error="finished")
        reply = await self._origin.call("DELETE", _path(handle), headers=self._headers(credential))
        # 409: it is being aborted already.
        if reply.is_success or reply.status == 409:
            return
        complaint = complaint_of(reply, secret=credential.secret)
        if reply.status in (400, 404, 405):
            raise ProviderRejected(f"{self._shown} can no longer cancel this generation", provider_error=complaint.code)
        raise poll_error(reply, complaint, provider=self._shown)

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes, from the server or from where its record says that they are."""
        index = output["index"]
        assert isinstance(index, int)
        path = f"{_path(handle)}/content" + (f"?variant={index}" if _n(handle) > 1 else "")
        source: str | URL = self._origin.url(path)
        begun = False
        try:
            async with aclosing(self._download(source, credential)) as chunks:
                async for chunk in chunks:
                    begun = True
                    yield chunk
            return
        except (OutputLost, ProviderUnavailable):
            if begun:
                raise
            elsewhere = await self._elsewhere(handle, index, credential)
            if elsewhere is None:
                raise
        async with aclosing(self._download(elsewhere, credential)) as chunks:
            async for chunk in chunks:
                yield chunk

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a video whose id an operator found, for a submission whose answer was lost."""
        return {"version": HANDLE_VERSION, "id": provider_video_id}

    async def try_credential(self, *, credential: Credential) -> None:
        """Reads the list of models."""
        await self.list_models(credential=credential)

    async def list_models(self, *, credential: Credential) -> tuple[str, ...]:
        """The models that the server says it has.

        Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse if it cannot be asked now.
        """
        reply = await self._origin.call("GET", "/models", headers=self._headers(credential))
        if reply.is_success and isinstance(reply.body, dict):
            return model_ids(reply)
        raise poll_error(reply, complaint_of(reply, secret=credential.secret), provider=self._shown)

    def _download(self, url: str | URL, credential: Credential) -> AsyncGenerator[bytes, None]:
        return self._origin.download(url, headers=self._headers(credential), limit_bytes=self._limit_bytes)

    async def _elsewhere(self, handle: Handle, index: int, credential: Credential) -> str | None:
        """After a refused download: the URL that the record names, asked for afresh because it may be a signed one."""
        video = await self._look(handle, credential)
        if isinstance(video, Failed):
            raise OutputLost(video.error.message) from video.error
        if not is_finished(video):
            raise ProviderUnavailable(f"{self._shown} is still making the video")
        return url_of(video, index)

    async def _look(self, handle: Handle, credential: Credential) -> Mapping[str, object] | Failed:
        reply = await self._origin.call("GET", _path(handle), headers=self._headers(credential))
        video = video_of(reply)
        if video is not None:
            return video
        complaint = complaint_of(reply, secret=credential.secret)
        # A page in place of JSON is a proxy's: the server behind it may still know the generation.
        if reply.status in (404, 410) and not isinstance(reply.body, Raw):
            return Failed(
                ProviderRejected(
                    f"{self._shown} does not know, or no longer knows, this generation; such servers keep their "
                    "records in memory, so it was probably restarted",
                    provider_error=complaint.code,
                )
            )
        raise poll_error(reply, complaint, provider=self._shown)

    def _progress_of(self, video: Mapping[str, object], n: int, *, secret: str) -> Progress:
        return progress_of(video, server=self.name, n=n, real_progress=self._flavor.real_progress, secret=secret)

    def _submission(self, reply: Reply, n: int, *, secret: str) -> Submission:
        identity = video_id(reply)
        if identity is None:
            raise ProviderUnavailable(
                f"{self._shown} answered the submission without an id; whether it was accepted is not known",
                accepted=None,
                provider_error=complaint_of(reply, secret=secret).code,
            )
        handle: Handle = {"version": HANDLE_VERSION, "id": identity}
        if n > 1:
            handle["n"] = n
        body = reply.body
        assert isinstance(body, dict)
        try:
            progress = self._progress_of(body, n, secret=secret)
        except UnexpectedResponse:
            # It has an id, so it was accepted; what its status means is for the polls to find out.
            progress = Working()
        return Submission(handle, progress, provider_video_id=identity)

    def _headers(self, credential: Credential) -> dict[str, str]:
        return key_headers(credential, self._server.key_header, server=self._shown)


def _path(handle: Handle) -> str:
    return f"/videos/{quote(str(handle['id']), safe='')}"


def _n(handle: Handle) -> int:
    n = handle.get("n", 1)
    assert isinstance(n, int)
    return n
