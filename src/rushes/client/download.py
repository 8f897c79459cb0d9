"""Saves a finished video: fetched by its link, checked, and renamed to its name once it is complete."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import aiohttp

from rushes.client.answers import Video
from rushes.client.errors import AlreadyThere, NotFound, NotWhole, ServiceUnavailable, Unreachable, refused
from rushes.client.http import Http, backoff_s, reason

WRITE_BYTES = 1024**2
ATTEMPTS = 6
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

Received = Callable[[int], None]


async def save_video(
    http: Http, video: Video, target: Path, *, replace: bool = False, on_received: Received | None = None
) -> None:
    """Write the video to `target` durably, after a check of its size and SHA-256. `on_received` gets the bytes so far.

    A cut connection is resumed. Raises NotFound for a video that was deleted, NotWhole, AlreadyThere, Unreachable,
    Refused, OSError. No part of a file stays behind after an error or a cancellation.
    """
    if video.url is None:
        raise NotFound("the service no longer has this video", status=410, code="gone")
    if not replace and await asyncio.to_thread(os.path.lexists, target):
        raise _already_there(target)
    arriving = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        with await asyncio.to_thread(arriving.open, "xb") as file:
            await _receive(http, video, file, on_received or (lambda size_bytes: None))
            await asyncio.to_thread(os.fsync, file.fileno())
        await asyncio.to_thread(_name, arriving, target, replace)
    finally:
        with suppress(FileNotFoundError):
            arriving.unlink()


async def _receive(http: Http, video: Video, file: BinaryIO, on_received: Received) -> None:
    digest = hashlib.sha256()
    for attempt in range(ATTEMPTS):
        try:
            await _read_on(http, video, file, digest, on_received)
            break
        except (Unreachable, ServiceUnavailable) as error:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(backoff_s(attempt, error))
    size_bytes = file.tell()
    if video.size_bytes is not None and size_bytes != video.size_bytes:
        raise NotWhole(f"{size_bytes} bytes arrived, but {video.size_bytes} were announced; no file was written")
    if video.sha256 is not None and digest.hexdigest() != video.sha256:
        raise NotWhole("the bytes that arrived do not have the announced SHA-256; no file was written")


async def _read_on(http: Http, video: Video, file: BinaryIO, digest: hashlib._Hash, on_received: Received) -> None:
    """Fetch the bytes behind those that the file holds."""
    have_bytes = file.tell()
    if have_bytes == video.size_bytes:
        return
    # The link can name another host and needs no key, so the key is not sent. Compressed bytes would be counted
    # wrongly.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have_bytes}-"} if have_bytes else {})}
    try:
        async with http.session.get(video.url or "", headers=headers) as response:
            if response.status not in (200, 206):
                raise refused(
                    response.status,
                    f"the video's link answered {response.status} {response.reason or ''}".rstrip(),
                    code=f"http_{response.status}",
                    request_id=response.headers.get("X-Request-Id"),
                )
            if have_bytes and response.status == 200:
                # A host without ranges sends the whole file again, so the bytes that the file holds are skipped.
                await response.content.readexactly(have_bytes)
            async for chunk in response.content.iter_chunked(WRITE_BYTES):
                await asyncio.to_thread(_write, file, digest, chunk)
                size_bytes = file.tell()
                if video.size_bytes is not None and size_bytes > video.size_bytes:
                    raise NotWhole(f"more than the announced {video.size_bytes} bytes arrived; no file was written")
                on_received(size_bytes)
    except (aiohttp.ClientError, asyncio.IncompleteReadError, TimeoutError) as exc:
        raise Unreachable(f"the video cannot be fetched: {reason(exc)}") from exc
    if video.size_bytes is not None and file.tell() < video.size_bytes:
        raise Unreachable("the video cannot be fetched: the connection was cut")


def _write(file: BinaryIO, digest: hashlib._Hash, chunk: bytes) -> None:
    file.write(chunk)
    digest.update(chunk)


def _name(arrived: Path, target: Path, replace: bool) -> None:
    if replace:
        arrived.replace(target)
    else:
        try:
            # Unlike a rename, a link fails if a file of this name exists by now.
            os.link(arrived, target)
        except FileExistsError:
            raise _already_there(target) from None
        except OSError as exc:
            if exc.errno not in _NO_HARD_LINKS:
                raise
            if os.path.lexists(target):
                raise _already_there(target) from exc
            arrived.replace(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _already_there(target: Path) -> AlreadyThere:
    return AlreadyThere(f"'{target}' exists and was not replaced")
