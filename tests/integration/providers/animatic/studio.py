"""An adapter with real children, a clock that stands still until it is moved, and inputs made on the spot."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from rushes.catalogue.model import Model
from rushes.decoding.box import Box
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.providers.animatic import Animatic
from rushes.providers.base import NO_CREDENTIAL, Credential
from rushes.shared_places import DRAWINGS, SharedPlaces
from tests.fixtures.catalogue import shipped_catalogue

TINY = VideoRequest(
    prompt="A kite over the dunes", aspect_ratio="16:9", resolution="144p", duration_s=1, generate_audio=False
)


class HandClock:
    """Time that moves only when a test moves it."""

    def __init__(self) -> None:
        self.ms = 1_795_000_000_000

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


class Studio:
    """The adapter under test, and what the worker would do around it."""

    def __init__(self, box: Box, scratch: Path) -> None:
        self.box = box
        self.drawings = SharedPlaces()[DRAWINGS]
        self.scratch = scratch
        self.clock = HandClock()
        self.files: dict[str, bytes] = {}
        self.adapter = self.another_adapter()

    def another_adapter(self) -> Animatic:
        """One that knows nothing of the first, as after a restart."""
        return Animatic(self.box, self.drawings, self.scratch, self.clock)

    def image(self, colour: str, role: Role) -> InputMedia:
        content = io.BytesIO()
        Image.new("RGB", (96, 64), colour).save(content, "PNG")
        return self.media(content.getvalue(), role)

    def media(self, content: bytes, role: Role) -> InputMedia:
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return InputMedia(
            role=role, key=digest, content_type="application/octet-stream", size_bytes=len(content), sha256=digest
        )

    async def read_media(self, media: InputMedia) -> bytes:
        return self.files[media.key]

    async def submit(
        self,
        model_id: str,
        request: VideoRequest = TINY,
        attempt_id: str = "att_1",
        credential: Credential = NO_CREDENTIAL,
    ) -> Submission:
        return await self.adapter.submit(
            catalogued(model_id),
            request,
            attempt_id=attempt_id,
            credential=credential,
            read_media=self.read_media,
        )

    async def poll(self, handle: Handle) -> Progress:
        return await self.adapter.poll(handle, credential=NO_CREDENTIAL)

    async def until_ended(
        self, handle: Handle, saw: Callable[[Working], None] = lambda progress: None
    ) -> Done | Failed:
        while isinstance(progress := await self.poll(handle), Working):
            saw(progress)
            await asyncio.sleep(0.01)
        return progress

    async def until_written(self, name: str) -> None:
        while True:
            if await asyncio.to_thread((self.scratch / name).exists):
                return
            await asyncio.sleep(0.01)

    async def fetched(self, handle: Handle, done: Done) -> bytes:
        chunks = [chunk async for chunk in self.adapter.fetch(handle, done.outputs[0], credential=NO_CREDENTIAL)]
        return b"".join(chunks)


def catalogued(model_id: str) -> Model:
    """The model as our catalogue file has it."""
    model = shipped_catalogue().find("animatic", model_id)
    assert model is not None
    return model
