"""The one file of a multipart/form-data body, streamed: nothing but the chunk at hand is held."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from rushes.errors import FieldError, InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_FIELD_BYTES = 64 * 1024
"""Parts that are no file are passed over; so much of them, and no more."""


async def file_of(content_type: str, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The bytes of the part that is a file. Raises InvalidRequest if there is not exactly one, or it is not whole."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _malformed("its Content-Type names no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        async for chunk in body:
            parser.write(chunk)
            for piece in parts.taken():
                yield piece
    except FormParserError as exc:
        raise _malformed("its parts cannot be told apart") from exc
    if parts.files == 0:
        raise _malformed("it has no file; send one part with a file name")
    if not parts.ended:
        raise _malformed("it ended before its last boundary")


class _Parts:
    """What the parser reports, and the file's pieces that wait to be taken."""

    def __init__(self) -> None:
        self.files = 0
        self.ended = False
        self._is_file = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._passed_over_bytes = 0
        self._pieces: list[bytes] = []

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def taken(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin(self) -> None:
        self._disposition = b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._is_file = b"filename" in options or options.get(b"name") == b"file"
        if self._is_file:
            self.files += 1
            if self.files > 1:
                raise _malformed("it has more than one file; upload one at a time")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pieces.append(data[start:end])
            return
        self._passed_over_bytes += end - start
        if self._passed_over_bytes > MOST_FIELD_BYTES:
            raise _malformed(f"its parts besides the file are larger than {MOST_FIELD_BYTES} bytes")

    def _end(self) -> None:
        self.ended = True


def _malformed(trouble: str) -> InvalidRequest:
    return InvalidRequest(f"The multipart body cannot be read: {trouble}", [FieldError("file", trouble)])
