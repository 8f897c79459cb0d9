"""Base64 as callers write it, decoded piece by piece, so that neither the event loop nor memory feels a large one."""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from rushes.errors import FieldError, InvalidRequest

PIECE_CHARS = 512 * 1024
"""Decoded in about two milliseconds, during which nothing else can run."""

_DATA_URL_HEAD = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_LONGEST_HEAD_CHARS = 1024
_STANDARD = bytes.maketrans(b"-_", b"+/")
_WHITE_SPACE = b" \t\r\n"
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "video/mov": "video/quicktime"}


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """A file as base64 text that begins at `start`; `declared_type` is what a data URL claims it to be."""

    text: str
    start: int = 0
    declared_type: str | None = None


def read_data_url(text: str, field: str) -> EncodedFile:
    """The file inside a data URL. Raises InvalidRequest if it has no head, or is not base64."""
    head = _DATA_URL_HEAD.match(text[:_LONGEST_HEAD_CHARS])
    if head is None or not head[2].lower().endswith(";base64"):
        raise malformed(field, "must be a data URL of the form data:image/png;base64,...")
    declared = head[1].strip().lower()
    anything = declared in ("", "application/octet-stream", "binary/octet-stream")
    return EncodedFile(text, head.end(), None if anything else _ALIASES.get(declared, declared))


async def decode(file: EncodedFile, field: str) -> AsyncGenerator[bytes, None]:
    """The file's bytes. Both alphabets (+/ and -_) and line breaks are taken, and the padding may be left out.

    Raises InvalidRequest naming `field` for anything else.
    """
    rest = b""
    for start in range(file.start, len(file.text), PIECE_CHARS):
        piece, rest = await asyncio.to_thread(_decode_piece, file.text, start, rest, field)
        if piece:
            yield piece
    yield _decode_end(rest, field)


def malformed(field: str, message: str) -> InvalidRequest:
    """The error for a value that cannot be read."""
    return InvalidRequest(f"{field}: {message}", [FieldError(field, message)])


def _decode_piece(text: str, start: int, before: bytes, field: str) -> tuple[bytes, bytes]:
    """What the piece decodes to, and the characters that need the next one to be decoded."""
    try:
        piece = text[start : start + PIECE_CHARS].encode("ascii")
    except UnicodeEncodeError as exc:
        raise _not_base64(field) from exc
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
