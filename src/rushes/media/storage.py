"""Where finished videos and inputs are kept: the interface that every kind of storage implements."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rushes.errors import BodyTooLarge

WRITE_BYTES = 512 * 1024
"""About as much is handed to a thread at once: less costs more turns than it saves memory."""
JOINED_BYTES = 64 * 1024
"""Smaller chunks are copied into one; copying larger ones would cost as much as writing them."""
READ_BYTES = 256 * 1024
HASHED_AT_ONCE = 2
"""Batches that threads hash at the same time: each computes without pause, and the event loop needs a core, too."""

ABANDON_S = 3.0

# No segment begins with a dot: that keeps out `.`, `..` and what a storage keeps for itself.
_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_LONGEST_KEY = 1000

T = TypeVar("T")

Batch = Sequence[bytes | bytearray]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file just written: where, how large, and its SHA-256 in lower-case hex."""

    key: str
    size_bytes: int
    sha256: str


class Storage(Protocol):
    """Files by key. A key is a relative path of safe segments, made by us, never by a caller."""

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> StoredFile:
        """Write a file whole or not at all, durably, replacing one of the same key.

        Raises BodyTooLarge past `max_bytes`, StorageUnavailable if the disk is full or cannot be written. Whatever
        `chunks` raises passes through. In each case nothing is left behind.
        """
        ...

    def open(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to (not including) `end`, in chunks; bounded memory whatever the size.

        Raises FileNotFoundError before the first chunk if there is no such file (also where `start` equals `end`),
        StorageUnavailable if it cannot be read. A caller that stops early must `aclose()` it.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove a file; no error if it is gone."""
        ...

    def on_disk(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The file as one on this machine's disk, to be read only, for as long as the context lasts.

        Raises FileNotFoundError, at the latest when the path is opened, and StorageUnavailable.
        """
        ...

    async def link(self, key: str, *, ttl_s: int, content_type: str, disposition: str) -> str | None:
        """A URL at which any client can fetch the file for about `ttl_s`, without us; None if there is no such way.

        Whether the file is there is not looked at. `disposition` is the answer's Content-Disposition.
        """
        ...

    async def check(self) -> None:
        """Raises StorageUnavailable if files cannot be kept now. Returns soon, however slow the storage is."""
        ...


def segments_of(key: str) -> list[str]:
    """The parts of a key between its slashes. Raises ValueError for a key that could lead elsewhere."""
    if not is_key(key):
        raise ValueError(f"The storage key {key[:200]!r} must be a relative path of letters, digits, '.', '_' and '-'.")
    return key.split("/")


def is_key(text: str) -> bool:
    """Whether a file could be kept under this key. What lies in a storage under another name is not ours."""
    return len(text) <= _LONGEST_KEY and all(_SEGMENT.fullmatch(segment) for segment in text.split("/"))


def assert_range(start: int, end: int | None) -> None:
    """Raises ValueError for a range that ends before it starts."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"There are no bytes from {start} to {end}.")


async def pass_on(
    chunks: AsyncIterator[bytes], max_bytes: int, take: Callable[[Batch], Coroutine[object, object, None]]
) -> None:
    """Hand `chunks`, of whatever size, to `take` in batches of about half a mebibyte; there is at least one batch.

    While `take` works on one batch the next one is collected, and no more than that: the sender waits for us.
    When it is over, however it ends, no `take` is still under way. Raises BodyTooLarge past
    `max_bytes`, and whatever `chunks` and `take` raise.
    """
    taking: asyncio.Task[None] | None = None
    try:
        async with aclosing(_batches(chunks, max_bytes)) as batches:
            async for batch in batches:
                if taking is not None:
                    await taking
                taking = asyncio.create_task(take(batch))
        if taking is not None:
            await taking
    except BaseException:
        if taking is not None:
            taking.add_done_callback(_overlook)
            taking.cancel()
            await asyncio.wait([taking])
        raise


async def to_its_end(work: Awaitable[T]) -> T:
    """Wait for it also when we are cancelled: what it uses must not be taken away, and what it made not forgotten."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=ABANDON_S)
        task.add_done_callback(_overlook)
        raise


async def _batches(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[Batch, None]:
    size_bytes = batch_bytes = 0
    batch: list[bytes | bytearray] = []
    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise BodyTooLarge(f"The file is larger than the {max_bytes} bytes allowed.")
        if len(chunk) >= JOINED_BYTES:
            batch.append(chunk)
        elif batch and isinstance(batch[-1], bytearray):
            batch[-1] += chunk
        else:
            batch.append(bytearray(chunk))
        batch_bytes += len(chunk)
        if batch_bytes >= WRITE_BYTES:
            yield batch
            batch, batch_bytes = [], 0
    yield batch


def _overlook(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
