"""Taking a finished video into our keeping: stored whole, hashed, and measured before anybody is told of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing

from rushes.domain.output import StoredVideo
from rushes.errors import BodyTooLarge, OutputInvalid, StorageUnavailable
from rushes.media.probe import probe_video
from rushes.media.storage import Storage
from rushes.offload import Offload

LARGEST_VIDEO_BYTES = 4 * 1024**3


class Custody:
    """Stores what providers deliver, the original bytes unchanged, so that embedded provenance (C2PA) survives."""

    def __init__(self, storage: Storage, offload: Offload) -> None:
        self._storage = storage
        self._offload = offload

    async def keep(self, key: str, chunks: AsyncGenerator[bytes, None]) -> StoredVideo:
        """Store the bytes under `key` and measure the video in them.

        Raises OutputInvalid if they are not a playable video (and keeps nothing), StorageUnavailable if our
        storage cannot take them; what `chunks` raises passes through.
        """
        async with aclosing(chunks):
            try:
                stored = await self._storage.put(key, chunks, max_bytes=LARGEST_VIDEO_BYTES)
            except BodyTooLarge as exc:
                raise OutputInvalid(f"The provider's video is larger than {LARGEST_VIDEO_BYTES} bytes") from exc
        try:
            async with self._storage.on_disk(key) as path:
                facts = await self._offload.run(probe_video, str(path))
        except OutputInvalid:
            await self._storage.delete(key)
            raise
        except FileNotFoundError as exc:
            raise StorageUnavailable("The video was stored, but the media storage does not have it") from exc
        except BrokenProcessPool as exc:
            raise StorageUnavailable("The video could not be measured, because the process that does died") from exc
        return StoredVideo(
            key=key,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            content_type=facts.content_type,
            width=facts.width,
            height=facts.height,
            duration_s=facts.duration_s,
        )
