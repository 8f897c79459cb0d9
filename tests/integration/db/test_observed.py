"""Which moves of jobs are reported, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from rushes.clock import SystemClock
from rushes.db.database import Database, Transaction, Write
from rushes.db.observed import ObservedDatabase
from rushes.domain.job import Move, State
from tests.fixtures.databases import fresh_sqlite


def move(cause: str) -> Move:
    return Move("job_1", "acct_1", None, None, "scripted", "clip", None, State.QUEUED, cause, None, 1000)


class Watched:
    """An observed database, and what it reported."""

    def __init__(self, path: Path) -> None:
        self.moves: list[Move] = []
        self.durations_s: list[float] = []
        self.inner = fresh_sqlite(path, SystemClock())
        self.database = ObservedDatabase(self.inner, self.moves.append, self.durations_s.append)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    one = Watched(tmp_path / "rushes.db")
    yield one
    await one.database.close()


async def test_a_move_is_reported_once_after_its_commit(watched: Watched) -> None:
    notes: list[str] = []
    watched.database.listen("jobs", notes.append)

    async def body(transaction: Transaction) -> int:
        transaction.report(move("one"))
        transaction.notify("jobs", "job_1")
        assert watched.moves == []
        return 7

    assert await watched.database.write(body) == 7
    assert (watched.moves, notes) == ([move("one")], ["job_1"])
    assert len(watched.durations_s) == 1


async def test_a_move_that_is_rolled_back_is_not_reported(watched: Watched) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.report(move("one"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await watched.database.write(body)
    assert watched.moves == []
    assert watched.database.waiting == 0


async def test_of_a_body_that_runs_again_only_the_last_run_is_reported(watched: Watched) -> None:
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
        transaction.report(move(f"run {len(runs)}"))

    database = ObservedDatabase(cast("Database", Again()), watched.moves.append, watched.durations_s.append)
    await database.write(body)
    assert watched.moves == [move("run 2")]
