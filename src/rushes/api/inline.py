"""Videos inside the answer: `b64_json`, streamed, so that memory stays bounded whatever their size."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.responses import StreamingResponse

from rushes.domain.output import StoredVideo
from rushes.media.storage import Storage


class InlineVideos:
    """The videos of one answer. Their bytes are written into its text only while it is sent."""

    def __init__(self, storage: Storage, videos: Sequence[StoredVideo]) -> None:
        self._storage = storage
        self._videos = videos
        # No client can guess the mark, so no prompt can hold a slot.
        self._mark = secrets.token_hex(16)

    def slot(self, index: int) -> str:
        """What stands in the answer's text where the base64 of video `index` will be."""
        return f"{self._mark}:{index}:"

    async def check(self) -> None:
        """Raises FileNotFoundError if a file is gone, while something else can still be answered."""
        for video in self._videos:
            async with aclosing(self._storage.open(video.key, start=0, end=0)) as nothing:
                await anext(nothing, b"")

    async def response(self, text: str) -> StreamingResponse:
        """`text` with every slot filled. Raises FileNotFoundError before anything is sent if a file is gone."""
        await self.check()
        pieces = self._pieces(text)
        length = sum(len(piece.encode()) for piece in pieces[::2])
        length += sum(_base64_length(self._videos[int(number)].size_bytes) for number in pieces[1::2])
        return StreamingResponse(
            self._filled(pieces), media_type="application/json", headers={"Content-Length": str(length)}
        )

    def chunks(self, text: str) -> AsyncGenerator[bytes, None]:
        """`text` with every slot filled, piece by piece."""
        return self._filled(self._pieces(text))

    def _pieces(self, text: str) -> Sequence[str]:
        # Odd pieces are the numbers between the marks.
        return re.split(f"{self._mark}:([0-9]+):", text)

    async def _filled(self, pieces: Sequence[str]) -> AsyncGenerator[bytes, None]:
        for place, piece in enumerate(pieces):
            if place % 2 == 0:
                yield piece.encode()
                continue
            async with aclosing(self._storage.open(self._videos[int(piece)].key)) as chunks:
                rest = b""
                async for chunk in chunks:
                    # Only whole groups of three bytes, so that pieces encoded one by one make one base64 text.
                    waiting = rest + chunk
                    whole = len(waiting) - len(waiting) % 3
                    rest = waiting[whole:]
                    yield await asyncio.to_thread(base64.b64encode, waiting[:whole])
                yield base64.b64encode(rest)


def _base64_length(size_bytes: int) -> int:
    return 4 * ((size_bytes + 2) // 3)
