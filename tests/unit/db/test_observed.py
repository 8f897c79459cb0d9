"""What is heard of writes, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from rushes.clock import SystemClock
from rushes.db.database import Database, Transaction, Write
from rushes.db.observed import ObservedDatabase
from tests.fixtures.databases import fresh_sqlite


class Watched:
    """An observed database, and what was heard of it."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self.durations_s: list[float] = []
        self.inner = fresh_sqlite(path, SystemClock())
        self.database = ObservedDatabase(self.inner, "moves", self.heard.append, self.durations_s.append)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    one = Watched(tmp_path / "rushes.db")
    yield one
    await one.database.close()


async def test_notes_of_the_channel_are_heard_once_and_by_nobody_else(watched: Watched) -> None:
    others: list[str] = []
    watched.database.listen("moves", others.append)
    watched.database.listen("jobs", others.append)

    async def body(transaction: Transaction) -> int:
        transaction.notify("moves", "one")
        transaction.notify("jobs", "job_1")
        assert watched.heard == []
        return 7

    assert await watched.database.write(body) == 7
    assert (watched.heard, others) == (["one"], ["job_1"])
    assert len(watched.durations_s) == 1


async def test_what_is_rolled_back_is_not_heard(watched: Watched) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.notify("moves", "one")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await watched.database.write(body)
    assert watched.heard == []
    assert watched.database.waiting == 0


async def test_of_a_body_that_runs_again_only_the_last_run_is_heard(watched: Watched) -> None:
    runs: list[int] = []

    class Again:
        """Runs each body twice, as a database may that lost a race; only the second run is committed."""

        read = version = None

        async def write(self, body: Write[Any]) -> Any:
            async def rolled_back(transaction: Transaction) -> None:
                await body(transaction)
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await watched.inner.write(rolled_back)
            return await watched.inner.write(body)

    async def body(transaction: Transaction) -> None:
        runs.append(1)
        transaction.notify("moves", f"run {len(runs)}")

    database = ObservedDatabase(cast("Database", Again()), "moves", watched.heard.append, watched.durations_s.append)
    await database.write(body)
    assert watched.heard == ["run 2"]
