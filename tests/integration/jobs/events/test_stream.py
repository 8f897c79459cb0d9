"""Following a job: everything once and in order, from the beginning or from any position that was reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from rushes.domain.job import Status
from rushes.domain.progress import Working
from rushes.errors import JobNotFound, OutputLost
from rushes.jobs.events.store import HistoryStore
from rushes.jobs.events.stream import (
    QUIET_S,
    Ended,
    Happening,
    Moved,
    Position,
    Progressed,
    Quiet,
    follow,
    has_seen_the_end,
)
from rushes.jobs.events.waiters import Watching
from rushes.operations.recovery import RecoveryStore
from rushes.shared_places import STREAMS, SharedPlace
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import ACCOUNT
from tests.fixtures.scripted_provider import DONE

START = Position()


class Follower:
    """Somebody who reads happenings into a list, when they are let."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.history = HistoryStore(engine.database)
        self.watching = Watching(self.history, engine.clock, SharedPlace(STREAMS))
        self.running = asyncio.ensure_future(self.watching.run())
        self.got: list[Happening] = []

    async def read(self, since: Position = START, job_id: str = "job_1") -> list[Happening]:
        """Read to the end; `got` has what came until then."""
        self.got = []
        with self.watching.watch(ACCOUNT, job_id) as watch:
            async with aclosing(follow(watch, self.history, self.engine.clock, since)) as happenings:
                async for happening in happenings:
                    self.got.append(happening)
        return self.got


@pytest.fixture
async def follower(engine: Engine) -> AsyncIterator[Follower]:
    made = Follower(engine)
    yield made
    made.running.cancel()
    await asyncio.wait({made.running})


def told(happenings: list[Happening]) -> list[str]:
    """The lines of the history among them."""
    return [one.entry.message.partition(" ")[0] for one in happenings if isinstance(one, Moved)]


def positions(happenings: list[Happening]) -> list[Position]:
    return [one.position for one in happenings if not isinstance(one, Quiet)]


async def carried(follower: Follower) -> list[Happening]:
    """What somebody sees who follows a job from the beginning to the end while it is carried."""
    engine = follower.engine
    engine.provider.polls = [Working(), Working(), Working(), DONE]
    await engine.create()
    reading = asyncio.ensure_future(follower.read())
    await engine.carry(await engine.claim())
    return await engine.clock.run(asyncio.wait_for(reading, None))


async def test_every_move_is_told_in_order_and_the_end_is_the_last(follower: Follower) -> None:
    seen = await carried(follower)
    assert told(seen) == ["accepted", "about", "accepted", "finished"]
    last = seen[-1]
    assert isinstance(last, Ended)
    assert last.job.status is Status.COMPLETED
    assert last.position.percent == 100


async def test_positions_only_rise(follower: Follower) -> None:
    seen = positions(await carried(follower))
    assert seen == sorted(set(seen))
    assert [one.percent for one in seen] == sorted(one.percent for one in seen)


async def test_from_any_position_the_rest_follows_and_nothing_twice(follower: Follower) -> None:
    seen = [one for one in await carried(follower) if isinstance(one, Moved | Ended)]
    for place, one in enumerate(seen):
        rest = await follower.engine.clock.run(follower.read(one.position))
        assert [later.position.seq for later in rest if isinstance(later, Moved | Ended)] == [
            later.position.seq for later in seen[place + 1 :]
        ]


async def test_after_the_end_there_is_nothing(follower: Follower) -> None:
    end = (await carried(follower))[-1]
    assert isinstance(end, Ended)
    look = await follower.history.read(ACCOUNT, "job_1")
    assert has_seen_the_end(look, end.position)
    assert not has_seen_the_end(look, START)
    assert await follower.engine.clock.run(follower.read(end.position)) == []


async def test_a_position_that_the_job_has_not_reached_counts_as_none(follower: Follower) -> None:
    await carried(follower)
    again = await follower.engine.clock.run(follower.read(Position(10**17, 100)))
    assert told(again) == ["accepted", "about", "accepted", "finished"]


