"""Waiting for jobs: woken by notes, by the poll behind them, and by nothing else; bounded, and never a write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from rushes.db.database import Row
from rushes.db.sqlite import SqliteDatabase
from rushes.domain.job import Status
from rushes.domain.tenant import Tenant
from rushes.engine.claims import ClaimStore
from rushes.errors import DatabaseUnavailable, JobNotFound, Overloaded, TooManyWatchers
from rushes.jobs.events.store import HistoryStore
from rushes.jobs.events.waiters import POLL_S, Watching
from rushes.jobs.store import JobStore
from rushes.shared_places import STREAMS, SharedPlace
from tests.fixtures.databases import WatchedDatabase
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import ACCOUNT


class CountedDatabase(WatchedDatabase):
    """Counts reads too, and can fail one of them."""

    reads = 0
    fails_next = False

    async def read(self, sql: str, **parameters: object) -> Sequence[Row]:
        self.reads += 1
        if self.fails_next:
            self.fails_next = False
            raise DatabaseUnavailable("the disk is away")
        return await super().read(sql, **parameters)


class Watched:
    """An engine, and somebody who can watch its jobs."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self.path = path
        self.database = CountedDatabase(engine.database)
        self.watching = self.with_limits(SharedPlace(STREAMS, most=100, share=100))
        self.running = asyncio.ensure_future(self.watching.run())

    def with_limits(self, limits: SharedPlace) -> Watching:
        return Watching(HistoryStore(self.database), self.engine.clock, limits)

    async def intend(self, database: WatchedDatabase | SqliteDatabase) -> None:
        """Move the one queued job on, through this database."""
        leases = ClaimStore(database, "worker_1")
        await leases.beat(60)
        (claimed,) = await leases.claim(1)
        await leases.record(claimed).intend(attempt_id="att_1", part=0, n=1)


@pytest.fixture
async def watched(engine: Engine, tmp_path: Path) -> AsyncIterator[Watched]:
    made = Watched(engine, tmp_path / "rushes.db")
    yield made
    made.running.cancel()
    await asyncio.wait({made.running})


async def test_a_committed_change_wakes_at_once(watched: Watched) -> None:
    engine = watched.engine
    await engine.create()
    with watched.watching.watch(ACCOUNT, "job_1") as watch:
        waiting = asyncio.ensure_future(watch.wait(3600))
        await engine.clock.settle()
        began = engine.clock.now_ms()
        await watched.intend(engine.database)
        await engine.clock.settle()
        assert waiting.result() is True
        assert engine.clock.now_ms() == began


async def test_a_change_that_nobody_told_of_is_seen_by_the_poll(watched: Watched) -> None:
    engine = watched.engine
    await engine.create()
    with watched.watching.watch(ACCOUNT, "job_1") as watch:
        await engine.clock.run_for(POLL_S)
        # The poll's first look at a job always counts as a change.
        await watch.wait(0)
        assert await engine.clock.run(watch.wait(POLL_S * 10)) is False
        # As a command beside the service does it: on a connection of its own.
        beside = SqliteDatabase(watched.path, engine.clock)
        await watched.intend(beside)
        await beside.close()
        began = engine.clock.now_ms()
        assert await engine.clock.run(watch.wait(3600)) is True
        assert engine.clock.now_ms() - began <= POLL_S * 1000


async def test_a_change_between_two_waits_is_not_missed(watched: Watched) -> None:
    engine = watched.engine
    await engine.create()
    with watched.watching.watch(ACCOUNT, "job_1") as watch:
        await engine.clock.settle()
        await watched.intend(engine.database)
        await engine.clock.settle()
        assert await watch.wait(0) is True
        assert await engine.clock.run(watch.wait(0.5)) is False


async def test_jobs_that_nobody_watches_wake_nobody(watched: Watched) -> None:
    engine = watched.engine
    await engine.create(1)
    with watched.watching.watch(ACCOUNT, "job_2") as watch:
        await engine.clock.settle()
        await watched.intend(engine.database)
        assert await engine.clock.run(watch.wait(1)) is False


