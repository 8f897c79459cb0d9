"""A key is known as long as nothing was committed, and not a moment longer."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Caller, Mode
from rushes.db.database import Row
from rushes.db.sqlite import SqliteDatabase
from rushes.errors import RushesError
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import WatchedDatabase, fresh_sqlite

CHANGES = (
    "UPDATE api_keys SET revoked_at = 1",
    "UPDATE api_keys SET revoked_at = NULL",
    "UPDATE api_keys SET disabled_at = 1",
    "UPDATE api_keys SET disabled_at = NULL",
    "UPDATE api_keys SET scopes = 'read'",
    "UPDATE api_keys SET scopes = 'read generate'",
    "UPDATE api_keys SET expires_at = 1",
    "UPDATE api_keys SET expires_at = 2 * created_at",
    "UPDATE api_keys SET expires_at = NULL",
    "UPDATE accounts SET disabled_at = 1",
    "UPDATE accounts SET disabled_at = NULL",
    "INSERT OR REPLACE INTO limits SELECT id, '', 'requests_per_minute', 7 FROM accounts",
    "DELETE FROM limits",
    "DELETE FROM job_counts",
)
"""What another process may commit; the last does not concern the key."""


class CountedDatabase(WatchedDatabase):
    """Counts the reads."""

    reads = 0

    async def read(self, sql: str, **parameters: object) -> Sequence[Row]:
        self.reads += 1
        return await super().read(sql, **parameters)


async def outcome(accounts: KeyStore, key: str) -> Caller | str:
    """Whom the key speaks for, or the code of the refusal."""
    try:
        return await accounts.authenticate(key)
    except RushesError as error:
        return error.code


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(CHANGES), max_size=8))
def test_whatever_another_process_commits_is_seen_by_the_next_request(changes: list[str]) -> None:
    async def play(path: Path) -> None:
        database = fresh_sqlite(path, ManualClock())
        accounts = KeyStore(database)
        _, key = await accounts.create_key(account="alice", name="", mode=Mode.LIVE)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            for change in ["SELECT 1", *changes]:
                other.execute(change)
                expected = await outcome(KeyStore(database), key)
                assert [await outcome(accounts, key) for _ in range(2)] == [expected, expected]
        await database.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "rushes.db"))


async def watched(path: Path, clock: ManualClock, **life: Any) -> tuple[CountedDatabase, KeyStore, str]:
    """A store over a counted database, and a key of it."""
    database = CountedDatabase(fresh_sqlite(path, clock))
    accounts = KeyStore(database)
    _, key = await accounts.create_key(account="alice", name="", mode=Mode.LIVE, **life)
    await accounts.authenticate(key)
    return database, accounts, key


async def test_a_key_is_not_looked_up_again_while_nothing_is_committed(tmp_path: Path) -> None:
    database, accounts, key = await watched(tmp_path / "rushes.db", ManualClock())
    reads = database.reads
    await accounts.authenticate(key)
    assert database.reads == reads
    await database.close()


async def test_a_key_that_time_ends_is_looked_up_each_time(tmp_path: Path) -> None:
    clock = ManualClock()
    database, accounts, key = await watched(tmp_path / "rushes.db", clock, lifetime_s=60)
    clock.advance(60)
    assert await outcome(accounts, key) == "unauthenticated"
    await database.close()


async def test_where_commits_cannot_be_told_every_request_looks(tmp_path: Path) -> None:
    database, accounts, key = await watched(tmp_path / "rushes.db", ManualClock())
    database.version = lambda: None  # type: ignore[method-assign]
    reads = database.reads
    for _ in range(3):
        await accounts.authenticate(key)
    assert database.reads == reads + 3
    await database.close()


@pytest.mark.parametrize("own", [True, False])
async def test_a_version_changes_with_every_commit_and_only_then(tmp_path: Path, own: bool) -> None:
    database = fresh_sqlite(tmp_path / "rushes.db", ManualClock())
    other = SqliteDatabase(tmp_path / "rushes.db", ManualClock())
    seen = [database.version()]
    for _ in range(3):
        await database.read("SELECT * FROM accounts")
        assert database.version() == seen[-1]
        await KeyStore(database if own else other).create_key(account="alice", name="", mode=Mode.LIVE)
        seen.append(database.version())
    assert len(set(seen)) == 4
    await other.close()
    await database.close()
