"""Storage in a directory of this machine."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import itertools
import os
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rushes.errors import StorageUnavailable
from rushes.media.storage import (
    HASHED_AT_ONCE,
    READ_BYTES,
    Batch,
    StoredFile,
    assert_range,
    pass_on,
    segments_of,
    to_its_end,
)
from rushes.media.writeback import begin_writing_back

LEFTOVER_AGE_S = 3600
WRITE_BACK_BYTES = 4 * 1024**2
"""How much of a file waits in memory before its writing to disk begins. All at once would hold up other syncs, too."""

INCOMING = ".incoming"
LISTED_AT_ONCE = 500

_REASONS = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "is over its quota",
    errno.EFBIG: "refuses a file of this size",
    errno.EROFS: "is read-only",
    errno.EACCES: "may not be used by the service's user",
    errno.EPERM: "may not be used by the service's user",
    errno.EIO: "reports a disk error",
}


class LocalStorage:
    """Files below one directory, each written under a temporary name beside them and then renamed.

    Several processes may share the directory. All disk work and hashing runs in threads.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)

    def path(self, key: str) -> Path:
        """Where the file of this key is, or would be; raises ValueError for a key that could leave the directory."""
        return self._root.joinpath(*segments_of(key))

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> StoredFile:
        """Write a file whole or not at all, durably, replacing one of the same key.

        Raises BodyTooLarge, StorageUnavailable and whatever `chunks` raises; then, and when cancelled, nothing is left.
        """
        target = self.path(key)
        incoming = _Incoming(self._root)
        try:
            await pass_on(chunks, max_bytes, lambda batch: self._write(incoming, batch))
            size_bytes, sha256 = await asyncio.to_thread(incoming.keep_as, target)
        except BaseException:
            await _surely(incoming.abandon)
            raise
        return StoredFile(key, size_bytes, sha256)

    def open(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to (not including) `end`, in chunks.

        Raises FileNotFoundError before the first chunk, StorageUnavailable if the disk cannot be read.
        """
        assert_range(start, end)
        return _chunks(_Outgoing(self.path(key), start, end))

    async def delete(self, key: str) -> None:
        """Remove a file; no error if it is gone. Raises StorageUnavailable if it cannot be removed."""
        await asyncio.to_thread(_remove, self.path(key))

    @asynccontextmanager
    async def on_disk(self, key: str) -> AsyncIterator[Path]:
        """The file itself; whether it is there is found by opening it."""
        yield self.path(key)

    async def link(self, key: str, *, ttl_s: int, content_type: str, disposition: str) -> str | None:
        """None: only this service serves the files on its disk."""
        del key, ttl_s, content_type, disposition
        return None

    async def _write(self, incoming: _Incoming, batch: Batch) -> None:
        async with self._hashing:
            await to_its_end(asyncio.to_thread(incoming.write, batch))

    async def check(self) -> None:
        """Raises StorageUnavailable if the directory cannot be written."""
        if not os.access(self._root, os.W_OK):
            raise StorageUnavailable("the directory of the media storage cannot be written")

    async def files(self) -> AsyncIterator[tuple[str, int]]:
        """The key and the size of every file, in no order; no pipes, no links to nowhere. Raises StorageUnavailable."""
        walk = stored_files(self._root)
        try:
            while page := await asyncio.to_thread(_measured, walk):
                for path, size_bytes in page:
                    yield path.relative_to(self._root).as_posix(), size_bytes
        except OSError as exc:
            raise _unavailable(exc) from exc

    async def sweep(self, now_ms: int) -> int:
        """Remove what writers that were killed left behind more than an hour ago; returns how many files."""
        return await asyncio.to_thread(_sweep, self._root / INCOMING, now_ms / 1000 - LEFTOVER_AGE_S)


def stored_files(root: Path) -> Iterator[Path]:
    """Every file that is stored below `root`; what is still arriving is not one, nor is what a dot begins.

    Raises OSError.
    """
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder) / name for name in names if not name.startswith("."))


class _Incoming:
    """A file being written. Each method runs in a thread and holds the lock.

    A cancelled `put` returns to us while its thread still writes, so giving up waits for that write to end: else we
    would close a file descriptor in use, or unlink a name that is created a moment later.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / INCOMING / secrets.token_hex(16)
        self._lock = threading.Lock()
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._written_back_bytes = 0
        self._abandoned = False

    def write(self, batch: Batch) -> None:
        with self._lock:
            try:
                file = self._opened()
                for piece in batch:
                    self._hash.update(piece)
                    file.write(piece)
                self._write_back(file)
            except OSError as error:
                raise _unavailable(error) from error

    def keep_as(self, target: Path) -> tuple[int, str]:
        """Make the file durable and give it its name; returns its size in bytes and its SHA-256 in hex."""
        with self._lock:
            try:
                file = self._opened()
                file.flush()
                os.fsync(file.fileno())
                size_bytes = file.tell()
                file.close()
                _make_directory(target.parent)
                if not self._abandoned:
                    self._path.replace(target)
                    _sync_directory(target.parent)
            except OSError as error:
                raise _unavailable(error) from error
            return size_bytes, self._hash.hexdigest()

    def abandon(self) -> None:
        self._abandoned = True  # before the lock: it stops a `keep_as` that is still flushing
        with self._lock:
            if self._file is not None:
                with suppress(OSError):  # closing flushes, and the disk may be full
                    self._file.close()
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def _write_back(self, file: BinaryIO) -> None:
        waiting_bytes = file.tell() - self._written_back_bytes
        if waiting_bytes >= WRITE_BACK_BYTES:
            begin_writing_back(file.fileno(), self._written_back_bytes, waiting_bytes)
            self._written_back_bytes += waiting_bytes

    def _opened(self) -> BinaryIO:
        if self._file is None:
            if self._abandoned:
                raise OSError(errno.ECANCELED, "The write was given up.")
            _make_directory(self._path.parent)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "wb")
        return self._file


