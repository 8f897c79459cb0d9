"""Copies of a database: every table, in both directions."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from rushes.clock import SystemClock
from rushes.db import transfer
from rushes.db.database import Database, Transaction
from rushes.db.migrate import SNAPSHOT
from rushes.db.postgres import PostgresDatabase
from tests.fixtures.databases import fresh_sqlite
from tests.fixtures.postgres import shared_server

FIRST = 1
BEYOND_A_PAGE = transfer.PAGE_ROWS + 3


@asynccontextmanager
async def opened(kind: str, path: Path) -> AsyncIterator[Database]:
    if kind == "sqlite":
        database: Database = fresh_sqlite(path, SystemClock())
        yield database
        await database.close()
        return
    url = shared_server().fresh()
    database = PostgresDatabase(url)
    yield database
    await database.close()
    shared_server().done_with(url)


async def fill(database: Database, table: transfer.Table, rows: int) -> None:
    """Rows with a value in every column."""
    with closing(sqlite3.connect(":memory:")) as schema:
        schema.executescript(SNAPSHOT.read_text())
        kinds = {row[1]: row[2] for row in schema.execute(f"PRAGMA table_info({table.name})")}

    async def body(transaction: Transaction) -> None:
        for number in range(FIRST, FIRST + rows):
            values = {
                f"v0_{place}": f"{column}-{number}é" if kinds[column] == "TEXT" else number
                for place, column in enumerate(table.columns)
            }
            await transaction.execute(table.insert(1), **values)

    await database.write(body)


def no_progress(rows: int) -> None:
    assert rows > 0


@pytest.mark.parametrize(("old", "new"), [("sqlite", "postgres"), ("postgres", "sqlite")])
async def test_every_table_arrives_whole_and_a_second_copy_adds_nothing(old: str, new: str, tmp_path: Path) -> None:
    async with opened(old, tmp_path / "old.db") as source, opened(new, tmp_path / "new.db") as target:

        async def body(transaction: Transaction) -> None:
            await transaction.execute("INSERT INTO accounts (id, name, created_at) VALUES ('account_id-1é', 'a', 1)")
            await transaction.execute("INSERT INTO accounts (id, name, created_at) VALUES ('account_id-2é', 'b', 1)")

        await source.write(body)
        referring = {"accounts", "attempts"}
        for table in transfer.tables():
            if table.name not in referring:
                await fill(source, table, 2)
        for _ in range(2):
            for table in transfer.tables():
                await transfer.copy_table(source, target, table, no_progress)
        for table in transfer.tables():
            ours, theirs = [await transfer.content_of(side, table) for side in (source, target)]
            assert ours == theirs
            assert (ours.rows == 2) == (table.name not in {"attempts"})
            assert all(total == 3 for total in ours.microusd.values() if ours.rows)


async def test_a_copy_goes_on_behind_the_last_page(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path / "old.db") as source, opened("sqlite", tmp_path / "new.db") as target:
        marks = next(table for table in transfer.tables() if table.name == "deleted_jobs")
        await fill(source, marks, BEYOND_A_PAGE)
        pages: list[int] = []
        with pytest.raises(RuntimeError, match="cut off"):
            await transfer.copy_table(source, target, marks, lambda rows: cut_off(pages, rows))
        await transfer.copy_table(source, target, marks, pages.append)
        assert pages == [transfer.PAGE_ROWS, 3]
        assert (await transfer.content_of(target, marks)).rows == BEYOND_A_PAGE


def cut_off(pages: list[int], rows: int) -> None:
    pages.append(rows)
    raise RuntimeError("cut off")


async def test_a_changed_row_is_seen(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path / "old.db") as source:
        ledger = next(table for table in transfer.tables() if table.name == "ledger")
        await fill(source, ledger, 2)
        before = await transfer.content_of(source, ledger)

        async def body(transaction: Transaction) -> None:
            await transaction.execute("UPDATE ledger SET cause = 'another' WHERE seq = 1")

        await source.write(body)
        after = await transfer.content_of(source, ledger)
        assert after != before
        assert after.microusd == before.microusd
