"""A multipart/form-data request body with files in it, sent piece by piece and never held as one."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.providers.body import JsonBody

SENT_AT_ONCE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form: text, a JSON document that stands in it as text, or (with a `file_name`) a file."""

    name: str
    content: str | bytes | JsonBody
    file_name: str | None = None
    content_type: str | None = None

    def __repr__(self) -> str:
        return f"Part({self.name})"


class FormBody:
    """A form to send, its length known beforehand. Iterating again starts anew."""

    def __init__(self, parts: Sequence[Part]) -> None:
        # Unguessable, so that no text or file of a caller can end its part early.
        boundary = f"rushes-{secrets.token_hex(16)}"
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts = [(_head(boundary, part), _content(part)) for part in parts]
        self._end = f"--{boundary}--\r\n".encode()
        self.size_bytes = len(self._end) + sum(len(head) + _size_bytes(content) + 2 for head, content in self._parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for head, content in self._parts:
            yield head
            if isinstance(content, JsonBody):
                async for piece in content:
                    yield piece
            else:
                for start in range(0, len(content), SENT_AT_ONCE_BYTES):
                    yield content[start : start + SENT_AT_ONCE_BYTES]
            yield b"\r\n"
        yield self._end


def _head(boundary: str, part: Part) -> bytes:
    lines = [f"--{boundary}", f'Content-Disposition: form-data; name="{_quoted(part.name)}"']
    if part.file_name is not None:
        lines[-1] += f'; filename="{_quoted(part.file_name)}"'
        lines.append(f"Content-Type: {part.content_type or 'application/octet-stream'}")
    return "\r\n".join([*lines, "", ""]).encode()


def _quoted(name: str) -> str:
    # As the HTML standard has it ("multipart/form-data encoding algorithm"): nothing leaves the quotes.
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _content(part: Part) -> bytes | JsonBody:
    return part.content.encode() if isinstance(part.content, str) else part.content


def _size_bytes(content: bytes | JsonBody) -> int:
    return content.size_bytes if isinstance(content, JsonBody) else len(content)