class _Outgoing:
    """A file being read, opened at the first read. The lock lets closing wait for a read under way."""

    def __init__(self, path: Path, start: int, end: int | None) -> None:
        self._path = path
        self._position = start
        self._end = end
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._closed = False

    def read(self) -> bytes:
        """The next chunk, empty at the end."""
        with self._lock:
            if self._closed:
                return b""
            try:
                if self._file is None:
                    self._file = self._path.open("rb", buffering=0)
                    self._file.seek(self._position)
                wanted = READ_BYTES if self._end is None else min(READ_BYTES, self._end - self._position)
                chunk = self._file.read(wanted)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise FileNotFoundError(errno.ENOENT, "There is no such file in the media storage.") from error
            except OSError as error:
                raise _unavailable(error) from error
            self._position += len(chunk)
            return chunk

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()


async def _chunks(outgoing: _Outgoing) -> AsyncGenerator[bytes, None]:
    try:
        while chunk := await asyncio.to_thread(outgoing.read):
            yield chunk
    finally:
        await _surely(outgoing.close)


async def _surely(close: Callable[[], None]) -> None:
    """Run it in a thread even if we are cancelled, once more, while waiting for it."""
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, close))


def _measured(files: Iterator[Path]) -> list[tuple[Path, int]]:
    return [(path, path.stat().st_size) for path in itertools.islice(filter(Path.is_file, files), LISTED_AT_ONCE)]


def _refuse(error: OSError) -> None:
    # A folder that cannot be read would be left out in silence. One that was just removed holds nothing.
    if not isinstance(error, FileNotFoundError):
        raise error


def _remove(path: Path) -> None:
    try:
        path.unlink()
        _sync_directory(path.parent)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    except OSError as error:
        raise _unavailable(error) from error


def _sweep(incoming: Path, before_s: float) -> int:
    removed = 0
    try:
        for leftover in incoming.iterdir():
            with suppress(FileNotFoundError):  # another process sweeps, or its writer is done
                if leftover.stat().st_mtime < before_s:
                    leftover.unlink()
                    removed += 1
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unavailable(error) from error
    return removed


def _make_directory(path: Path) -> None:
    """Make it and its parents, each entry durable before a file relies on it."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(error: OSError) -> StorageUnavailable:
    name = errno.errorcode.get(error.errno or 0, "unknown")
    reason = _REASONS.get(error.errno or 0, f"cannot be used now ({name})")
    return StorageUnavailable(f"The media storage {reason}.")
