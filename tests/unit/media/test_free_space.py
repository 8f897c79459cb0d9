"""Input files leave a part of the disk free."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from rushes.errors import StorageUnavailable
from rushes.media.free_space import RETRY_AFTER_S, FreeSpace

GIB = 1024**3


@pytest.mark.parametrize(
    ("total", "free", "size", "fits"),
    [
        (1000 * GIB, 2 * GIB, GIB, True),
        (1000 * GIB, 2 * GIB, GIB + 1, False),
        (10 * GIB, GIB // 2, 0, True),
        (10 * GIB, GIB // 2 - 1, 0, False),
        (10 * GIB, 0, 0, False),
    ],
)
async def test_a_twentieth_of_the_disk_and_at_most_a_gibibyte_is_kept_free(
    monkeypatch: pytest.MonkeyPatch, total: int, free: int, size: int, fits: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=total, free=free))
    space = FreeSpace(Path("/data"))
    if fits:
        await space.check(size)
        return
    with pytest.raises(StorageUnavailable) as raised:
        await space.check(size)
    assert raised.value.retry_after_s == RETRY_AFTER_S


async def test_neither_a_bucket_nor_a_disk_that_cannot_say_refuses_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot_say(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(shutil, "disk_usage", cannot_say)
    await FreeSpace(None).check(2**60)
    await FreeSpace(Path("/data")).check(2**60)
