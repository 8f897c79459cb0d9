"""Videos as base64 inside a JSON reply, far too large to hold: taken out of it piece by piece as they arrive."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from rushes.errors import ProviderUnavailable

END_OR_ESCAPE: Final = re.compile(rb'["\\]')
# JSON may write any character so; of those in base64, some servers write these.
ESCAPED: Final = re.compile(rb"\\(?:u00(2[bBfF]|3[dD])|(/))")


class FieldSieve:
    """Follows a JSON document and takes out the values of one field.

    What it keeps is the same document with each of these values replaced by its number, the first one's being "0";
    an empty value stays empty. Of the value numbered `wanted` it gives the characters.
    """

    def __init__(self, field: str, wanted: int | None = None) -> None:
        self._field = field.encode()
        self._wanted = wanted
        self._number = -1
        self._in_string = False
        self._in_value = False
        self._is_empty = True
        self._after_backslash = False
        # The beginning of the last string, and of what stands between it and here.
        self._string = b""
        self._gap = b""
        self._kept = bytearray()
        self._taken = bytearray()
        self.is_complete = False
        """Whether the wanted value has been seen to its end."""

    def keep(self, piece: bytes) -> bytes:
        """What of the next piece remains in the document."""
        self._follow(piece)
        self._taken.clear()
        kept = bytes(self._kept)
        self._kept.clear()
        return kept

    def take(self, piece: bytes) -> bytes:
        """What of the next piece belongs to the wanted value."""
        self._follow(piece)
        self._kept.clear()
        taken = bytes(self._taken)
        self._taken.clear()
        return taken

    def _follow(self, piece: bytes) -> None:
        position = 0
        while position < len(piece):
            position = self._inside(piece, position) if self._in_string else self._between(piece, position)

    def _between(self, piece: bytes, start: int) -> int:
        quote = piece.find(b'"', start)
        end = len(piece) if quote < 0 else quote
        self._kept += piece[start:end]
        self._gap = (self._gap + piece[start:end].strip())[:2]
        if quote < 0:
            return end
        self._kept += b'"'
        self._in_string, self._in_value = True, self._string == self._field and self._gap == b":"
        self._string = self._gap = b""
        if self._in_value:
            self._number += 1
            self._is_empty = True
        return quote + 1

    def _inside(self, piece: bytes, start: int) -> int:
        if self._after_backslash:
            self._after_backslash = False
            self._add(piece[start : start + 1])
            return start + 1
        found = END_OR_ESCAPE.search(piece, start)
        end = len(piece) if found is None else found.start()
        self._add(piece[start:end])
        if found is None:
            return end
        if found[0] == b"\\":
            self._after_backslash = True
            self._add(b"\\")
        else:
            self._end_string()
        return end + 1

    def _add(self, content: bytes) -> None:
        if not self._in_value:
            self._kept += content
            self._string = (self._string + content[: len(self._field) + 1])[: len(self._field) + 1]
        elif content:
            if self._is_empty:
                self._kept += str(self._number).encode()
            self._is_empty = False
            if self._number == self._wanted:
                self._taken += content

    def _end_string(self) -> None:
        self._in_string = False
        self._kept += b'"'
        if self._in_value:
            self._string = b""
            if self._number == self._wanted:
                self.is_complete = True


class Base64Pieces:
    """Decodes base64 that comes in pieces of any length. Raises ValueError for what is not base64."""

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, piece: bytes) -> bytes:
        """The bytes that the pieces so far make, less those already given."""
        characters = self._rest + piece
        if b"\\" in characters:
            characters = ESCAPED.sub(_unescaped, characters)
        # A backslash that is left begins an escape whose end is still to come.
        backslash = characters.find(b"\\")
        usable = len(characters) if backslash < 0 else backslash
        usable -= usable % 4
        self._rest = characters[usable:]
        if len(self._rest) > 8:
            raise ValueError("an escape that base64 has no use for")
        return base64.b64decode(characters[:usable], validate=True)

    def end(self) -> None:
        """Make sure that nothing is left over."""
        if self._rest:
            raise ValueError("base64 that breaks off")


async def video_in(reply: AsyncGenerator[bytes, None], *, field: str, number: int) -> AsyncGenerator[bytes, None]:
    """The bytes of the video that is value number `number` of `field` in a JSON reply, which is read no further.

    Raises ProviderUnavailable if it is not there whole.
    """
    sieve, pieces = FieldSieve(field, wanted=number), Base64Pieces()
    try:
        async with aclosing(reply):
            async for piece in reply:
                if content := pieces.decode(sieve.take(piece)):
                    yield content
                if sieve.is_complete:
                    break
        pieces.end()
    except ValueError as exc:
        raise ProviderUnavailable("the video in Google's answer is not base64") from exc
    if not sieve.is_complete:
        raise ProviderUnavailable("Google's answer no longer holds the video")


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)]) if found[1] is not None else found[2]
