"""A worker that was frozen, cut off from its database or misled by a clock submits nothing that is not its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from rushes.domain.job import Job, State
from rushes.domain.progress import Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.engine.claims import ClaimStore
from rushes.engine.job_record import LATE_ANSWER, Claim
from rushes.engine.job_resources import JobResources
from rushes.engine.lease_clock import LAST_ANSWER_S, SUBMIT_SHARE, LeaseClock
from rushes.engine.worker import Worker, WorkerLimits
from rushes.errors import DatabaseUnavailable, LeaseLost, SubmissionUnknown
from rushes.operations.recovery import RecoveryStore
from tests.fixtures.clocks import ManualClock
from tests.fixtures.engine import LEASE_S, Engine
from tests.fixtures.frozen import Freezer, FreezingClock, FreezingDatabase
from tests.fixtures.scripted_provider import DONE

# What it is worth by itself.


def lease_clock(clock: ManualClock) -> LeaseClock:
    return LeaseClock(clock, lease_s=LEASE_S, alone=False)


def test_a_fresh_lease_lets_its_worker_submit() -> None:
    assert lease_clock(ManualClock()).epoch().may_submit


def test_some_of_the_lease_must_be_left_for_the_call() -> None:
    clock = ManualClock()
    term = lease_clock(clock).epoch()
    clock.advance(LEASE_S * SUBMIT_SHARE - 0.1)
    assert term.may_submit
    clock.advance(0.2)
    assert not term.may_submit


@pytest.mark.parametrize("jump_s", [0, -7200, 7200])
def test_a_lease_ends_whatever_the_wall_clock_says(jump_s: float) -> None:
    clock = ManualClock()
    held = lease_clock(clock)
    clock.jump(jump_s)
    clock.advance(LEASE_S)
    assert held.left_s <= 0
    assert not held.epoch().may_submit


def test_a_term_that_was_interrupted_is_not_resumed_by_a_new_heartbeat() -> None:
    clock = ManualClock()
    held = lease_clock(clock)
    before = held.epoch()
    held.lose()
    held.renew(held.now())
    held.regain()
    assert not before.may_submit
    assert held.epoch().may_submit


def test_alone_a_worker_may_submit_however_late_its_heartbeat_is() -> None:
    clock = ManualClock()
    held = LeaseClock(clock, lease_s=LEASE_S, alone=True)
    clock.advance(3600)
    assert held.epoch().may_submit


# A worker that can be frozen, beside one that cannot.


class Freezable:
    """A worker of its own process. `freeze_after` names the transaction after whose commit it stands still."""

    def __init__(self, engine: Engine, *, freeze_after: str, last_first: bool = False) -> None:
        self.freezer = Freezer(last_first=last_first)
        self._freeze_after = freeze_after
        clock = FreezingClock(engine.clock, self.freezer)
        leases = ClaimStore(FreezingDatabase(engine.database, self.freezer, self._written), "worker_1", clock=clock)

        async def resources_for(job: Job) -> JobResources:
            return replace(engine.resources(), clock=clock)

        self.worker = Worker(leases, resources_for, clock, WorkerLimits(lease_s=LEASE_S))
        engine.workers.append(self.worker)

    def _written(self, name: str) -> None:
        if f".{self._freeze_after}." in name:
            self._freeze_after = "nothing more"
            self.freezer.frozen = True

    def is_frozen(self) -> bool:
        return self.freezer.frozen


CANNOT_TELL = SubmissionUnknown("Nobody can say whether it was accepted; it may be charged")


@pytest.mark.parametrize("last_first", [False, True])
@pytest.mark.parametrize("freeze_after", ["claim", "intend"])
async def test_a_worker_frozen_before_it_submits_leaves_the_job_to_whoever_has_taken_it_over(
    engine: Engine, freeze_after: str, last_first: bool
) -> None:
    engine.provider.finds = [CANNOT_TELL]
    await engine.create()
    frozen = Freezable(engine, freeze_after=freeze_after, last_first=last_first)
    await frozen.worker.start(alone=False)
    await engine.clock.run_until(frozen.is_frozen)
    await engine.worker("worker_2").start(alone=False)
    await engine.clock.run_for(3 * LEASE_S)
    submitted = list(engine.provider.asked("submit"))
    # What nobody had begun the other worker submits; what may have been submitted nobody submits again.
    assert len(submitted) == (1 if freeze_after == "claim" else 0)
    frozen.freezer.thaw()
    await engine.clock.run_for(100)
    assert engine.provider.asked("submit") == submitted
    job = await engine.job()
    assert job.state is (State.SUCCEEDED if freeze_after == "claim" else State.FAILED)


@pytest.mark.parametrize("last_first", [False, True])
@pytest.mark.parametrize("freeze_after", ["claim", "intend"])
async def test_a_worker_that_thaws_before_anybody_takes_over_submits_once(
    engine: Engine, freeze_after: str, last_first: bool
) -> None:
    engine.provider.finds = [CANNOT_TELL]
    await engine.create()
    frozen = Freezable(engine, freeze_after=freeze_after, last_first=last_first)
    await frozen.worker.start(alone=False)
    await engine.clock.run_until(frozen.is_frozen)
    engine.clock.advance(2 * LEASE_S)
    frozen.freezer.thaw()
    await engine.clock.run_for(300)
    assert len(engine.provider.asked("submit")) == 1
    assert (await engine.job()).state is State.SUCCEEDED


async def test_input_media_that_take_longer_than_the_lease_keep_the_provider_uncalled(engine: Engine) -> None:
    """Reading media can wait for a slow disk between our look at the lease and the call."""
    held = LeaseClock(engine.clock, lease_s=LEASE_S, alone=False)

    async def read_slowly(_: Any) -> bytes:
        await engine.clock.sleep(LEASE_S)
        return b"image"

    engine.read_media = read_slowly
    media = InputMedia(role=Role.INPUT_IMAGE, key="inputs/x", content_type="image/png", size_bytes=1, sha256="x")
    claimed = await claimed_with(engine, VideoRequest(prompt="A dog", media=(media,)))
    accepted: list[str] = []
    submit = engine.provider.submit

    async def submit_and_tell(*args: Any, **kwargs: Any) -> Submission:
        submission = await submit(*args, **kwargs)
        accepted.append("yes")
        return submission

    engine.provider.submit = submit_and_tell  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        await engine.clock.run(engine.run_of(claimed, held.epoch()).run())
    assert accepted == []
    assert await engine.attempts() == []


async def claimed_with(engine: Engine, request: VideoRequest) -> Claim:
    await engine.create()
    claimed = await engine.claim()
    return replace(claimed, request=request.to_json())


async def test_an_answer_that_comes_after_the_lease_is_lost_is_left_to_the_operator(engine: Engine) -> None:
    engine.provider.finds = [CANNOT_TELL]
    engine.provider.submits = [Submission(handle={"name": "a"}, provider_video_id="video-77")]
    submit = engine.provider.submit
    await engine.create()
    frozen = Freezable(engine, freeze_after="nothing")

    async def submit_and_freeze(*args: Any, **kwargs: Any) -> Submission:
        submission = await submit(*args, **kwargs)
        frozen.freezer.frozen = True
        await frozen.freezer.passed()
        return submission

    engine.provider.submit = submit_and_freeze  # type: ignore[method-assign]
    await frozen.worker.start(alone=False)
    await engine.clock.run_until(frozen.is_frozen)
    await engine.worker("worker_2").start(alone=False)
    await engine.clock.run_for(3 * LEASE_S)
    before = await engine.job()
    assert before.problem is not None
    assert before.problem.code == "submission_unknown"
    with capture_logs() as logs:
        frozen.freezer.thaw()
        await engine.clock.run_for(60)
    (told,) = [line for line in logs if line["event"] == "answer_came_too_late"]
    assert (told["log_level"], told["provider_video_id"], told["job_id"]) == ("error", "video-77", "job_1")
    causes = await engine.rows("SELECT cause FROM job_events ORDER BY seq DESC LIMIT 1")
    assert causes[0]["cause"].startswith(LATE_ANSWER)
    assert "'video-77'" in causes[0]["cause"]
    assert await RecoveryStore(engine.database).late_answers("job_1") == [causes[0]["cause"]]
    assert await engine.job() == before
    assert len(engine.provider.asked("submit")) == 1


# The heartbeat.


async def test_a_worker_that_stops_keeps_its_leases_until_the_last_answer_has_come(engine: Engine) -> None:
    answer = asyncio.Event()
    submit = engine.provider.submit

    async def submit_slowly(*args: Any, **kwargs: Any) -> Submission:
        submission = await submit(*args, **kwargs)
        await answer.wait()
        return submission

    engine.provider.submit = submit_slowly  # type: ignore[method-assign]
    engine.provider.finds = [CANNOT_TELL]
    await engine.create()
    leases = engine.leases("worker_1")

    async def resources_for(job: Job) -> JobResources:
        return engine.resources()

    limits = WorkerLimits(lease_s=LEASE_S, last_answer_s=4 * LEASE_S)
    stopping = Worker(leases, resources_for, engine.clock, limits)
    await stopping.start(alone=False)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("submit")))
    stopped = asyncio.create_task(stopping.stop())
    await engine.worker("worker_2").start(alone=False)
    await engine.clock.run_for(3 * LEASE_S)
    answer.set()
    await engine.clock.run(stopping.stop())
    await stopped
    await engine.clock.run_for(LEASE_S)
    assert (await engine.job()).problem is None
    assert len(engine.provider.asked("submit")) == 1


async def test_a_heartbeat_that_hangs_does_not_keep_a_worker_believing_that_it_lives(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.create()
    worker = engine.worker()
    await worker.start(alone=False)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("poll")))
    write = engine.database.write
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def hang(body: Any) -> Any:
        return await asyncio.shield(never)

    engine.database.write = hang  # type: ignore[method-assign]
    began_ms = engine.clock.now_ms()
    await engine.clock.run_until(lambda: worker.in_flight == 0)
    assert engine.clock.now_ms() - began_ms <= LEASE_S * 1000
    had_leases = [worker.has_leases]
    engine.database.write = write  # type: ignore[method-assign]
    engine.provider.polls = [DONE]
    await engine.clock.run_for(5 * LEASE_S)
    had_leases.append(worker.has_leases)
    assert had_leases == [False, True]
    assert (await engine.job()).state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1
    never.cancel()


async def test_a_late_answer_is_still_recorded_if_nobody_has_taken_the_job_over(engine: Engine) -> None:
    """Leases run out while a submit is under way; the database is back before the answer is."""
    submit = engine.provider.submit
    await engine.create()
    worker = engine.worker()

    async def submit_slowly(*args: Any, **kwargs: Any) -> Submission:
        submission = await submit(*args, **kwargs)
        await engine.clock.sleep(LEASE_S + LAST_ANSWER_S / 2)
        return submission

    engine.provider.submit = submit_slowly  # type: ignore[method-assign]
    engine.provider.finds = [CANNOT_TELL]
    await worker.start(alone=False)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("submit")))
    engine.database.down = True
    await engine.clock.run_for(LEASE_S + 0.5)
    engine.database.down = False
    await engine.clock.run_for(100)
    assert (await engine.job()).state is State.SUCCEEDED
    assert engine.provider.asked("find") == []


# Clocks that jump, on a machine of its own.


@pytest.mark.parametrize("jump_s", [6 * 3600, -6 * 3600])
async def test_a_wall_clock_that_is_set_by_hours_ends_no_running_job(engine: Engine, jump_s: float) -> None:
    engine.provider.polls = [Working()]
    await engine.create()
    worker = engine.worker()
    await worker.start(alone=True)
    await engine.clock.run_until(lambda: len(engine.provider.asked("poll")) > 2)
    engine.clock.jump(jump_s)
    await engine.clock.run_for(60)
    assert (await engine.job()).state is State.RUNNING
    engine.provider.polls = [DONE]
    await engine.clock.run_for(60)
    assert (await engine.job()).state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1


async def test_a_wall_clock_set_back_does_not_keep_a_job_running_beyond_its_time(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    job = await engine.create()
    await engine.worker().start(alone=True)
    await engine.clock.run_until(lambda: len(engine.provider.asked("poll")) > 2)
    engine.clock.jump(-6 * 3600)
    await engine.clock.run_for((job.deadline_at - job.created_at) / 1000)
    assert (await engine.job()).state is State.EXPIRED


@pytest.mark.parametrize("freeze_after", ["beat", "intend", "accept", "begin_storing"])
async def test_a_lone_worker_that_was_frozen_goes_on_and_loses_nothing(engine: Engine, freeze_after: str) -> None:
    # At a heartbeat all jobs are in the middle of their polling.
    engine.provider.polls = [Working()] if freeze_after == "beat" else []
    for number in range(5):
        await engine.create(number)
    frozen = Freezable(engine, freeze_after="nothing")
    await frozen.worker.start(alone=True)
    frozen._freeze_after = freeze_after
    await engine.clock.run_until(frozen.is_frozen)
    engine.clock.advance(10 * LEASE_S)
    frozen.freezer.thaw()
    with capture_logs() as logs:
        await engine.clock.run_for(300)
        engine.provider.polls = [DONE]
        await engine.clock.run_for(300)
    assert [line for line in logs if line["event"] == "lease_lost"] == []
    assert set(await engine.statuses()) == {"succeeded"}
    assert len(engine.provider.asked("submit")) == 5
    assert engine.provider.asked("find") == []


# The database goes away in the middle of a step: it has done what it was asked for, and the answer is lost.


STEPS = ["claim", "intend", "accept", "begin_storing", "keep", "succeed", "beat"]


def calls_with(step: str) -> int:
    """How many calls a job takes that comes by this step: the videos of a single one are kept with the job's end."""
    return 2 if step == "keep" else 1


