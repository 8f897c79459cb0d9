"""Storage and measuring in memory, in trouble now and then, for the real `OutputStore` and the real `Cleaner`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from rushes.decoding.box import Box
from rushes.errors import OutputInvalid, StorageUnavailable
from rushes.media.decoder import Decoder
from rushes.media.local import LocalStorage
from rushes.media.probe import VideoFacts
from rushes.media.storage import StoredFile
from rushes.shared_places import SharedPlaces
from tests.simulation.faults import Chance, Fault
from tests.simulation.process import Process

FACTS = VideoFacts(width=640, height=360, duration_s=2.0, content_type="video/mp4", codec="h264")


class SimulatedStorage(LocalStorage):
    """Files as one process sees them; `files` are shared, and a file is there whole or not at all."""

    def __init__(self, files: dict[str, bytes], process: Process, chance: Chance) -> None:
        super().__init__(Path("/"))
        self._files = files
        self._process = process
        self._chance = chance

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> StoredFile:
        content = b"".join([chunk async for chunk in chunks])
        if self._chance.happens(0.3):
            await asyncio.sleep(self._chance.between(0.1, 6))
        await self._process.gate("before a file is stored")
        if self._chance.strikes(Fault.STORAGE_FULL, 0.08):
            raise StorageUnavailable("The media storage is full.")
        self._files[key] = content
        await self._process.gate("after a file is stored")
        return StoredFile(key, len(content), hashlib.sha256(content).hexdigest())

    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        await self._process.gate("before a file is read")
        if key not in self._files:
            raise FileNotFoundError(key)
        yield self._files[key][start:end]

    async def delete(self, key: str) -> None:
        await self._process.gate("before a file is deleted")
        if self._chance.strikes(Fault.STORAGE_FULL, 0.05):
            raise StorageUnavailable("The media storage reports a disk error.")
        self._files.pop(key, None)
        await self._process.gate("after a file is deleted")


class SimulatedDecoder(Decoder):
    """Says of every file whether it is a video."""

    def __init__(self, storage: SimulatedStorage, files: dict[str, bytes], process: Process, chance: Chance) -> None:
        super().__init__(storage, Box(), SharedPlaces())
        self._files = files
        self._process = process
        self._chance = chance

    async def measure(self, key: str, account_id: str) -> VideoFacts:
        if self._chance.happens(0.3):
            await asyncio.sleep(self._chance.between(0.1, 6))
        await self._process.gate("before a file is measured")
        if self._chance.strikes(Fault.MEASURING_DIES, 0.04):
            raise OutputInvalid("The provider's file cannot be decoded: it ends the process that decodes it.")
        if not self._files.get(key, b"").startswith(b"video "):
            raise OutputInvalid("The provider's file is not a video")
        return FACTS
