"""A poster frame for a video: made in a child process when somebody first asks for it, then kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing
from io import BytesIO

from rushes.decoding.frames import upright
from rushes.errors import OutputInvalid, StorageUnavailable
from rushes.media.storage import Storage
from rushes.offload import Offload

LONGEST_SIDE = 640
LARGEST_BYTES = 1024 * 1024
AT_FRACTION = 0.1
"""The very first frame is often black or a fade."""


class Posters:
    """Poster frames as JPEG, at most 640 pixels a side."""

    def __init__(self, storage: Storage, offload: Offload) -> None:
        self._storage = storage
        self._offload = offload
        self._being_made: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, key: str, video_key: str) -> bytes:
        """The poster kept under `key`, made from the video if need be; callers at one time share the making.

        Raises FileNotFoundError if the video is gone, OutputInvalid if it has no frame, StorageUnavailable.
        """
        try:
            async with aclosing(self._storage.open(key)) as chunks:
                return b"".join([chunk async for chunk in chunks])
        except FileNotFoundError:
            pass
        making = self._being_made.get(key)
        if making is None:
            making = asyncio.create_task(self._make(key, video_key))
            self._being_made[key] = making
            making.add_done_callback(lambda _task: self._being_made.pop(key, None))
        # Shielded, so that one caller who leaves does not spoil it for the others.
        return await asyncio.shield(making)

    async def _make(self, key: str, video_key: str) -> bytes:
        try:
            async with self._storage.on_disk(video_key) as path:
                poster = await self._offload.run(draw_poster, str(path))
        except BrokenProcessPool as exc:
            raise StorageUnavailable("The poster could not be made, because the process that does died") from exc
        await self._storage.put(key, _once(poster), max_bytes=LARGEST_BYTES)
        return poster


def draw_poster(path: str) -> bytes:
    """A frame from a tenth into the video, as JPEG; for a child process. Raises FileNotFoundError, OutputInvalid."""
    import av

    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            if container.duration:
                container.seek(int(container.duration * AT_FRACTION))
            frame = next(container.decode(stream))
            image = upright(frame, stream)
    except (av.FFmpegError, IndexError, StopIteration) as exc:
        if isinstance(exc, FileNotFoundError):
            raise FileNotFoundError(path) from exc
        raise OutputInvalid("The video has no frame that could be its poster") from exc
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    content = BytesIO()
    image.convert("RGB").save(content, "JPEG", quality=82)
    return content.getvalue()


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content
