"""A JSON request body with media in it: the bytes become base64 while they are sent, never as one long string."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

ENCODED_AT_ONCE_BYTES: Final = 192 * 1024
"""A multiple of three, so that the pieces of base64 join without padding."""


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes that stand in a JSON document as a base64 string, after a prefix such as `data:image/png;base64,`."""

    content: bytes
    prefix: str = ""

    def __repr__(self) -> str:
        return f"Inline({len(self.content)} bytes)"

    @property
    def size_bytes(self) -> int:
        """How long it is in the document, without the quotes."""
        return len(self.prefix.encode()) + (len(self.content) + 2) // 3 * 4


class JsonBody:
    """A JSON document to send, its length known beforehand. Iterating again starts anew."""

    def __init__(self, document: object) -> None:
        media: list[Inline] = []
        # Unguessable, so that no text of a caller can be taken for it.
        mark = f"inline-{secrets.token_hex(16)}"

        def placeholder(value: object) -> str:
            if not isinstance(value, Inline):
                raise TypeError(f"{type(value).__name__} is not JSON")
            media.append(value)
            return mark

        text = json.dumps(document, default=placeholder, separators=(",", ":"), allow_nan=False)
        self._between = [piece.encode() for piece in text.split(mark)]
        self._media = media
        self.size_bytes = sum(map(len, self._between)) + sum(item.size_bytes for item in media)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._between[0]
        for item, after in zip(self._media, self._between[1:], strict=True):
            yield item.prefix.encode()
            for start in range(0, len(item.content), ENCODED_AT_ONCE_BYTES):
                yield base64.b64encode(item.content[start : start + ENCODED_AT_ONCE_BYTES])
            yield after
