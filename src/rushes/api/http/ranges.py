"""A stored file as an HTTP answer: ranges, conditions and validators of RFC 9110, streamed in bounded memory."""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rushes.accounts.revocations import KeyWatch
from rushes.api.http.request_line import is_head
from rushes.media.storage import Storage
from rushes.shared_places import Holding, SharedPlace

# A number of more digits than any size has makes the header malformed; Python refuses to read endless ones.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,100})-([0-9]{0,100})[ \t]*", re.IGNORECASE)
_ETAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A stored file and what its headers say of it; `filename` is the name under which a browser would save it."""

    key: str
    size_bytes: int
    sha256: str
    content_type: str
    filename: str
    last_modified: datetime

    @property
    def etag(self) -> str:
        """The validator: strong, as the content has but one SHA-256."""
        return f'"{self.sha256}"'

    @property
    def disposition(self) -> str:
        """The Content-Disposition: shown in place, and saved under the filename."""
        quoted = quote(self.filename)
        if quoted == self.filename:
            return f'inline; filename="{self.filename}"'
        return f"inline; filename*=utf-8''{quoted}"


class Part(NamedTuple):
    """The bytes from `start` up to (not including) `end`."""

    start: int
    end: int


class Sending(NamedTuple):
    """Where one more answer has to find room, for whom, and the key without which it ends early."""

    place: SharedPlace
    account_id: str
    key: KeyWatch | None


class NoPart(enum.Enum):
    """Why a Range header names no part."""

    WHOLE = "absent, malformed or several ranges: answer with the whole file"
    UNSATISFIABLE = "well formed, but the file has none of these bytes"


def parse_range(header: str | None, size_bytes: int) -> Part | NoPart:
    """The one part of a file that a Range header asks for."""
    match = _RANGE.fullmatch(header) if header is not None else None
    if match is None or match.group(1, 2) == ("", ""):
        return NoPart.WHOLE
    first, last = match.group(1, 2)
    if first == "":
        suffix_bytes = int(last)
        if suffix_bytes == 0:
            return NoPart.UNSATISFIABLE
        # The whole of an empty file is satisfiable, but no Content-Range can say so.
        return Part(max(size_bytes - suffix_bytes, 0), size_bytes) if size_bytes > 0 else NoPart.WHOLE
    start = int(first)
    if last != "" and int(last) < start:
        return NoPart.WHOLE
    if start >= size_bytes:
        return NoPart.UNSATISFIABLE
    return Part(start, size_bytes if last == "" else min(int(last) + 1, size_bytes))


async def ranged_response(
    request: Request,
    storage: Storage,
    file: ServedFile,
    extra_headers: Mapping[str, str] | None = None,
    sending: Sending | None = None,
) -> Response:
    """The answer to a GET or HEAD of a stored file: 200, 206, 304 or 416.

    Several ranges are answered with the whole file. The file is opened before this returns: FileNotFoundError and
    StorageUnavailable are raised here, where the route can still answer with an error. So are AccountBusy and
    Overloaded, where `sending` finds no room.
    """
    etag = file.etag
    headers = {
        **(extra_headers or {}),
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": format_datetime(file.last_modified.astimezone(UTC), usegmt=True),
        "X-Content-Type-Options": "nosniff",
    }
    if is_unchanged(request.headers, file):
        await _assert_stored(storage, file.key)
        return Response(status_code=304, headers=headers)

    wanted: Part | NoPart = NoPart.WHOLE
    if not is_head(request.scope) and _may_be_partial(request.headers, etag, headers["Last-Modified"]):
        wanted = parse_range(request.headers.get("Range"), file.size_bytes)
    if wanted is NoPart.UNSATISFIABLE:
        await _assert_stored(storage, file.key)
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{file.size_bytes}"})

    part = wanted if isinstance(wanted, Part) else Part(0, file.size_bytes)
    headers["Content-Type"] = file.content_type
    headers["Content-Length"] = str(part.end - part.start)
    headers["Content-Disposition"] = file.disposition
    if isinstance(wanted, Part):
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{file.size_bytes}"
    status = 206 if isinstance(wanted, Part) else 200
    if is_head(request.scope):
        await _assert_stored(storage, file.key)
        return Response(status_code=status, headers=headers)
    holding = None if sending is None else sending.place.take(sending.account_id)
    try:
        chunks = storage.open(file.key, start=part.start, end=part.end)
        first = await anext(chunks, b"")
    except BaseException:
        if holding is not None:
            holding.release()
        raise
    return _FileResponse(first, chunks, status, headers, holding, None if sending is None else sending.key)


class _FileResponse(Response):
    """Sends chunks as the client takes them, and closes their source however the answer ends."""

    def __init__(
        self,
        first: bytes,
        chunks: AsyncGenerator[bytes, None],
        status_code: int,
        headers: Mapping[str, str],
        holding: Holding | None,
        key: KeyWatch | None,
    ) -> None:
        super().__init__(status_code=status_code, headers=headers)
        self._first = first
        self._chunks = chunks
        self._holding = holding
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with nullcontext() if self._key is None else self._key:
                await self._send_all(scope, receive, send)
        finally:
            if self._holding is not None:
                self._holding.release()

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A server may take what we send after the client has left without a word, so we watch for that ourselves.
        gone = asyncio.create_task(_disconnected(receive))
        revoked = None if self._key is None else asyncio.create_task(_cut(self._key, scope))
        try:
            async with aclosing(self._chunks):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                chunk, self._first = self._first, b""
                while chunk and not gone.done():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    chunk = await anext(self._chunks, b"")
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            if revoked is not None:
                revoked.cancel()


async def _cut(key: KeyWatch, scope: Scope) -> None:
    """Cut the connection when the key becomes invalid: no other end would say that the file is not whole."""
    await key.until_over()
    scope["state"]["cut"]()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _assert_stored(storage: Storage, key: str) -> None:
    """Raise FileNotFoundError for a file that is gone, by opening none of its bytes."""
    async with aclosing(storage.open(key, start=0, end=0)) as nothing:
        await anext(nothing, b"")


def is_unchanged(headers: Headers, file: ServedFile) -> bool:
    """Whether the client has this very file already, by what its request says."""
    if_none_match = headers.get("If-None-Match")
    if if_none_match is not None:
        return if_none_match.strip() == "*" or file.etag in _ETAG.findall(if_none_match)
    if_modified_since = headers.get("If-Modified-Since")
    if if_modified_since is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
    except (ValueError, OverflowError):
        return False
    return since.tzinfo is not None and file.last_modified.replace(microsecond=0) <= since


def _may_be_partial(headers: Headers, etag: str, last_modified: str) -> bool:
    """Whether If-Range lets a Range count: absent, or exactly our validator (a weak one never matches)."""
    if_range = headers.get("If-Range")
    return if_range is None or if_range.strip() in (etag, last_modified)