async def test_an_estimate_rises_by_itself_at_most_once_a_second(follower: Follower) -> None:
    engine = follower.engine
    await engine.create(usual_s=10)
    await engine.leases().record(await engine.claim()).intend(attempt_id="att_1", part=0, n=1)
    writes = engine.database.writes
    reading = asyncio.ensure_future(follower.read())
    await engine.clock.run_for(60)
    risen = [one.position.percent for one in follower.got if isinstance(one, Progressed)]
    assert risen == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95]
    assert sum(isinstance(one, Quiet) for one in follower.got) == 60 // QUIET_S
    assert engine.database.writes == writes
    reading.cancel()


async def test_reported_progress_is_shown_as_it_was_reported(follower: Follower) -> None:
    engine = follower.engine
    await engine.create(reports_progress=True)
    claimed = await engine.claim()
    await engine.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    reading = asyncio.ensure_future(follower.read())
    for percent in (7, 7, 40):
        await engine.leases().record(claimed).report(percent)
        await engine.clock.run_for(2)
    assert [one.position.percent for one in follower.got if isinstance(one, Progressed)] == [7, 40]
    reading.cancel()


async def test_a_slow_reader_gets_the_latest_progress_and_nothing_is_kept_for_them(follower: Follower) -> None:
    engine = follower.engine
    await engine.create(reports_progress=True)
    claimed = await engine.claim()
    await engine.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    with follower.watching.watch(ACCOUNT, "job_1") as watch:
        async with aclosing(follow(watch, follower.history, engine.clock, START)) as happenings:
            first = await anext(happenings)
            for percent in range(1, 91):
                await engine.leases().record(claimed).report(percent)
                await engine.clock.run_for(2)
            rest = [await engine.clock.run(anext_of(happenings)) for _ in range(3)]
    assert told([first, *rest]) == ["accepted", "about"]
    assert [one.position.percent for one in rest if isinstance(one, Progressed)] == [90]


async def anext_of(happenings: AsyncIterator[Happening]) -> Happening:
    return await anext(happenings)


async def test_a_job_that_failed_ends_with_its_reason(follower: Follower) -> None:
    engine = follower.engine
    await engine.create()
    await engine.jobs.cancel(ACCOUNT, "job_1")
    seen = await engine.clock.run(follower.read())
    assert told(seen) == ["accepted"]
    last = seen[-1]
    assert isinstance(last, Ended)
    assert last.job.problem is not None
    assert last.job.problem.code == "cancelled"


async def test_it_ends_when_the_service_stops(follower: Follower) -> None:
    engine = follower.engine
    await engine.create()
    reading = asyncio.ensure_future(follower.read())
    await engine.clock.settle()
    follower.watching.close()
    await engine.clock.settle()
    assert told(reading.result()) == ["accepted"]


async def test_a_job_that_is_deleted_meanwhile_is_not_found(follower: Follower) -> None:
    engine = follower.engine
    await engine.create()
    await engine.jobs.cancel(ACCOUNT, "job_1")
    with follower.watching.watch(ACCOUNT, "job_1") as watch:
        happenings = follow(watch, follower.history, engine.clock, START)
        await anext(happenings)
        await engine.jobs.delete(ACCOUNT, "job_1")
        await happenings.aclose()
        with pytest.raises(JobNotFound):
            await anext(follow(watch, follower.history, engine.clock, START))


async def test_a_job_that_an_operator_recovers_goes_on_after_its_failure(follower: Follower) -> None:
    engine = follower.engine
    engine.provider.fetches = [OutputLost("The video is gone")]
    failed = await engine.create_and_carry()
    assert failed.status is Status.FAILED
    seen = await engine.clock.run(follower.read())
    engine.provider.fetches = []
    await RecoveryStore(engine.database).recover("job_1")
    await engine.carry(await engine.claim())
    rest = await engine.clock.run(follower.read(positions(seen)[-1]))
    assert told(rest) == ["to"]
    last = rest[-1]
    assert isinstance(last, Ended)
    assert last.job.status is Status.COMPLETED
