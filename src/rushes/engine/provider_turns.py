"""Turns of accounts at a provider: the calls of one account leave connections and memory for those of the others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager

from rushes.catalogue.model import Model
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission
from rushes.domain.request import VideoRequest
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.shared_places import SharedPlace


class SubmissionTurns:
    """The turns of one job's submissions: a connection to its provider, and memory for its input files.

    Adapters read whole files, and write them once more as base64.
    """

    def __init__(self, connections: SharedPlace, media: SharedPlace, account_id: str) -> None:
        self._connections = connections
        self._media = media
        self._account_id = account_id

    @asynccontextmanager
    async def __call__(self, request: VideoRequest) -> AsyncIterator[None]:
        """Wait for the account's turn to submit this request, and hold it within the block."""
        # A request of larger files than an account's share goes alone.
        size_bytes = min(sum(media.size_bytes for media in request.media), self._media.declaration.share)
        with ExitStack() as held:
            if size_bytes:
                held.enter_context(await self._media.wait(self._account_id, size_bytes))
            held.enter_context(await self._connections.wait(self._account_id))
            yield


class ProviderInTurn(Provider):
    """`Provider` around another one, for one job. All but its submissions wait here for the account's turn.

    The wait comes before the call, so that it counts neither for the provider's time limit nor for its breaker. A
    submission waits before its intent is recorded (`SubmissionTurns`): an intent says that the provider may be called.
    """

    def __init__(self, provider: Provider, place: SharedPlace, account_id: str) -> None:
        self.name = provider.name
        self._provider = provider
        self._place = place
        self._account_id = account_id

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        return await self._provider.submit(
            model, request, attempt_id=attempt_id, credential=credential, read_media=read_media
        )

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        with await self._place.wait(self._account_id):
            return await self._provider.poll(handle, credential=credential)

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        with await self._place.wait(self._account_id):
            return await self._provider.find(attempt_id, credential=credential)

    def handle_for(self, provider_video_id: str) -> Handle:
        return self._provider.handle_for(provider_video_id)

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        with await self._place.wait(self._account_id):
            await self._provider.cancel(handle, credential=credential)

    async def release(self, handle: Handle, *, credential: Credential) -> None:
        await self._provider.release(handle, credential=credential)

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        with await self._place.wait(self._account_id):
            async with aclosing(self._provider.fetch(handle, output, credential=credential)) as chunks:
                async for chunk in chunks:
                    yield chunk
