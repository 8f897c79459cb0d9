"""Where finished videos and inputs are kept: the interface that every kind of storage implements."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol


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
        StorageUnavailable if it cannot be read. Whoever stops early must `aclose()` it.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove a file; no error if it is gone."""
        ...
