"""What every kind of storage promises. A new kind adds one harness to HARNESSES."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushes.errors import BodyTooLarge
from rushes.media.local import LocalStorage
from rushes.media.s3 import S3Storage
from rushes.media.storage import Storage
from tests.fixtures.s3 import S3Server, s3, scratch_files

__all__ = ["s3"]

KEY = "videos/job_1/0.mp4"
MEBIBYTE = 1024 * 1024
PLENTY = 1024 * MEBIBYTE


class Harness(Protocol):
    """One kind of storage, empty, and a look behind it."""

    @property
    def storage(self) -> Storage:
        """The storage under test."""
        ...

    def everything(self) -> list[str]:
        """The name of each object kept, finished or not."""
        ...


class LocalHarness:
    """A directory."""

    def __init__(self, directory: Path) -> None:
        self._root = directory / "media"
        self.storage = LocalStorage(self._root)

    def everything(self) -> list[str]:
        return sorted(str(path.relative_to(self._root)) for path in self._root.rglob("*") if path.is_file())


class S3Harness:
    """A folder in a bucket of its own."""

    def __init__(self, server: S3Server, scratch: Path) -> None:
        self._server = server
        self._bucket = server.new_bucket()
        self.storage = S3Storage(server.connected(self._bucket), scratch)

    def everything(self) -> list[str]:
        return [name.removeprefix("kept/") for name in self._server.everything(self._bucket)]


HARNESSES = ["local", "s3"]


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    if request.param == "local":
        yield LocalHarness(tmp_path)
        return
    yield S3Harness(request.getfixturevalue("s3"), tmp_path)
    assert scratch_files(tmp_path) == []


@pytest.fixture
def storage(harness: Harness) -> Storage:
    return harness.storage


async def chunks_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def mebibytes(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * MEBIBYTE


async def content(storage: Storage, key: str = KEY, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in storage.open(key, start=start, end=end)])


async def put(storage: Storage, data: bytes, key: str = KEY) -> None:
    await storage.put(key, chunks_of(data), max_bytes=PLENTY)


async def test_what_was_put_is_read_back(storage: Storage) -> None:
    await storage.put(KEY, chunks_of(b"one", b"", b"two"), max_bytes=PLENTY)
    assert await content(storage) == b"onetwo"


async def test_put_tells_key_size_and_sha256(storage: Storage) -> None:
    stored = await storage.put(KEY, chunks_of(b"one", b"two"), max_bytes=PLENTY)
    assert (stored.key, stored.size_bytes, stored.sha256) == (KEY, 6, hashlib.sha256(b"onetwo").hexdigest())


async def test_an_empty_file_is_a_file(storage: Storage) -> None:
    stored = await storage.put(KEY, chunks_of(), max_bytes=0)
    assert (stored.size_bytes, await content(storage)) == (0, b"")


async def test_many_small_chunks_arrive_whole(storage: Storage) -> None:
    chunks = [bytes([number % 256]) * 700 for number in range(4000)]
    stored = await storage.put(KEY, chunks_of(*chunks), max_bytes=PLENTY)
    assert stored.sha256 == hashlib.sha256(b"".join(chunks)).hexdigest()
    assert await content(storage) == b"".join(chunks)


async def test_put_replaces_a_file_of_the_same_key(harness: Harness) -> None:
    await put(harness.storage, b"the longer first one")
    await put(harness.storage, b"the second")
    assert await content(harness.storage) == b"the second"
    assert len(harness.everything()) == 1


async def test_keys_do_not_touch_each_other(storage: Storage) -> None:
    await put(storage, b"a", "videos/a")
    await put(storage, b"b", "videos/b")
    await storage.delete("videos/a")
    assert await content(storage, "videos/b") == b"b"


@pytest.mark.parametrize("start", [0, 3, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 5])
@pytest.mark.parametrize("length", [0, 1, 4, MEBIBYTE, None])
async def test_a_range_is_that_slice(storage: Storage, start: int, length: int | None) -> None:
    data = bytes(range(256)) * (2 * MEBIBYTE // 256)
    await put(storage, data)
    end = None if length is None else start + length
    assert await content(storage, start=start, end=end) == data[start:end]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=40), start=st.integers(0, 50), length=st.none() | st.integers(0, 50))
def test_any_range_is_that_slice(storage: Storage, data: bytes, start: int, length: int | None) -> None:
    end = None if length is None else start + length

    async def put_and_read() -> bytes:
        await put(storage, data)
        return await content(storage, start=start, end=end)

    assert asyncio.run(put_and_read()) == data[start:end]


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 0), (5, 9)])
async def test_opening_what_is_not_there_is_file_not_found(storage: Storage, start: int, end: int | None) -> None:
    with pytest.raises(FileNotFoundError):
        await anext(storage.open(KEY, start=start, end=end))


async def test_a_folder_of_keys_is_not_a_file(storage: Storage) -> None:
    await put(storage, b"x", "videos/job_1/0.mp4")
    with pytest.raises(FileNotFoundError):
        await anext(storage.open("videos/job_1"))


async def test_a_reader_may_stop_early(storage: Storage) -> None:
    await storage.put(KEY, mebibytes(4), max_bytes=PLENTY)
    async with aclosing(storage.open(KEY)) as chunks:
        assert await anext(chunks)
    await storage.delete(KEY)


async def test_a_reader_keeps_the_file_it_opened_when_it_is_replaced(storage: Storage) -> None:
    await storage.put(KEY, mebibytes(4), max_bytes=PLENTY)
    async with aclosing(storage.open(KEY)) as chunks:
        begun = await anext(chunks)
        await put(storage, b"another")
        rest = b"".join([chunk async for chunk in chunks])
    assert len(begun + rest) == 4 * MEBIBYTE


async def test_a_deleted_file_is_gone(harness: Harness) -> None:
    await put(harness.storage, b"x")
    await harness.storage.delete(KEY)
    assert harness.everything() == []
    with pytest.raises(FileNotFoundError):
        await content(harness.storage)


async def test_deleting_what_is_not_there_is_no_error(storage: Storage) -> None:
    await storage.delete(KEY)
    await put(storage, b"x")
    await storage.delete(KEY)
    await storage.delete(KEY)


async def test_deleting_a_folder_of_keys_deletes_nothing(storage: Storage) -> None:
    await put(storage, b"x", "videos/job_1/0.mp4")
    await storage.delete("videos/job_1")
    assert await content(storage, "videos/job_1/0.mp4") == b"x"


async def test_a_file_of_exactly_the_limit_is_stored(storage: Storage) -> None:
    assert (await storage.put(KEY, chunks_of(b"12", b"34"), max_bytes=4)).size_bytes == 4


@pytest.mark.parametrize("count", [1, 5])
async def test_a_file_past_the_limit_is_refused_and_leaves_nothing(harness: Harness, count: int) -> None:
    with pytest.raises(BodyTooLarge, match=str(count * MEBIBYTE - 1)):
        await harness.storage.put(KEY, mebibytes(count), max_bytes=count * MEBIBYTE - 1)
    assert harness.everything() == []


async def test_a_refused_file_does_not_harm_the_one_it_would_replace(storage: Storage) -> None:
    await put(storage, b"kept")
    with pytest.raises(BodyTooLarge):
        await storage.put(KEY, chunks_of(b"too long"), max_bytes=3)
    assert await content(storage) == b"kept"


@pytest.mark.parametrize("error", [OSError("the connection broke"), ValueError("malformed"), TimeoutError()])
@pytest.mark.parametrize("after", [0, 3])
async def test_a_failing_source_passes_through_and_leaves_nothing(
    harness: Harness, error: Exception, after: int
) -> None:
    async def failing() -> AsyncIterator[bytes]:
        async for chunk in mebibytes(after):
            yield chunk
        raise error

    with pytest.raises(type(error)) as caught:
        await harness.storage.put(KEY, failing(), max_bytes=PLENTY)
    assert caught.value is error
    assert harness.everything() == []


async def test_cancelling_a_put_that_waits_for_its_source_leaves_nothing(harness: Harness) -> None:
    waiting = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        async for chunk in mebibytes(3):
            yield chunk
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(harness.storage.put(KEY, stalling(), max_bytes=PLENTY))
    await waiting.wait()
    assert harness.everything() != [KEY]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert harness.everything() == []


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_a_put_at_any_moment_leaves_nothing_or_all(harness: Harness, turns: int) -> None:
    moment = asyncio.Event()

    async def counting() -> AsyncIterator[bytes]:
        number = 0
        async for chunk in mebibytes(4):
            if number == turns // 3:
                moment.set()
            number += 1
            yield chunk

    task = asyncio.create_task(harness.storage.put(KEY, counting(), max_bytes=PLENTY))
    await moment.wait()
    for _ in range(turns % 3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if harness.everything() != []:
        assert harness.everything() == [KEY]
        assert len(await content(harness.storage)) == 4 * MEBIBYTE


async def test_nobody_sees_a_file_before_it_is_whole(storage: Storage) -> None:
    async def looking() -> AsyncIterator[bytes]:
        async for chunk in mebibytes(3):
            yield chunk
            with pytest.raises(FileNotFoundError):
                await anext(storage.open(KEY))

    await storage.put(KEY, looking(), max_bytes=PLENTY)
    assert len(await content(storage)) == 3 * MEBIBYTE


async def test_of_concurrent_puts_of_one_key_one_wins_whole(harness: Harness) -> None:
    files = [bytes([number]) * (2 * MEBIBYTE + number) for number in range(8)]
    await asyncio.gather(
        *(harness.storage.put(KEY, chunks_of(data[:MEBIBYTE], data[MEBIBYTE:]), max_bytes=PLENTY) for data in files)
    )
    assert await content(harness.storage) in files
    assert len(harness.everything()) == 1


async def test_a_large_file_passes_in_bounded_memory(storage: Storage) -> None:
    size_bytes = 64 * MEBIBYTE
    tracemalloc.start()
    try:
        await storage.put(KEY, mebibytes(64), max_bytes=PLENTY)
        read_bytes = 0
        async for chunk in storage.open(KEY):
            read_bytes += len(chunk)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read_bytes == size_bytes
    assert peak_bytes < 8 * MEBIBYTE


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", ".incoming/x", "a/.b", "a\\b", "a\0b", "a b", "ä", "a\n"],
)
async def test_a_key_that_is_no_safe_relative_path_is_refused(storage: Storage, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        await put(storage, b"x", key)
    with pytest.raises(ValueError, match="key"):
        storage.open(key)
    with pytest.raises(ValueError, match="key"):
        await storage.delete(key)


async def test_a_range_that_ends_before_it_starts_is_refused(storage: Storage) -> None:
    with pytest.raises(ValueError, match="5 to 4"):
        storage.open(KEY, start=5, end=4)


async def test_a_file_on_disk_is_that_file_for_as_long_as_it_is_needed(storage: Storage) -> None:
    await storage.put(KEY, mebibytes(3), max_bytes=PLENTY)
    async with storage.on_disk(KEY) as path:
        assert path.read_bytes() == await content(storage)


async def test_what_is_not_there_is_on_no_disk(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        async with storage.on_disk(KEY) as path:
            path.read_bytes()


async def test_a_storage_that_works_passes_its_check(storage: Storage) -> None:
    await put(storage, b"x")
    await storage.check()
