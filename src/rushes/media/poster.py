"""A poster frame for a video: made when it is first asked for, and then kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rushes.media.decoder import MOST_POSTER_BYTES, Decoder
from rushes.media.storage import Storage


class Posters:
    """Poster frames as JPEG, at most 640 pixels a side, upright and with square pixels."""

    def __init__(self, storage: Storage, decoder: Decoder) -> None:
        self._storage = storage
        self._decoder = decoder
        self._being_made: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, key: str, video_key: str, account_id: str) -> bytes:
        """The poster kept under `key`, made from the account's video if need be; requests at one time share the work.

        Raises FileNotFoundError if the video is gone, OutputInvalid if it has no frame, and whatever
        `Decoder.poster` raises.
        """
        try:
            async with aclosing(self._storage.open(key)) as chunks:
                return b"".join([chunk async for chunk in chunks])
        except FileNotFoundError:
            pass
        making = self._being_made.get(key)
        if making is None:
            making = asyncio.create_task(self._make(key, video_key, account_id))
            self._being_made[key] = making
            making.add_done_callback(lambda task: self._made(key, task))
        # Shielded, so that one client that leaves does not end it for the others.
        return await asyncio.shield(making)

    def _made(self, key: str, task: asyncio.Task[bytes]) -> None:
        self._being_made.pop(key, None)
        if not task.cancelled():
            # Every client may have left, and an error that is never read is reported as forgotten.
            task.exception()

    async def _make(self, key: str, video_key: str, account_id: str) -> bytes:
        poster = await self._decoder.poster(video_key, account_id)
        await self._storage.put(key, _once(poster), max_bytes=MOST_POSTER_BYTES)
        return poster


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content
