"""Base64 as callers write it, decoded piece by piece, so that neither the event loop nor memory feels a large one."""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import AsyncGenerator, Iterator
from urllib.parse import unquote_to_bytes

from rushes.errors import FieldError, InvalidRequest

PIECE_CHARS = 512 * 1024
"""Decoded in about two milliseconds, during which nothing else can run."""

_DATA_URL = re.compile(r"[\x00-\x20]*data:", re.IGNORECASE)
_BASE64_END = re.compile(r";[ ]*base64$", re.IGNORECASE)
_LONGEST_HEAD_CHARS = 1024
_STANDARD = bytes.maketrans(b"-_", b"+/")
_WHITE_SPACE = b" \t\r\n\f"


def is_data_url(text: str) -> bool:
    """Whether it begins as a data URL does; blanks before it count for nothing."""
    return _DATA_URL.match(text[:_LONGEST_HEAD_CHARS]) is not None


async def decode_data_url(text: str, field: str) -> AsyncGenerator[bytes, None]:
    """The bytes inside a data URL, as the Fetch standard reads it (fetch.spec.whatwg.org, "data: URL processor").

    The type that it claims is not looked at: the bytes say what they are. Raises InvalidRequest naming `field`.
    """
    fragment = text.find("#")
    if fragment >= 0:
        # It is no part of what the URL leads to.
        text = text[:fragment]
    begin = _DATA_URL.match(text[:_LONGEST_HEAD_CHARS])
    comma = text.find(",", 0, _LONGEST_HEAD_CHARS)
    if begin is None or comma < 0:
        raise malformed(field, "must be a data URL of the form data:image/png;base64,...")
    head = text[begin.end() : comma].strip(" \t\r\n\f")
    if _BASE64_END.search(head) is not None:
        async for piece in decode(text, field, start=comma + 1, percent_encoded=True):
            yield piece
        return
    for start, end in _cuts(text, comma + 1):
        yield await asyncio.to_thread(_percent_decoded, text, start, end)


async def decode(
    text: str, field: str, *, start: int = 0, percent_encoded: bool = False
) -> AsyncGenerator[bytes, None]:
    """The bytes of base64 text from `start` on.

    Both alphabets (+/ and -_) and white space are taken, and the padding may be left out. Raises InvalidRequest naming
    `field` for anything else.
    """
    rest = b""
    for begin, end in _cuts(text, start):
        piece, rest = await asyncio.to_thread(_decode_piece, text, begin, end, rest, field, percent_encoded)
        if piece:
            yield piece
    yield _decode_end(rest, field)


def malformed(field: str, message: str) -> InvalidRequest:
    """The error for a value that cannot be read."""
    return InvalidRequest(f"{field}: {message}", [FieldError(field, message)])


def _cuts(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Where pieces of the text begin and end; none ends inside a percent-encoded byte."""
    while start < len(text):
        end = min(start + PIECE_CHARS, len(text))
        escape = text.find("%", max(start, end - 2), end)
        if escape >= 0:
            end = escape if escape > start else min(start + 3, len(text))
        yield start, end
        start = end


def _percent_decoded(text: str, start: int, end: int) -> bytes:
    return unquote_to_bytes(text[start:end])


def _decode_piece(
    text: str, start: int, end: int, before: bytes, field: str, percent_encoded: bool
) -> tuple[bytes, bytes]:
    """The decoded piece, and the characters that need the next one to be decoded."""
    try:
        piece = text[start:end].encode("ascii")
    except UnicodeEncodeError as exc:
        raise _not_base64(field) from exc
    if percent_encoded and b"%" in piece:
        piece = unquote_to_bytes(piece)
    piece = before + piece.translate(_STANDARD, _WHITE_SPACE)
    # Padding belongs to the end; whatever holds it waits there, and with it the few characters it may belong to.
    padding = piece.find(b"=")
    whole = (len(piece) if padding < 0 else padding) // 4 * 4
    if len(piece) - whole > 4:
        raise _not_base64(field)
    return _strictly(piece[:whole], field), piece[whole:]


def _decode_end(rest: bytes, field: str) -> bytes:
    return _strictly(rest if b"=" in rest else rest + b"=" * (-len(rest) % 4), field)


def _strictly(text: bytes, field: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as exc:
        raise _not_base64(field) from exc


def _not_base64(field: str) -> InvalidRequest:
    return malformed(field, "must be base64, a data URL, an http(s) URL or the reference of an upload")
