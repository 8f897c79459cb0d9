"""What the database says to a scrape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.engine.claims import ClaimStore
from rushes.jobs.store import JobStore
from rushes.telemetry.store import BUSY_LANES, Lane, TelemetryStore
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import fresh_sqlite
from tests.fixtures.new_jobs import ACCOUNT, new_job


class Bench:
    """A database, and a clock that a test moves."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.database = fresh_sqlite(path, self.clock)
        self.jobs = JobStore(self.database)
        self.leases = ClaimStore(self.database, "worker_1")
        self.store = TelemetryStore(self.database)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path / "rushes.db")
    yield one
    await one.database.close()


async def test_lanes_of_one_model_are_one_whatever_the_credential(bench: Bench) -> None:
    for number, lane in enumerate(("scripted/clip", "scripted/clip@one", "scripted/clip@two", "own/org/model@one")):
        await bench.jobs.create(new_job(number, lane=lane))
    bench.clock.advance(30)
    assert (await bench.store.read()).lanes == {
        ("scripted", "clip"): Lane(ready=3, oldest_s=30),
        ("own", "org/model"): Lane(ready=1, oldest_s=30),
    }


async def test_a_job_that_is_held_back_is_not_old_and_a_claimed_one_does_not_wait(bench: Bench) -> None:
    await bench.jobs.create(new_job(1, hold_s=60))
    await bench.jobs.create(new_job(2))
    await bench.leases.beat(15)
    await bench.leases.claim(10)
    assert (await bench.store.read()).lanes == {("scripted", "clip"): Lane(ready=1, in_use=1)}


async def test_lanes_and_statuses_follow_the_jobs(bench: Bench) -> None:
    await bench.jobs.create(new_job(1))
    assert (await bench.store.read()).jobs == {"pending": 1}
    await bench.jobs.cancel(ACCOUNT, "job_1")
    snapshot = await bench.store.read()
    assert (snapshot.jobs["pending"], snapshot.jobs["failed"], snapshot.lanes) == (0, 1, {})


async def test_a_worker_whose_heartbeat_has_run_out_is_overdue(bench: Bench) -> None:
    await bench.leases.beat(15)
    before = await bench.store.read()
    bench.clock.advance(16)
    after = await bench.store.read()
    assert (before.workers_alive, before.workers_overdue) == (1, 0)
    assert (after.workers_alive, after.workers_overdue) == (0, 1)


async def test_the_age_of_a_queue_is_found_by_an_index(bench: Bench) -> None:
    plan = [row["detail"] for row in await bench.database.read(f"EXPLAIN QUERY PLAN {BUSY_LANES}")]
    assert [step for step in plan if "jobs" in step and "SCAN" in step] == []
    assert any("jobs_by_turn" in step for step in plan), plan