@pytest.mark.parametrize("step", STEPS)
async def test_a_write_that_was_made_and_whose_answer_was_lost_is_no_trouble(engine: Engine, step: str) -> None:
    write = engine.database.write
    lost: list[str] = []

    async def lose_one_answer(body: Callable[..., Any]) -> Any:
        answer = await write(body)
        if f".{step}." in body.__qualname__ and not lost and armed:
            lost.append(body.__qualname__)
            raise DatabaseUnavailable("the connection is gone")
        return answer

    armed = False
    engine.database.write = lose_one_answer  # type: ignore[method-assign]
    await engine.create(n=calls_with(step))
    await engine.worker().start(alone=False)
    armed = True
    await engine.clock.run_for(300)
    assert len(lost) == 1
    assert (await engine.job()).state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == calls_with(step)
    assert await engine.rows("SELECT id FROM jobs WHERE lease IS NOT NULL") == []
    assert await engine.rows("SELECT lane FROM lanes WHERE ready <> 0 OR in_use <> 0") == []


@pytest.mark.parametrize("step", STEPS)
async def test_a_database_that_goes_away_at_any_step_for_longer_than_the_lease_is_waited_for(
    engine: Engine, step: str
) -> None:
    write = engine.database.write
    armed = False

    async def go_away(body: Callable[..., Any]) -> Any:
        nonlocal armed
        if armed and f".{step}." in body.__qualname__:
            armed = False
            engine.database.down = True
        return await write(body)

    engine.database.write = go_away  # type: ignore[method-assign]
    await engine.create(n=calls_with(step))
    await engine.worker().start(alone=False)
    armed = True
    await engine.clock.run_until(lambda: engine.database.down)
    await engine.clock.run_for(10 * LEASE_S)
    engine.database.down = False
    await engine.clock.run_for(300)
    job = await engine.job()
    if step == "accept":
        # The answer could not be recorded in time: the provider is asked, and here it knows of none.
        assert engine.provider.asked("find")
    else:
        assert len(engine.provider.asked("submit")) == calls_with(step)
    assert job.state is State.SUCCEEDED
