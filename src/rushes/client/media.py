"""Media of a generation: text is sent as it is, a small file in the request, a large file by an upload before."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rushes.client.options import MEDIA, GenerationOptions, Medium

LARGEST_INLINE_BYTES = 8 * 1024**2
MOST_INLINE_BYTES = 32 * 1024**2
"""Of all files of one request, so that it stays below the 64 MiB that a service accepts, as base64."""

Upload = Callable[[Path], Awaitable[str]]


async def with_media(options: GenerationOptions, upload: Upload) -> dict[str, Any]:
    """The options with every file as text. Raises OSError for a file that cannot be read, and errors of `upload`."""
    sender = _Sender(upload)
    sent: dict[str, Any] = dict(options)
    for name in MEDIA:
        match sent.get(name):
            case Path() as file:
                sent[name] = await sender.text_of(file)
            case list() | tuple() as several:
                sent[name] = [await sender.text_of(one) for one in several]
    return sent


class _Sender:
    """Counts the bytes of the files in one request."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._inline_bytes = 0

    async def text_of(self, medium: Medium) -> str:
        if isinstance(medium, str):
            return medium
        size_bytes = (await asyncio.to_thread(medium.stat)).st_size
        if size_bytes > LARGEST_INLINE_BYTES or self._inline_bytes + size_bytes > MOST_INLINE_BYTES:
            return await self._upload(medium)
        self._inline_bytes += size_bytes
        return base64.b64encode(await asyncio.to_thread(medium.read_bytes)).decode("ascii")
