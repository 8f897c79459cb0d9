"""What only a directory can do wrong: a disk that is full, read-only or someone else's."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import stat
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rushes.errors import StorageUnavailable
from rushes.media.local import LocalStorage
from tests.fixtures.time_limits import GENEROUS_S

KEY = "videos/a.mp4"
MEBIBYTE = 1024 * 1024
NOW_MS = 1_800_000_000_000


async def mebibytes(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(MEBIBYTE)


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two mebibytes."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], capture_output=True)
    if mount.returncode != 0:
        pytest.skip("mounting a small file system needs to be root")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


async def test_a_full_disk_is_storage_unavailable_and_is_left_as_it_was(small_disk: Path) -> None:
    storage = LocalStorage(small_disk)
    await storage.put("videos/kept.mp4", mebibytes(1), max_bytes=MEBIBYTE)
    with pytest.raises(StorageUnavailable) as caught:
        await storage.put(KEY, mebibytes(8), max_bytes=8 * MEBIBYTE)
    assert caught.value.message == "The media storage is full."
    assert caught.value.retryable
    assert files_below(small_disk) == [storage.path("videos/kept.mp4")]
    await storage.put(KEY, mebibytes(0), max_bytes=0)


async def test_a_disk_that_is_full_only_when_flushed_is_storage_unavailable(small_disk: Path) -> None:
    storage = LocalStorage(small_disk)
    await storage.put("videos/kept.mp4", mebibytes(1), max_bytes=MEBIBYTE)
    await storage.put("videos/more.mp4", zeros(MEBIBYTE - 8192), max_bytes=MEBIBYTE)
    with pytest.raises(StorageUnavailable, match="is full"):
        await fill(storage)
    assert list((small_disk / ".incoming").iterdir()) == []


async def zeros(count: int) -> AsyncIterator[bytes]:
    yield bytes(count)


async def fill(storage: LocalStorage) -> None:
    """Put files so small that the system's own buffer, and not a write, holds their bytes."""
    for number in range(10):
        await storage.put(f"videos/{number}.mp4", zeros(4000), max_bytes=MEBIBYTE)


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_file_larger_than_the_system_allows_is_storage_unavailable(tmp_path: Path) -> None:
    with largest_file(MEBIBYTE), pytest.raises(StorageUnavailable, match="refuses a file of this size"):
        await LocalStorage(tmp_path).put(KEY, mebibytes(3), max_bytes=8 * MEBIBYTE)
    assert files_below(tmp_path) == []


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


async def test_a_read_only_disk_is_storage_unavailable(small_disk: Path) -> None:
    storage = LocalStorage(small_disk)
    await storage.put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    make_read_only(small_disk)
    with pytest.raises(StorageUnavailable, match="is read-only"):
        await storage.put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    with pytest.raises(StorageUnavailable, match="is read-only"):
        await storage.delete(KEY)
    assert len([chunk async for chunk in storage.open(KEY)]) > 0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EIO, "The media storage reports a disk error."),
        (errno.EACCES, "The media storage may not be used by the service's user."),
        (errno.EDQUOT, "The media storage is over its quota."),
        (errno.ESTALE, "The media storage cannot be used now (ESTALE)."),
    ],
)
async def test_an_error_when_making_it_durable_is_storage_unavailable_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def broken(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code), str(tmp_path))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageUnavailable) as caught:
        await LocalStorage(tmp_path).put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    assert str(caught.value) == message
    assert files_below(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_that_may_not_be_written_is_storage_unavailable(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)
    with pytest.raises(StorageUnavailable, match="may not be used by the service's user"):
        await LocalStorage(tmp_path).put(KEY, mebibytes(1), max_bytes=MEBIBYTE)


async def test_a_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    await storage.put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    assert stat.S_IMODE(storage.path(KEY).stat().st_mode) == 0o600


async def test_the_path_of_a_key_is_the_file_itself(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    await storage.put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    assert storage.path(KEY).read_bytes() == bytes(MEBIBYTE)


async def test_the_directory_is_made_when_first_needed(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "not" / "yet")
    await storage.put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    assert storage.path(KEY).exists()


async def test_the_disk_is_written_outside_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        threads.append(threading.current_thread())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    await LocalStorage(tmp_path).put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    assert threads
    assert threading.main_thread() not in threads


async def test_a_put_cancelled_while_it_is_made_durable_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    flushing = asyncio.Event()
    go_on = threading.Event()

    def slow(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            loop.call_soon_threadsafe(flushing.set)
            go_on.wait(GENEROUS_S)

    monkeypatch.setattr(os, "fsync", slow)
    task = asyncio.create_task(LocalStorage(tmp_path).put(KEY, mebibytes(1), max_bytes=MEBIBYTE))
    await flushing.wait()
    task.cancel()
    await asyncio.sleep(0)
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_below(tmp_path) == []


async def test_a_sweep_removes_what_killed_writers_left_an_hour_ago(tmp_path: Path) -> None:
    incoming = tmp_path / ".incoming"
    incoming.mkdir()
    for name, age_s in (("old", 3601), ("young", 3599)):
        (incoming / name).write_bytes(b"x")
        os.utime(incoming / name, (NOW_MS / 1000 - age_s, NOW_MS / 1000 - age_s))
    assert await LocalStorage(tmp_path).sweep(NOW_MS) == 1
    assert [path.name for path in incoming.iterdir()] == ["young"]


async def test_a_sweep_leaves_stored_files_alone(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    await storage.put(KEY, mebibytes(1), max_bytes=MEBIBYTE)
    os.utime(storage.path(KEY), (0, 0))
    assert await storage.sweep(NOW_MS) == 0
    assert storage.path(KEY).exists()


async def test_a_sweep_before_anything_was_stored_finds_nothing(tmp_path: Path) -> None:
    assert await LocalStorage(tmp_path / "absent").sweep(NOW_MS) == 0
