"""Vertex AI (Gemini Enterprise Agent Platform), used with a service account: Veo, and Gemini Omni as it is there.

https://docs.cloud.google.com (*Veo on Vertex AI video generation API*, *Generate videos from first and last frames*,
*Gemini Omni 1.2 Flash*), v1 for Veo and v1beta1 for Omni, checked 2026-11-22. Quirks:

- Operations of publisher models are not polled by GET: the poll is a POST to the model, which the name tells.
- While it runs, an operation mostly has no `done`. Errors inside an operation are google.rpc codes, not HTTP's.
- Done is not success: filtered videos are counted, and the others delivered, so that fewer come than were asked for.
- Without a bucket the videos come as base64 inside the poll's reply, tens or hundreds of megabytes of it.
- No media by http(s) URL, no idempotency token, no list, and for Veo no cancel.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission
from rushes.domain.request import VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.google import platform_omni, veo
from rushes.providers.google.platform import Place, Platform
from rushes.providers.google.platform_omni import PlatformOmni
from rushes.providers.google.veo import Veo
from rushes.providers.google.veo_reply import OPERATION_NAME
from rushes.providers.http import DOWNLOAD_LIMIT_BYTES, CallLimits

VERTEX: Final = "vertex"
OMNI_PREFIX: Final = "gemini-"


class Vertex(Provider):
    """Google's video models by service account: each goes to the API that serves it.

    Access tokens are kept in memory while they are good. `limit_bytes` is the largest result that is fetched.
    """

    name = "google"

    def __init__(
        self,
        client: HttpClient,
        place: Place | None = None,
        *,
        limit_bytes: int = DOWNLOAD_LIMIT_BYTES,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._platform = Platform(client, place or Place(), limit_bytes=limit_bytes, limits=limits, clock=clock)
        self._veo = Veo(self._platform)
        self._omni = PlatformOmni(self._platform)

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Start one operation or interaction. There is no token to repeat it by: sending it twice pays twice."""
        model_id = model.upstream_id(VERTEX)
        if model_id.startswith(OMNI_PREFIX):
            return await self._omni.submit(
                model_id,
                request,
                attempt_id=attempt_id,
                credential=credential,
                read_media=read_media,
            )
        return await self._veo.submit(
            model_id, request, attempt_id=attempt_id, credential=credential, read_media=read_media
        )

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """Look at the generation. One that Google no longer knows has ended."""
        return await self._api_of(handle).poll(handle, credential=credential)

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Ask Google to stop an interaction; UnsupportedOption for an operation."""
        if self._api_of(handle) is self._veo:
            await super().cancel(handle, credential=credential)
        await self._omni.cancel(handle, credential=credential)

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes."""
        async with aclosing(self._api_of(handle).fetch(handle, output, credential=credential)) as chunks:
            async for chunk in chunks:
                yield chunk

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of an operation by its full name, or of an interaction by its id."""
        if OPERATION_NAME.fullmatch(provider_video_id):
            return veo.handle_for(provider_video_id)
        return platform_omni.handle_for(provider_video_id)

    async def close(self) -> None:
        """Forget the access tokens."""
        await self._platform.close()

    def _api_of(self, handle: Handle) -> Veo | PlatformOmni:
        return self._omni if handle.get("api") == platform_omni.API else self._veo
