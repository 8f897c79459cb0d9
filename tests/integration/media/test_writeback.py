"""A disk that is told to begin early is told of every byte once, and need not understand."""

from __future__ import annotations

import ctypes
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.media import local, writeback
from rushes.media.local import WRITE_BACK_BYTES, LocalStorage

MEBIBYTE = 1024 * 1024


async def test_a_large_file_is_written_back_from_its_start_on_without_gaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[int, int]] = []
    monkeypatch.setattr(local, "begin_writing_back", lambda _, start, size_bytes: begun.append((start, size_bytes)))

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(13):
            yield bytes(MEBIBYTE)

    await LocalStorage(tmp_path).put("videos/a", chunks(), max_bytes=13 * MEBIBYTE)
    assert begun == [(place * WRITE_BACK_BYTES, WRITE_BACK_BYTES) for place in range(3)]


def test_the_disk_takes_the_call(tmp_path: Path) -> None:
    writeback._sync_file_range.cache_clear()
    call = writeback._sync_file_range()
    if call is None:
        pytest.skip("this system has no such call")
    with (tmp_path / "a").open("wb", buffering=0) as file:
        file.write(bytes(MEBIBYTE))
        assert call(file.fileno(), 0, MEBIBYTE, writeback._WRITE) == 0


def test_a_system_without_the_call_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writeback._sync_file_range.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    try:
        with (tmp_path / "a").open("wb", buffering=0) as file:
            file.write(b"kept")
            writeback.begin_writing_back(file.fileno(), 0, 4)
        assert (tmp_path / "a").read_bytes() == b"kept"
    finally:
        writeback._sync_file_range.cache_clear()
