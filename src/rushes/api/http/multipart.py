"""multipart/form-data as it arrives: part after part, each streamed, nothing but the chunk at hand held."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from rushes.errors import FieldError, InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_FIELD_BYTES = 64 * 1024
"""Parts that are no file are passed over; so much of them, and no more."""

MOST_PARTS = 200

PARSED_AT_ONCE_BYTES = 16 * 1024
"""Of a chunk. A part takes some fifty bytes, and each costs a dozen calls of the parser."""

MEDIA_TYPES = (b"image/", b"video/", b"audio/")

_EXTENDED_FILE_NAME = re.compile(rb";[ \t]*filename\*[ \t]*=", re.IGNORECASE)
"""Spring and others send a name that is not ASCII only so (RFC 5987), and the parser does not report it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form. What of `chunks` is not read is passed over when the next part is asked for."""

    name: str
    is_file: bool
    """Whether it has a file name, plain or as `filename*` (RFC 5987)."""
    chunks: AsyncGenerator[bytes, None] = field(repr=False)
    has_media_type: bool = False
    """Whether it says that it is an image, a video or a sound."""


async def parts_of(content_type: str, body: AsyncIterator[bytes]) -> AsyncGenerator[Part, None]:
    """The parts of a form in the order they arrive, without files that have neither a name nor bytes.

    Raises InvalidRequest if the parts cannot be separated, are more than 200, or the body is not whole.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise malformed("its Content-Type names no boundary")
    events = _Events(body, boundary)
    while (begun := await events.next_begun()) is not None:
        async with aclosing(events.data()) as chunks:
            first = await anext(chunks, b"")
            # A browser's form has such a part where no file was chosen.
            if begun.has_empty_file_name and not first:
                continue
            async with aclosing(_with_first(first, chunks)) as all_chunks:
                yield Part(begun.name, begun.is_file, all_chunks, begun.has_media_type)
            async for _ in chunks:
                pass
    if events.has_begun and not events.ended:
        raise malformed("it ended before its last boundary")


async def file_of(content_type: str, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The bytes of the part that is a file. Raises InvalidRequest if there is not exactly one, or it is not whole."""
    files = 0
    passed_over_bytes = 0
    async with aclosing(parts_of(content_type, body)) as parts:
        async for part in parts:
            is_file = part.is_file or part.has_media_type or part.name == "file"
            files += is_file
            if files > 1 and is_file:
                raise malformed("it has more than one file; upload one at a time")
            async for chunk in part.chunks:
                if is_file:
                    yield chunk
                    continue
                passed_over_bytes += len(chunk)
                if passed_over_bytes > MOST_FIELD_BYTES:
                    raise malformed(f"its parts besides the file are larger than {MOST_FIELD_BYTES} bytes")
    if files == 0:
        raise malformed("it has no file; send one part with a file name")


def malformed(trouble: str) -> InvalidRequest:
    """The refusal of a body that is no form as we can read it."""
    return InvalidRequest(f"The multipart body cannot be read: {trouble}", [FieldError("file", trouble)])


@dataclass(frozen=True, slots=True)
class _Begun:
    name: str
    is_file: bool
    has_empty_file_name: bool
    has_media_type: bool


async def _with_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    if first:
        yield first
        async for chunk in rest:
            yield chunk


class _Events:
    """What the parser reports of each chunk: a part that begins, a piece of it, its end (None)."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        self.ended = False
        self._begun = 0
        self._body = body
        self._waiting: deque[_Begun | bytes | None] = deque()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._content_type = b""
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as exc:
            raise malformed("its boundary is invalid") from exc

    @property
    def has_begun(self) -> bool:
        """Whether there was any part."""
        return self._begun > 0

    async def next_begun(self) -> _Begun | None:
        """The next part, or None when there is no further one."""
        while await self._more():
            event = self._waiting.popleft()
            if isinstance(event, _Begun):
                return event
        return None

    async def data(self) -> AsyncGenerator[bytes, None]:
        """The rest of the part at hand."""
        while await self._more():
            event = self._waiting.popleft()
            if event is None:
                return
            if isinstance(event, bytes):
                yield event

    async def _more(self) -> bool:
        while not self._waiting:
            try:
                chunk = await anext(self._body)
            except StopAsyncIteration:
                return False
            for begin in range(0, len(chunk), PARSED_AT_ONCE_BYTES):
                try:
                    self._parser.write(chunk[begin : begin + PARSED_AT_ONCE_BYTES])
                except FormParserError as exc:
                    raise malformed("its parts cannot be separated") from exc
                if self._begun > MOST_PARTS:
                    raise malformed(f"it has more than {MOST_PARTS} parts")
        return True

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._begun += 1
        self._disposition = self._content_type = b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        elif self._header_name.lower() == b"content-type":
            self._content_type = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        file_name = options.get(b"filename")
        is_file = file_name is not None or _EXTENDED_FILE_NAME.search(self._disposition) is not None
        has_media_type = self._content_type.lower().startswith(MEDIA_TYPES)
        self._waiting.append(_Begun(name, is_file, file_name == b"", has_media_type))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._waiting.append(data[start:end])

    def _part_end(self) -> None:
        self._waiting.append(None)

    def _end(self) -> None:
        self.ended = True