async def test_all_watched_jobs_are_looked_at_in_one_query_and_none_without_watchers(watched: Watched) -> None:
    clock = watched.engine.clock
    await clock.run_for(60)
    assert watched.database.reads == 0
    watches = [watched.watching.watch(ACCOUNT, f"job_{number % 37}") for number in range(60)]
    await clock.run_for(POLL_S * 5)
    assert watched.database.reads == 5
    for watch in watches:
        watch.leave()
    assert watched.watching.watchers == 0
    await clock.run_for(60)
    assert watched.database.reads == 5


async def test_watching_writes_nothing(watched: Watched) -> None:
    engine = watched.engine
    await engine.create()
    writes = engine.database.writes
    look = await engine.clock.run(watched.watching.until_ended(ACCOUNT, "job_1", 3600))
    assert look.job.status is Status.PENDING
    assert engine.database.writes == writes


async def test_an_account_has_no_more_places_than_it_may(watched: Watched) -> None:
    watching = watched.with_limits(SharedPlace(STREAMS, most=10, share=2))
    places = [watching.watch(ACCOUNT, "job_1"), watching.watch(ACCOUNT, "job_2")]
    with pytest.raises(TooManyWatchers) as refusal:
        watching.watch(ACCOUNT, "job_1")
    assert refusal.value.retry_after_s
    watching.watch(Tenant("acct_2"), "job_1")
    places[0].leave()
    places[0].leave()
    watching.watch(ACCOUNT, "job_1")
    with pytest.raises(TooManyWatchers):
        watching.watch(ACCOUNT, "job_1")


async def test_a_process_has_no_more_places_than_it_may(watched: Watched) -> None:
    watching = watched.with_limits(SharedPlace(STREAMS, most=2, share=2))
    watching.watch(ACCOUNT, "job_1")
    with watching.watch(Tenant("acct_2"), "job_1"):
        with pytest.raises(Overloaded) as refusal:
            watching.watch(Tenant("acct_3"), "job_1")
        assert refusal.value.retry_after_s
    watching.watch(Tenant("acct_3"), "job_1")


async def test_closing_sends_everybody_away_and_lets_nobody_in(watched: Watched) -> None:
    engine = watched.engine
    await engine.create()
    waiting = [
        asyncio.ensure_future(watched.watching.until_ended(ACCOUNT, "job_1", 3600)),
        asyncio.ensure_future(watched.watching.watch(ACCOUNT, "job_1").wait(3600)),
    ]
    await engine.clock.settle()
    watched.watching.close()
    await engine.clock.settle()
    assert [task.done() for task in waiting] == [True, True]
    with pytest.raises(Overloaded):
        watched.watching.watch(ACCOUNT, "job_1")


async def test_who_waits_for_the_end_gets_it_when_it_comes(watched: Watched) -> None:
    engine = watched.engine
    await engine.create()
    waiting = asyncio.ensure_future(watched.watching.until_ended(ACCOUNT, "job_1", 3600))
    await engine.clock.settle()
    await JobStore(engine.database).cancel(ACCOUNT, "job_1")
    await engine.clock.settle()
    assert waiting.result().job.status is Status.FAILED
    assert watched.watching.watchers == 0


async def test_anothers_job_cannot_be_waited_for(watched: Watched) -> None:
    await watched.engine.create()
    with pytest.raises(JobNotFound):
        await watched.watching.until_ended(Tenant("acct_2"), "job_1", 3600)
    assert watched.watching.watchers == 0


async def test_the_poll_goes_on_after_trouble_with_the_database(watched: Watched) -> None:
    engine = watched.engine
    await engine.create()
    with watched.watching.watch(ACCOUNT, "job_1") as watch:
        watched.database.fails_next = True
        assert await engine.clock.run(watch.wait(POLL_S * 3)) is True
        assert not watched.running.done()
