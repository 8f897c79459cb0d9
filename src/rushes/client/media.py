"""Media for a generation: a URL as it is, a small file inside the request, a large one uploaded first."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

from rushes.client.client import Client

LARGEST_INLINE_BYTES = 8 * 1024**2
MOST_INLINE_BYTES = 32 * 1024**2
"""Of all files together, so that the request stays well below what a service reads (64 MiB, as base64)."""

_URL = re.compile(r"(https?://|data:)", re.IGNORECASE)


class MediaSender:
    """Turns what a person names (a file or a URL) into what a generation takes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inline_bytes = 0

    async def value_of(self, named: str) -> str:
        """The field's value. Raises OSError for a file that cannot be read, and the errors of an upload."""
        if _URL.match(named):
            return named
        path = Path(named)
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        if size_bytes > LARGEST_INLINE_BYTES or self._inline_bytes + size_bytes > MOST_INLINE_BYTES:
            return await self._client.upload(path)
        self._inline_bytes += size_bytes
        return base64.b64encode(await asyncio.to_thread(path.read_bytes)).decode("ascii")
