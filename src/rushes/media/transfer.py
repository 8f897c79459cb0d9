"""Copies stored files from one storage into another of either kind, and compares each by its SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rushes.errors import StorageUnavailable
from rushes.media.storage import Storage, is_key

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


@dataclass(slots=True)
class Listed:
    """What a storage holds."""

    foreign: list[str] = field(default_factory=list)
    """Names that no file of a service has. These files came another way, and they are not carried."""

    async def files(self, storage: ListedStorage) -> AsyncIterator[tuple[str, int]]:
        """The key and the size in bytes of each file that a service may have stored. Raises StorageUnavailable."""
        async for key, size_bytes in storage.files():
            if is_key(key):
                yield key, size_bytes
            else:
                self.foreign.append(key)


async def carry_files(source: ListedStorage, target: ListedStorage, carried: Callable[[Carried], None]) -> list[str]:
    """Let the target hold every file of the source, read back and compared, and call `carried` with each.

    Files that are there already are only compared. Returns the names of files that are not a service's. Raises
    StorageUnavailable, which says at which side and with which file, also if one differs after it was written.
    """
    listed = Listed()
    with _told("the target's files cannot be listed"):
        there = {key async for key, _ in target.files()}
    waiting: asyncio.Queue[str | None] = asyncio.Queue(maxsize=AT_ONCE)

    async def carry() -> None:
        while (key := await waiting.get()) is not None:
            carried(await _carry(source, target, key, key in there))

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(carry())
            with _told("the source's files cannot be listed"):
                async for key, _ in listed.files(source):
                    await waiting.put(key)
            for _ in range(AT_ONCE):
                await waiting.put(None)
    except ExceptionGroup as group:
        # Each says enough alone, and there is one cause as a rule.
        raise group.exceptions[0] from None
    return listed.foreign


async def _carry(source: ListedStorage, target: ListedStorage, key: str, is_there: bool) -> Carried:
    reading = f"'{key}' cannot be read from the source"
    reading_back = f"'{key}' cannot be read back from the target"
    if is_there:
        ours, theirs = await _digest(source, key, reading), await _digest(target, key, reading_back)
        if ours == theirs:
            return Carried(key, ours[0], ours[1])
    async with aclosing(_chunks(source, key, reading)) as chunks:
        with _told(f"'{key}' cannot be written to the target"):
            written = await target.put(key, chunks, max_bytes=UNLIMITED)
    if await _digest(target, key, reading_back) != (written.size_bytes, written.sha256):
        raise StorageUnavailable(f"the file '{key}' reads back differently than it was written")
    return Carried(key, written.size_bytes, written.sha256)


async def _digest(storage: Storage, key: str, doing: str) -> tuple[int, str]:
    hasher, size_bytes = hashlib.sha256(), 0
    async with aclosing(_chunks(storage, key, doing)) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk)
            await asyncio.to_thread(hasher.update, chunk)
    return size_bytes, hasher.hexdigest()


async def _chunks(storage: Storage, key: str, doing: str) -> AsyncGenerator[bytes, None]:
    with _told(doing):
        async with aclosing(storage.open(key)) as chunks:
            async for chunk in chunks:
                yield chunk


class _ToldError(StorageUnavailable):
    """A trouble that names its side already."""


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Say in the error of a storage what was being done: there are two of them, and many files."""
    try:
        yield
    except _ToldError:
        raise
    except StorageUnavailable as exc:
        raise _ToldError(f"{doing}: {exc.message}") from exc
    except FileNotFoundError as exc:
        raise _ToldError(f"{doing}: it was removed meanwhile") from exc
