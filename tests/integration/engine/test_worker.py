from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rushes.domain.job import Job, State
from rushes.domain.progress import Submission, Working
from rushes.engine.job_resources import JobResources
from rushes.errors import NoCredentials, NotCancellable
from tests.fixtures.engine import LEASE_S, Engine
from tests.fixtures.new_jobs import ACCOUNT, clip_model
from tests.fixtures.scripted_provider import DONE


async def all_ended(engine: Engine, jobs: int) -> None:
    """Let time pass until so many jobs have ended, looking every second."""

    async def look() -> None:
        while True:
            rows = await engine.rows("SELECT COUNT(*) AS ended FROM jobs WHERE completed_at IS NOT NULL")
            if rows[0]["ended"] >= jobs:
                return
            await engine.clock.sleep(1)

    await engine.clock.run(look())


async def test_jobs_are_carried_out(engine: Engine) -> None:
    worker = engine.worker()
    await worker.start(alone=True)
    for number in range(20):
        await engine.create(number)
    await all_ended(engine, 20)
    assert set(await engine.statuses()) == {"succeeded"}
    await engine.clock.settle()
    assert worker.in_flight == 0


async def test_a_job_is_found_although_its_wake_up_was_lost(engine: Engine) -> None:
    engine.database.is_deaf = True
    await engine.worker().start(alone=True)
    await engine.clock.settle()
    began_ms = engine.clock.now_ms()
    await engine.create()
    await engine.clock.run_until(lambda: bool(engine.provider.asked("submit")))
    assert engine.clock.now_ms() > began_ms


async def test_a_new_job_is_taken_up_at_once(engine: Engine) -> None:
    worker = engine.worker()
    await worker.start(alone=True)
    await engine.clock.settle()
    began_ms = engine.clock.now_ms()
    await engine.create()
    await engine.clock.settle()
    assert engine.provider.asked("submit")
    assert engine.clock.now_ms() == began_ms


async def test_what_a_worker_that_stops_gives_back_is_taken_up_by_another_at_once(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    first = engine.worker()
    await engine.create()
    await first.start(alone=True)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("poll")))
    second = engine.worker("worker_2")
    await second.start(alone=False)
    await engine.clock.run_for(1)
    assert (first.in_flight, second.in_flight) == (1, 0)
    began_ms = engine.clock.now_ms()
    await first.stop()
    await engine.clock.settle()
    assert second.in_flight == 1
    assert engine.clock.now_ms() == began_ms


async def test_a_slot_that_is_free_again_is_told_to_those_that_wait_for_it(engine: Engine) -> None:
    for number in (1, 2):
        await engine.create(number, lane_capacity=1)
    claimed = await engine.claim()
    await engine.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    heard: list[str] = []
    engine.leases("worker_2").listen(heard.append)
    await engine.leases().record(claimed).begin_storing()
    assert heard == [""]
    last = await engine.claim()
    await engine.leases().record(last).intend(attempt_id="att_2", part=0, n=1)
    await engine.leases().record(last).begin_storing()
    assert heard == [""]


async def test_no_more_than_a_lanes_capacity_is_at_the_provider_at_once(engine: Engine) -> None:
    engine.model = clip_model(concurrency=2)
    most = await most_at_once(engine, engine.worker(), jobs=9)
    assert most == 2


async def test_no_more_jobs_are_in_flight_than_the_worker_takes(engine: Engine) -> None:
    assert await most_at_once(engine, engine.worker(most_in_flight=3), jobs=9) == 3


async def most_at_once(engine: Engine, worker: Any, *, jobs: int) -> int:
    """How many generations ran at the provider at once, at most, until all jobs had ended."""
    running: set[str] = set()
    most = 0
    submit, poll = engine.provider.submit, engine.provider.poll

    async def submit_and_count(*args: Any, **kwargs: Any) -> Submission:
        nonlocal most
        submission = await submit(*args, **kwargs)
        running.add(str(submission.handle["name"]))
        most = max(most, len(running))
        engine.provider.polls_of[str(submission.handle["name"])] = [Working(), Working(), DONE]
        return submission

    async def poll_and_count(handle: Any, **kwargs: Any) -> Any:
        progress = await poll(handle, **kwargs)
        if progress is DONE:
            running.discard(str(handle["name"]))
        return progress

    engine.provider.submit = submit_and_count  # type: ignore[method-assign]
    engine.provider.poll = poll_and_count  # type: ignore[method-assign]
    for number in range(jobs):
        await engine.create(number)
    await worker.start(alone=True)
    await all_ended(engine, jobs)
    return most


