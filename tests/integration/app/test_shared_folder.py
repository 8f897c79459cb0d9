"""Processes on one database find out whether they keep their files in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.app.shared_folder import FILE, check_folder_is_shared
from rushes.db.sqlite import SqliteDatabase
from rushes.errors import StartupError
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import fresh_sqlite


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = fresh_sqlite(tmp_path / "rushes.db", ManualClock())
    yield opened
    await opened.close()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def test_all_that_start_at_once_on_one_folder_may(database: SqliteDatabase, tmp_path: Path) -> None:
    folder = made(tmp_path / "shared")
    await asyncio.gather(*(check_folder_is_shared(folder, database) for _ in range(4)))
    assert [path.name for path in folder.iterdir()] == [FILE]


async def test_another_folder_is_refused_until_it_is_said_to_replace_the_first(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    await check_folder_is_shared(first, database)
    mark = (first / FILE).read_text().strip()
    with pytest.raises(StartupError, match=f"is not the folder .*RUSHES_STORAGE_URL.* write {mark} into"):
        await check_folder_is_shared(second, database)
    await check_folder_is_shared(first, database)
    (second / FILE).write_text(f"{mark}\n")
    await check_folder_is_shared(second, database)


async def test_a_folder_that_cannot_be_marked_is_said(database: SqliteDatabase, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="cannot be read or made"):
        await check_folder_is_shared(tmp_path / "file", database)
