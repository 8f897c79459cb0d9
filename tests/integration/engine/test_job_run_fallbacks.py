"""Carrying jobs that may fall back, and calls that the breaker holds back."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from rushes.domain.fallbacks import FAILURES_TO_GIVE_WAY, Fallbacks
from rushes.domain.job import Job, State
from rushes.domain.progress import Submission
from rushes.domain.tenant import Tenant
from rushes.engine.breaker import FAILURES_TO_OPEN, FIRST_OPEN_S, Breaker, BreakerState, Outcome
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    RushesError,
    SubmissionUnknown,
)
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import clip_model, fallback

NO_CREDIT = ProviderCreditEmpty("the account has no credit left")
REFUSED = ProviderUnavailable("Connection refused", accepted=False)
TIMED_OUT = ProviderUnavailable("Read timed out")
ACCEPTED = Submission(handle={"name": "a"})
SPARE = Fallbacks((fallback(cost_usd=Decimal("1.60")),))


async def carry_on(engine: Engine) -> Job:
    """Carry the job to its end, through all its fallbacks."""
    job = await engine.job()
    while not job.state.is_final:
        job = await engine.carry(await engine.claim())
    return job


async def create_and_carry(engine: Engine, **given: Any) -> Job:
    await engine.create(**{"fallbacks": SPARE, **given})
    return await carry_on(engine)


def open_breaker(engine: Engine) -> Breaker:
    breaker = engine.breaker
    for _ in range(FAILURES_TO_OPEN):
        call = breaker.begin(engine.clock.now_ms())
        assert call is not None
        breaker.end(call, Outcome.UNREACHED, engine.clock.now_ms())
    return breaker


# When it falls back.


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (NO_CREDIT, 1),
        (ProviderAuth("the key is not accepted"), 1),
        (ProviderQuota("used up until tomorrow", retry_after_s=3600), 1),
        (ProviderQuota("busy"), FAILURES_TO_GIVE_WAY),
        (REFUSED, FAILURES_TO_GIVE_WAY),
    ],
)
async def test_a_fallback_takes_over_what_is_surely_not_accepted(
    engine: Engine, error: RushesError, calls: int
) -> None:
    engine.provider.submits = [*[error] * calls, ACCEPTED]
    job = await create_and_carry(engine)
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == calls + 1
    assert (job.provider, job.model) == ("scripted", "clip")
    assert (job.served_provider, job.served_model) == ("spare", "clip")
    (warning,) = job.warnings
    assert warning == (
        f"'spare/clip' serves this request, because 'scripted/clip' did not accept it: {error.message} ({error.code})"
    )
    states = ["queued", "submitting", "rerouted", "submitting", "running", "storing", "succeeded"]
    assert await engine.states() == states


async def test_only_the_model_that_made_the_video_is_charged(engine: Engine) -> None:
    engine.provider.submits = [NO_CREDIT, ACCEPTED]
    job = await create_and_carry(engine, cost_usd=Decimal("3.20"))
    assert job.cost_usd == Decimal("1.60")
    rows = await engine.rows("SELECT SUM(cost_microusd) AS cost, SUM(jobs) AS jobs FROM usage_rollups")
    assert rows == [{"cost": 1_600_000, "jobs": 1}]
    assert [attempt["state"] for attempt in await engine.attempts()] == ["stored"]


async def test_each_fallback_has_its_turn_and_the_last_reason_stands(engine: Engine) -> None:
    engine.provider.submits = [NO_CREDIT]
    spares = Fallbacks((fallback(name="a/1"), fallback(name="b/2")))
    job = await create_and_carry(engine, fallbacks=spares)
    assert job.state is State.FAILED
    assert job.problem is not None
    assert job.problem.code == "provider_quota"
    assert len(engine.provider.asked("submit")) == 3
    assert len(job.warnings) == 2


@pytest.mark.parametrize("error", [ProviderRejected("no such ratio"), ContentFiltered("the prompt was refused")])
async def test_a_refused_request_is_not_shopped_around(engine: Engine, error: RushesError) -> None:
    engine.provider.submits = [error, ACCEPTED]
    job = await create_and_carry(engine)
    assert job.state is State.FAILED
    assert len(engine.provider.asked("submit")) == 1
    assert job.warnings == ()


async def test_a_caller_whose_own_key_is_spent_is_told_so(engine: Engine) -> None:
    engine.provider.submits = [NO_CREDIT, ACCEPTED]
    job = await create_and_carry(engine, sealed_secret="sealed")
    assert job.state is State.FAILED
    assert len(engine.provider.asked("submit")) == 1


# What may have been accepted is never given to another.


async def test_a_submission_whose_fate_is_unknown_is_not_given_to_a_fallback(engine: Engine) -> None:
    engine.provider.submits = [TIMED_OUT, ACCEPTED]
    engine.provider.finds = [SubmissionUnknown("nobody can say")]
    job = await create_and_carry(engine)
    assert job.problem is not None
    assert job.problem.code == "submission_unknown"
    assert len(engine.provider.asked("submit")) == 1


async def test_a_submission_that_is_found_is_not_given_to_a_fallback(engine: Engine) -> None:
    engine.provider.submits = [TIMED_OUT]
    engine.provider.finds = [ACCEPTED]
    job = await create_and_carry(engine)
    assert job.state is State.SUCCEEDED
    assert job.served_provider == "scripted"


async def test_a_submission_that_surely_never_arrived_is_given_to_a_fallback(engine: Engine) -> None:
    engine.provider.submits = [*[TIMED_OUT] * FAILURES_TO_GIVE_WAY, ACCEPTED]
    engine.provider.finds = [None]
    job = await create_and_carry(engine)
    assert job.served_provider == "spare"


async def test_a_lost_answer_of_a_repeatable_submit_keeps_the_job_where_it_is(engine: Engine) -> None:
    engine.model = clip_model(repeatable_submit=True)
    engine.provider.submits = [TIMED_OUT, *[REFUSED] * 10, ACCEPTED]
    job = await create_and_carry(engine)
    assert job.served_provider == "scripted"
    assert len(set(engine.provider.asked("submit"))) == 1


async def test_a_refusal_after_a_lost_answer_keeps_the_attempts_id(engine: Engine) -> None:
    engine.model = clip_model(repeatable_submit=True)
    engine.provider.submits = [TIMED_OUT, ProviderQuota("busy"), ACCEPTED]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert len(set(engine.provider.asked("submit"))) == 1


async def test_a_crash_between_intent_and_answer_is_cleared_up_before_a_fallback_takes_over(engine: Engine) -> None:
    await engine.create(fallbacks=SPARE)
    submit = engine.provider.submit

    async def never_answer(*args: Any, **kwargs: Any) -> Submission:
        await submit(*args, **kwargs)
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    engine.provider.submit = never_answer  # type: ignore[method-assign]
    await engine.crash_carrying(await engine.claim(), lambda: bool(engine.provider.calls))
    engine.provider.submit = submit  # type: ignore[method-assign]
    engine.provider.finds = [None]
    engine.provider.submits = [NO_CREDIT, ACCEPTED]
    await engine.carry(await engine.take_over())
    job = await carry_on(engine)
    assert job.served_provider == "spare"
    assert len(engine.provider.asked("find")) == 1


# Jobs of several calls.


async def test_no_second_call_is_made_before_the_first_is_accepted(engine: Engine) -> None:
    engine.provider.submits = [NO_CREDIT, ACCEPTED, Submission(handle={"name": "b"}), Submission(handle={"name": "c"})]
    job = await create_and_carry(engine, n=3)
    assert job.state is State.SUCCEEDED
    assert len(job.outputs) == 3
    assert len(engine.provider.asked("submit")) == 4


async def test_once_one_call_was_accepted_the_others_do_not_fall_back(engine: Engine) -> None:
    engine.provider.submits = [ACCEPTED, NO_CREDIT]
    job = await create_and_carry(engine, n=2)
    assert job.state is State.SUCCEEDED
    assert job.served_provider == "scripted"
    assert len(job.outputs) == 1


async def test_a_job_whose_first_call_was_refused_tries_the_others_where_it_is(engine: Engine) -> None:
    engine.provider.submits = [ContentFiltered("No"), ACCEPTED]
    job = await create_and_carry(engine, n=2)
    assert job.state is State.SUCCEEDED
    assert job.served_provider == "scripted"


# The breaker.


async def test_an_open_breaker_lets_a_fallback_take_over_before_anything_is_called(engine: Engine) -> None:
    open_breaker(engine)
    await engine.create(fallbacks=SPARE)
    began_ms = engine.clock.now_ms()
    job = await engine.carry(await engine.claim())
    assert job.state is State.QUEUED
    assert job.served_provider == "spare"
    assert engine.provider.calls == []
    assert engine.clock.now_ms() == began_ms


async def test_a_job_without_fallbacks_waits_for_an_open_breaker_and_probes(engine: Engine) -> None:
    breaker = open_breaker(engine)
    began_ms = engine.clock.now_ms()
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert job.started_at is not None
    assert job.started_at - began_ms == FIRST_OPEN_S * 1000
    assert breaker.is_untroubled


async def test_a_job_that_waits_for_an_open_breaker_can_be_cancelled(engine: Engine) -> None:
    open_breaker(engine)
    await engine.create()
    task = asyncio.ensure_future(engine.run_of(await engine.claim()).run())
    await engine.clock.settle()
    await engine.jobs.cancel(Tenant("acct_1"), "job_1")
    await engine.clock.run_until(task.done)
    assert (await engine.job()).state is State.CANCELLED
    assert engine.provider.calls == []
    assert task.exception() is not None


async def test_calls_that_find_nobody_open_the_breaker(engine: Engine) -> None:
    engine.provider.submits = [REFUSED]
    await engine.create(deadline_s=120)
    task = asyncio.ensure_future(engine.run_of(await engine.claim()).run())
    await engine.clock.run_until(lambda: len(engine.provider.asked("submit")) == FAILURES_TO_OPEN)
    await engine.clock.settle()
    assert engine.breaker.state(engine.clock.now_ms()) is BreakerState.OPEN
    await engine.clock.run_until(task.done)
    assert (await engine.job()).state is State.EXPIRED


async def test_a_refusal_is_an_answer_to_the_breaker(engine: Engine) -> None:
    engine.provider.submits = [*[ProviderQuota("busy")] * 20, ACCEPTED]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert engine.breaker.is_untroubled


# With a worker.


async def test_many_jobs_of_a_dead_provider_arrive_at_the_fallback_no_faster_than_its_lane_takes(
    engine: Engine,
) -> None:
    running: set[str] = set()
    most = 0
    poll = engine.provider.poll

    async def submit(model: Any, request: Any, *, attempt_id: str, **_: Any) -> Submission:
        nonlocal most
        jobs = await engine.rows(
            "SELECT served_provider FROM jobs JOIN attempts ON job_id = jobs.id WHERE attempts.id = :id", id=attempt_id
        )
        if jobs[0]["served_provider"] == "scripted":
            raise NO_CREDIT
        running.add(attempt_id)
        most = max(most, len(running))
        return Submission(handle={"name": attempt_id})

    async def poll_and_count(handle: Any, **given: Any) -> Any:
        running.discard(str(handle["name"]))
        return await poll(handle, **given)

    engine.provider.submit = submit  # type: ignore[method-assign]
    engine.provider.poll = poll_and_count  # type: ignore[method-assign]
    worker = engine.worker()
    for number in range(12):
        await engine.create(number, fallbacks=Fallbacks((fallback(lane_capacity=2),)))
    await worker.start(alone=True)

    async def all_ended() -> None:
        while not all(State(state).is_final for state in await engine.statuses()):
            await engine.clock.sleep(1)

    await engine.clock.run(all_ended())
    assert set(await engine.statuses()) == {"succeeded"}
    assert most == 2