async def test_a_held_job_is_submitted_when_its_hold_ends_and_not_before(engine: Engine) -> None:
    worker = engine.worker()
    await worker.start(alone=True)
    await engine.create(hold_s=3)
    await engine.clock.run_for(2.9)
    assert engine.provider.calls == []
    await engine.clock.run_for(0.2)
    assert len(engine.provider.asked("submit")) == 1


async def test_a_job_cancelled_while_held_never_reaches_the_provider(engine: Engine) -> None:
    worker = engine.worker()
    await worker.start(alone=True)
    await engine.create(hold_s=3)
    await engine.clock.run_for(2)
    await engine.jobs.cancel(ACCOUNT, "job_1")
    await engine.clock.run_for(100)
    assert engine.provider.calls == []


async def test_a_submitted_job_can_no_longer_be_cancelled(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    worker = engine.worker()
    await engine.create()
    await worker.start(alone=True)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("submit")))
    with pytest.raises(NotCancellable, match="in_progress"):
        await engine.jobs.cancel(ACCOUNT, "job_1")


async def test_stopping_gives_the_jobs_back_and_the_next_worker_goes_on(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    worker = engine.worker()
    await engine.create()
    await worker.start(alone=True)
    await engine.clock.run_until(lambda: len(engine.provider.asked("poll")) > 2)
    await engine.clock.run(worker.stop())
    assert await engine.rows("SELECT id FROM jobs WHERE lease IS NOT NULL OR worker_id IS NOT NULL") == []
    assert await engine.rows("SELECT id FROM workers") == []
    engine.provider.polls = [DONE]
    await engine.worker("worker_2").start(alone=False)
    await all_ended(engine, 1)
    assert len(engine.provider.asked("submit")) == 1


async def test_stopping_in_the_middle_of_any_write_loses_nothing(engine: Engine) -> None:
    engine.provider.submits = [Submission(handle={"name": "a"}, progress=DONE)]
    for number in range(12):
        await engine.create(number)
    round_number = 0
    while set(await engine.statuses()) != {"succeeded"}:
        round_number += 1
        assert round_number < 100
        worker = engine.worker(f"worker_{round_number}", most_in_flight=3)
        await worker.start(alone=True)
        for _ in range(round_number):
            await asyncio.sleep(0.0005)
            engine.clock.advance(0)
        await engine.clock.run(worker.stop())
        assert await engine.rows("SELECT id FROM jobs WHERE lease IS NOT NULL") == []
        submits = engine.provider.asked("submit")
        assert len(submits) == len(set(submits))
    assert await engine.rows("SELECT lane FROM lanes WHERE ready <> 0 OR in_use <> 0") == []


async def test_the_jobs_of_a_dead_worker_are_taken_over_when_its_lease_ends(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.create()
    claimed = await engine.claim("worker_that_dies")
    await engine.leases("worker_that_dies").record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await engine.leases("worker_that_dies").record(claimed).accept("att_1", Submission({"name": "a"}))
    began_ms = engine.clock.now_ms()
    await engine.worker("worker_2").start(alone=False)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("poll")))
    assert LEASE_S * 1000 < engine.clock.now_ms() - began_ms < LEASE_S * 2000
    assert engine.provider.asked("submit") == []


async def test_two_workers_never_carry_the_same_job(engine: Engine) -> None:
    for number in range(40):
        await engine.create(number)
    for name in ("worker_1", "worker_2"):
        await engine.worker(name, most_in_flight=5).start(alone=False)
    await all_ended(engine, 40)
    assert len(engine.provider.asked("submit")) == 40
    assert set(await engine.statuses()) == {"succeeded"}


async def test_a_worker_that_cannot_show_that_it_lives_drops_its_jobs(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    worker = engine.worker()
    await engine.create()
    await worker.start(alone=False)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("poll")))
    engine.database.down = True
    await engine.clock.run_for(2 * LEASE_S)
    assert worker.in_flight == 0
    engine.database.down = False
    engine.provider.polls = [DONE]
    await all_ended(engine, 1)
    assert await engine.statuses() == ["succeeded"]
    assert len(engine.provider.asked("submit")) == 1


