"""Carrying while the database is away, while the lease is lost, and while it is told to stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rushes.domain.job import State
from rushes.domain.progress import Done, Failed, Submission, Working
from rushes.engine.lease_clock import LAST_ANSWER_S
from rushes.errors import LeaseLost, OutputLost, ProviderRejected
from rushes.jobs.retention import RetentionStore
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import clip_model


async def test_an_accepted_handle_outlives_a_database_that_is_away(engine: Engine) -> None:
    submit = engine.provider.submit

    async def submit_as_the_disk_fills(*args: Any, **kwargs: Any) -> Submission:
        engine.database.down = True
        return await submit(*args, **kwargs)

    engine.provider.submit = submit_as_the_disk_fills  # type: ignore[method-assign]
    await engine.create()
    task = asyncio.ensure_future(engine.run_of(await engine.claim()).run())
    await engine.clock.run_until(lambda: engine.database.refused > 10)
    engine.database.down = False
    await engine.clock.run_until(task.done)
    assert (await engine.job()).state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1


async def test_a_database_that_is_away_before_the_intent_keeps_the_provider_uncalled(engine: Engine) -> None:
    await engine.create()
    claimed = await engine.claim()
    engine.database.down = True
    task = asyncio.ensure_future(engine.run_of(claimed).run())
    await engine.clock.run_until(lambda: engine.database.refused > 5)
    assert engine.provider.calls == []
    engine.database.down = False
    await engine.clock.run_until(task.done)
    assert (await engine.job()).state is State.SUCCEEDED


async def test_every_write_of_a_life_can_be_refused_once(engine: Engine) -> None:
    write = engine.database.write
    refused: set[str] = set()

    async def refuse_each_body_once(body: Any) -> Any:
        name = body.__qualname__
        if name not in refused:
            refused.add(name)
            engine.database.down = True
            try:
                return await write(body)
            finally:
                engine.database.down = False
        return await write(body)

    # Of two calls, since the videos of a single one are kept with the job's end.
    await engine.create(n=2)
    claimed = await engine.claim()
    engine.database.write = refuse_each_body_once  # type: ignore[method-assign]
    job = await engine.carry(claimed)
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 2
    assert len(refused) == 5


async def test_a_lost_lease_stops_every_part_and_all_calls(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.create(n=3)
    claimed = await engine.claim()
    task = asyncio.ensure_future(engine.run_of(claimed).run())
    await engine.clock.run_until(lambda: len(engine.provider.asked("poll")) > 5)
    await engine.take_over()
    # One part meets the fence at its next write; the others are in the middle of their waiting then.
    name = engine.provider.asked("submit")[1]
    engine.provider.polls_of = {name: [Failed(ProviderRejected("It broke"))]}
    await engine.clock.run_until(task.done)
    with pytest.raises(LeaseLost):
        task.result()
    calls = len(engine.provider.calls)
    await engine.clock.run_for(1000)
    assert len(engine.provider.calls) == calls
    assert (await engine.job()).state is State.RUNNING


async def test_a_lease_that_is_lost_before_the_intent_keeps_the_provider_uncalled(engine: Engine) -> None:
    await engine.create()
    claimed = await engine.claim()
    await engine.take_over()
    with pytest.raises(LeaseLost):
        await engine.carry(claimed)
    assert engine.provider.calls == []


async def test_a_stop_while_the_intent_is_committed_leaves_no_intent_without_its_call(engine: Engine) -> None:
    write = engine.database.write

    async def stop_meanwhile(body: Any) -> Any:
        if "intend" in body.__qualname__:
            asyncio.get_running_loop().call_soon(task.cancel)
        return await write(body)

    await engine.create()
    claimed = await engine.claim()
    engine.database.write = stop_meanwhile  # type: ignore[method-assign]
    task = asyncio.ensure_future(engine.run_of(claimed).run())
    await engine.clock.run_until(task.done)
    assert task.cancelled()
    (attempt,) = await engine.attempts()
    assert attempt["state"] == "accepted"
    assert engine.provider.asked("submit") == [attempt["id"]]


async def test_an_answer_on_its_way_is_recorded_although_the_worker_stops(engine: Engine) -> None:
    task = await carrying_with_submit_of(engine, LAST_ANSWER_S - 1)
    task.cancel()
    await engine.clock.run_until(task.done)
    assert task.cancelled()
    (attempt,) = await engine.attempts()
    assert attempt["state"] == "accepted"
    assert engine.provider.asked("poll") == []


async def test_stopping_does_not_wait_long_for_an_answer(engine: Engine) -> None:
    task = await carrying_with_submit_of(engine, 1000)
    began_ms = engine.clock.now_ms()
    task.cancel()
    await engine.clock.run_until(task.done)
    assert engine.clock.now_ms() - began_ms == LAST_ANSWER_S * 1000
    (attempt,) = await engine.attempts()
    assert attempt["state"] == "intent"


async def carrying_with_submit_of(engine: Engine, seconds: float) -> asyncio.Future[None]:
    """A job being carried, whose submit is under way and takes so long."""
    submit = engine.provider.submit

    async def submit_slowly(*args: Any, **kwargs: Any) -> Submission:
        submission = await submit(*args, **kwargs)
        await engine.clock.sleep(seconds)
        return submission

    engine.provider.submit = submit_slowly  # type: ignore[method-assign]
    await engine.create()
    task = asyncio.ensure_future(engine.run_of(await engine.claim()).run())
    while not engine.provider.calls:  # noqa: ASYNC110 - the provider is a script without events
        await asyncio.sleep(0.001)
    return task


async def test_a_worker_that_lost_its_lease_stores_and_removes_no_file_of_the_one_that_has_it(engine: Engine) -> None:
    await engine.crash_when(lambda: bool(engine.outputs.kept))
    (left_behind,) = engine.outputs.kept
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert [output.key for output in job.outputs] == [key for key in engine.outputs.kept if key != left_behind]


async def test_a_file_that_a_dead_worker_had_stored_and_not_recorded_is_removed(engine: Engine) -> None:
    await engine.crash_when(lambda: bool(engine.outputs.kept))
    (left_behind,) = engine.outputs.kept
    await engine.carry(await engine.take_over())
    assert await RetentionStore(engine.database).files_to_delete(10) == [left_behind]


async def test_files_of_an_attempt_that_failed_halfway_are_removed(engine: Engine) -> None:
    engine.model = clip_model(n_per_call=2)
    engine.provider.polls = [Done(outputs=({"place": 0}, {"place": 1}))]
    engine.provider.fetches = [b"the end", OutputLost("It is gone")]
    job = await engine.create_and_carry(n=2)
    assert job.state is State.FAILED
    assert set(engine.outputs.kept) <= set(await RetentionStore(engine.database).files_to_delete(10))
