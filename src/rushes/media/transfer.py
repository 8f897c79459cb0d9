"""Copies stored files from one storage into another of either kind, and compares each by its SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from rushes.errors import StorageUnavailable
from rushes.media.storage import Storage

AT_ONCE = 8
UNLIMITED = 1 << 62


class ListedStorage(Storage, Protocol):
    """A storage that can tell what it holds."""

    def files(self) -> AsyncIterator[tuple[str, int]]:
        """The key and the size in bytes of every stored file, in no order. Raises StorageUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Carried:
    """One file that both storages hold now."""

    key: str
    size_bytes: int
    sha256: str


async def carry_files(source: ListedStorage, target: ListedStorage, carried: Callable[[Carried], None]) -> None:
    """Let the target hold every file of the source, read back and compared, and call `carried` with each.

    Files that are there already are only compared. Raises StorageUnavailable, also if a file differs after it was
    written.
    """
    there = {key async for key, _ in target.files()}
    waiting: asyncio.Queue[str | None] = asyncio.Queue(maxsize=AT_ONCE)

    async def carry() -> None:
        while (key := await waiting.get()) is not None:
            carried(await _carry(source, target, key, key in there))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(carry())
        async for key, _ in source.files():
            await waiting.put(key)
        for _ in range(AT_ONCE):
            await waiting.put(None)


async def _carry(source: ListedStorage, target: ListedStorage, key: str, is_there: bool) -> Carried:
    if is_there:
        ours, theirs = await _digest(source, key), await _digest(target, key)
        if ours == theirs:
            return Carried(key, ours[0], ours[1])
    async with aclosing(source.open(key)) as chunks:
        written = await target.put(key, chunks, max_bytes=UNLIMITED)
    if await _digest(target, key) != (written.size_bytes, written.sha256):
        raise StorageUnavailable(f"the file '{key}' reads back differently than it was written")
    return Carried(key, written.size_bytes, written.sha256)


async def _digest(storage: Storage, key: str) -> tuple[int, str]:
    hasher, size_bytes = hashlib.sha256(), 0
    async with aclosing(storage.open(key)) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk)
            await asyncio.to_thread(hasher.update, chunk)
    return size_bytes, hasher.hexdigest()