async def test_a_lone_worker_keeps_an_accepted_job_however_long_the_disk_is_full(engine: Engine) -> None:
    submit = engine.provider.submit

    async def submit_as_the_disk_fills(*args: Any, **kwargs: Any) -> Submission:
        engine.database.down = True
        return await submit(*args, **kwargs)

    engine.provider.submit = submit_as_the_disk_fills  # type: ignore[method-assign]
    await engine.create()
    await engine.worker().start(alone=True)
    await engine.clock.run_until(lambda: engine.database.down)
    await engine.clock.run_for(600)
    engine.database.down = False
    await all_ended(engine, 1)
    assert await engine.statuses() == ["succeeded"]
    assert len(engine.provider.asked("submit")) == 1


async def no_tools(job: Job) -> JobResources:
    raise NoCredentials("Model 'scripted/clip' can no longer be served")


async def test_a_job_whose_provider_is_gone_fails_and_says_so(engine: Engine) -> None:
    await engine.create()
    await engine.worker_with(no_tools).start(alone=True)
    await all_ended(engine, 1)
    job = await engine.job()
    assert job.state is State.FAILED
    assert job.problem is not None
    assert job.problem.code == "no_credentials"
    assert engine.clock.now_ms() < job.deadline_at


async def test_an_accepted_job_whose_provider_is_gone_waits_until_its_deadline_for_it_to_come_back(
    engine: Engine,
) -> None:
    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: bool(engine.provider.asked("poll")))
    await engine.worker_with(no_tools).start(alone=True)
    await engine.clock.run_for(600)
    assert (await engine.job()).state is State.RUNNING
    await all_ended(engine, 1)
    assert (await engine.job()).state is State.FAILED


async def test_a_job_that_fails_in_an_unforeseen_way_is_tried_again(engine: Engine) -> None:
    tries: list[str] = []

    async def resources_for(job: Job) -> JobResources:
        tries.append(job.id)
        if len(tries) < 4:
            raise RuntimeError("a bug")
        return engine.resources()

    await engine.create()
    await engine.worker_with(resources_for).start(alone=True)
    await all_ended(engine, 1)
    assert (await engine.job()).state is State.SUCCEEDED


async def test_a_job_that_always_fails_in_an_unforeseen_way_ends_after_its_deadline(engine: Engine) -> None:
    async def resources_for(job: Job) -> JobResources:
        raise RuntimeError("a bug with a secret in it")

    await engine.create(deadline_s=60)
    await engine.worker_with(resources_for).start(alone=True)
    await all_ended(engine, 1)
    job = await engine.job()
    assert job.problem is not None
    assert "secret" not in job.problem.message


async def test_a_job_set_back_while_the_database_is_away_is_not_forgotten(engine: Engine) -> None:
    tries: list[str] = []

    async def resources_for(job: Job) -> JobResources:
        tries.append(job.id)
        if len(tries) == 1:
            engine.database.down = True
            raise RuntimeError("a bug")
        return engine.resources()

    await engine.create()
    await engine.worker_with(resources_for).start(alone=True)
    await engine.clock.run_for(60)
    engine.database.down = False
    await all_ended(engine, 1)
    assert await engine.statuses() == ["succeeded"]


async def test_a_job_stuck_in_the_queue_expires_at_its_deadline(engine: Engine) -> None:
    engine.model = clip_model(concurrency=1)
    engine.provider.polls = [Working()]
    await engine.create("first", deadline_s=10_000)
    await engine.create("second", deadline_s=60)
    await engine.worker().start(alone=True)
    await engine.clock.run_for(66)
    assert await engine.statuses() == ["running", "expired"]
    assert len(engine.provider.asked("submit")) == 1


async def test_claiming_goes_on_after_an_unforeseen_error(engine: Engine) -> None:
    write = engine.database.write
    failures = iter([RuntimeError("a bug")])

    async def write_or_fail(body: Any) -> Any:
        if "claim" in body.__qualname__:
            for failure in failures:
                raise failure
        return await write(body)

    engine.database.write = write_or_fail  # type: ignore[method-assign]
    await engine.create()
    await engine.worker().start(alone=True)
    await all_ended(engine, 1)
