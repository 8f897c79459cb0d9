"""An operator ends a job, wherever it is: what was not submitted never is, and what runs is stopped where possible."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from rushes.domain.fallbacks import Fallbacks
from rushes.domain.job import Job, State, Status
from rushes.domain.progress import Failed, Progress, Submission, Working
from rushes.engine.stopping import CANCEL_TRIES, LAST_POLLS
from rushes.engine.worker import ABORT_POLL_S
from rushes.errors import (
    JobNotFound,
    LeaseLost,
    NotAbortable,
    ProviderRejected,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedOption,
)
from rushes.operations.abort import AbortStore
from rushes.operations.recovery import RecoveryStore
from rushes.views.job import usage
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import ACCOUNT, clip_model, fallback
from tests.fixtures.scripted_provider import DONE

CANNOT_TELL = SubmissionUnknown("Nobody can say whether it was accepted; it may be charged")
STOPPED = Failed(ProviderRejected("the generation was cancelled"))
GONE = ProviderUnavailable("nobody answers")


def aborts(engine: Engine) -> AbortStore:
    return AbortStore(engine.database)


async def books_are_right(engine: Engine) -> None:
    assert await engine.rows("SELECT ready, in_use FROM lanes WHERE ready <> 0 OR in_use <> 0") == []
    rows = await engine.rows("SELECT status, jobs FROM job_counts WHERE jobs <> 0")
    assert sum(row["jobs"] for row in rows) == len(await engine.rows("SELECT id FROM jobs"))


async def aborted_while(engine: Engine, condition: Callable[[], bool], **given: Any) -> Job:
    """The job after a worker carried it, and an operator aborted it when this was so."""
    await engine.create(**given)
    await engine.worker().start(alone=True)
    await engine.clock.run_until(condition)
    await aborts(engine).request("job_1")
    await engine.clock.run_for(300)
    await books_are_right(engine)
    return await engine.job()


def polled(engine: Engine) -> Callable[[], bool]:
    return lambda: len(engine.provider.asked("poll")) > 2


# Before it is submitted.


async def test_a_waiting_job_ends_at_once_and_costs_nothing(engine: Engine) -> None:
    await engine.create(hold_s=60)
    job = await aborts(engine).request("job_1")
    assert (job.status, job.cost_usd) == (Status.FAILED, Decimal(0))
    assert job.problem is not None
    assert job.problem.code == "aborted"
    assert "nothing was charged" in job.problem.message
    await books_are_right(engine)
    await engine.worker().start(alone=True)
    await engine.clock.run_for(100)
    assert engine.provider.calls == []


async def test_a_job_that_was_claimed_and_not_begun_is_never_submitted(engine: Engine) -> None:
    await engine.create()
    claimed = await engine.claim()
    await aborts(engine).request("job_1")
    with pytest.raises(LeaseLost):
        await engine.carry(claimed)
    assert engine.provider.calls == []
    await books_are_right(engine)


async def test_a_job_that_is_refused_again_and_again_ends_before_its_next_submission(engine: Engine) -> None:
    # A pause longer than the worker takes to notice the operator's word, whatever chance does to it.
    engine.provider.submits = [ProviderUnavailable("nobody answers", accepted=False, retry_after_s=20)]
    job = await aborted_while(engine, lambda: len(engine.provider.asked("submit")) == 3)
    assert (job.state, job.problem and job.problem.code) == (State.FAILED, "aborted")
    assert usage(job).cost == 0
    assert len(engine.provider.asked("submit")) == 3


async def test_an_aborted_job_goes_to_no_fallback(engine: Engine) -> None:
    engine.provider.submits = [ProviderUnavailable("nobody answers", accepted=False, retry_after_s=20)]
    fallbacks = Fallbacks((fallback(lane="other"),))
    job = await aborted_while(engine, lambda: len(engine.provider.asked("submit")) == 2, fallbacks=fallbacks)
    assert (job.problem and job.problem.code) == "aborted"
    assert job.served_provider == "scripted"
    assert len(engine.provider.asked("submit")) == 2


# While it runs.

CANCELS: dict[str, tuple[bool, list[Exception | None], list[Progress | Exception], int, str]] = {
    "stopped": (True, [], [STOPPED], 1, "has stopped it"),
    "agreed, and never confirmed": (True, [], [Working()], 1, "has not confirmed it yet"),
    "agreed, and then silent": (True, [], [GONE], 1, "has not confirmed it yet"),
    "too late": (True, [ProviderRejected("too late")], [Working()], 1, "could no longer cancel it"),
    "not offered after all": (True, [UnsupportedOption("no", field="cancel")], [Working()], 1, "goes on there"),
    "not offered": (False, [], [Working()], 0, "goes on there"),
    "unreachable": (True, [GONE], [GONE], CANCEL_TRIES, "could not be reached"),
    "the adapter breaks": (True, [RuntimeError("a bug")], [RuntimeError("a bug")], 1, "could not be reached"),
}


@pytest.mark.parametrize("case", CANCELS)
async def test_a_running_job_is_cancelled_at_its_provider_where_that_is_possible(engine: Engine, case: str) -> None:
    can_cancel, cancels, polls, calls, words = CANCELS[case]
    engine.model = clip_model(can_cancel=can_cancel)
    engine.provider.cancels = cancels
    engine.provider.polls = [Working(), Working(), Working(), *polls]
    job = await aborted_while(engine, polled(engine))
    assert (job.state, job.problem and job.problem.code) == (State.FAILED, "aborted")
    assert job.problem is not None
    assert words in job.problem.message
    assert "may be charged" in job.problem.message
    assert (usage(job).cost, usage(job).estimated) == (3.2, True)
    assert len(engine.provider.asked("cancel")) == calls
    assert len(engine.provider.asked("poll")) <= 3 + LAST_POLLS
    assert len(engine.provider.asked("submit")) == 1


@pytest.mark.parametrize("cancels", [[], [ProviderRejected("too late")]])
async def test_a_generation_that_was_finished_meanwhile_is_kept(
    engine: Engine, cancels: list[Exception | None]
) -> None:
    engine.model = clip_model(can_cancel=True)
    engine.provider.cancels = cancels
    engine.provider.polls = [Working(), Working(), Working(), DONE]
    job = await aborted_while(engine, polled(engine))
    assert job.state is State.SUCCEEDED
    assert len(job.outputs) == 1


async def test_a_generation_that_had_failed_by_itself_says_so(engine: Engine) -> None:
    engine.provider.polls = [Working(), Working(), Working(), Failed(ProviderRejected("It broke"))]
    job = await aborted_while(engine, polled(engine))
    assert (job.problem and job.problem.code) == "provider_rejected"


async def test_it_is_noticed_within_seconds_although_the_next_poll_is_minutes_away(engine: Engine) -> None:
    engine.model = clip_model(can_cancel=True)
    engine.provider.polls = [Working(wait_s=600)]
    await engine.create()
    await engine.worker().start(alone=True)
    await engine.clock.run_until(lambda: bool(engine.provider.asked("poll")))
    await aborts(engine).request("job_1")
    await engine.clock.run_for(ABORT_POLL_S + 0.1)
    assert engine.provider.asked("cancel")


async def test_a_word_that_comes_in_the_middle_of_a_poll_is_acted_on_after_it(engine: Engine) -> None:
    engine.model = clip_model(can_cancel=True)
    engine.provider.polls = [Working()]
    poll = engine.provider.poll

    async def poll_slowly(*args: Any, **kwargs: Any) -> Progress:
        progress = await poll(*args, **kwargs)
        await engine.clock.sleep(2 * ABORT_POLL_S)
        return progress

    engine.provider.poll = poll_slowly  # type: ignore[method-assign]
    job = await aborted_while(engine, polled(engine))
    assert job.problem is not None
    assert "has not confirmed it" in job.problem.message
    assert len(engine.provider.asked("cancel")) == 1


async def test_of_several_videos_those_that_are_done_are_kept(engine: Engine) -> None:
    engine.model = clip_model(can_cancel=True)
    engine.provider.submits = [Submission(handle={"name": "a"}), Submission(handle={"name": "b"})]
    engine.provider.polls_of = {"a": [DONE], "b": [Working(), Working(), Working(), STOPPED]}
    job = await aborted_while(engine, lambda: engine.provider.asked("poll").count("b") > 2, n=2)
    assert (job.state, len(job.outputs)) == (State.SUCCEEDED, 1)
    assert any("aborted" in warning for warning in job.warnings)


async def test_what_costs_nothing_is_not_said_to_be_charged(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    job = await aborted_while(engine, polled(engine), cost_usd=Decimal(0))
    assert job.problem is not None
    assert "it costs nothing" in job.problem.message
    assert usage(job).cost == 0


# While nobody knows whether it was accepted.


async def interrupted(engine: Engine, **model: Any) -> None:
    """A job whose worker died after its intent, and which is to be aborted."""
    engine.model = clip_model(**model)
    await engine.create()
    claimed = await engine.claim()
    await engine.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await aborts(engine).request("job_1")


async def test_an_intent_is_looked_up_first_and_what_was_accepted_is_cancelled(engine: Engine) -> None:
    await interrupted(engine, can_cancel=True)
    engine.provider.finds = [Submission(handle={"name": "found"})]
    engine.provider.polls = [STOPPED]
    job = await engine.carry(await engine.take_over())
    assert [verb for verb, _ in engine.provider.calls] == ["find", "cancel", "poll"]
    assert (job.problem and job.problem.code) == "aborted"
    assert usage(job).cost == 3.2


async def test_an_intent_that_was_surely_not_accepted_costs_nothing(engine: Engine) -> None:
    await interrupted(engine)
    job = await engine.carry(await engine.take_over())
    assert engine.provider.calls == [("find", "att_1")]
    assert (job.problem and job.problem.code, usage(job).cost) == ("aborted", 0)


@pytest.mark.parametrize("find", [CANNOT_TELL, GONE])
async def test_an_intent_of_which_nobody_can_say_may_be_charged_and_can_be_reconciled(
    engine: Engine, find: Exception
) -> None:
    await interrupted(engine)
    engine.provider.finds = [find]
    began_ms = engine.clock.now_ms()
    job = await engine.carry(await engine.take_over())
    assert engine.clock.now_ms() - began_ms < 60_000
    assert (job.problem and job.problem.code, usage(job).cost) == ("aborted", 3.2)
    assert engine.provider.asked("submit") == []
    recovery = RecoveryStore(engine.database)
    assert [waiting.id for waiting in await recovery.unsettled()] == ["job_1"]
    await recovery.reconcile("job_1", {"name": "x"}, "x")
    assert (await engine.carry(await engine.take_over("worker_3"))).state is State.SUCCEEDED


async def test_a_submit_that_could_be_repeated_is_not_repeated_for_a_job_that_is_to_end(engine: Engine) -> None:
    await interrupted(engine, repeatable_submit=True)
    job = await engine.carry(await engine.take_over())
    assert engine.provider.calls == []
    assert (job.problem and job.problem.code, usage(job).cost) == ("aborted", 3.2)


# While its videos are stored.


async def test_a_finished_video_is_stored_all_the_same(engine: Engine) -> None:
    await engine.crash_when(lambda: bool(engine.provider.asked("fetch")))
    await aborts(engine).request("job_1")
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED


async def test_a_video_that_cannot_be_stored_is_given_up_and_can_be_recovered(engine: Engine) -> None:
    engine.provider.fetches = [GONE]
    job = await aborted_while(engine, lambda: len(engine.provider.asked("fetch")) > 1)
    assert (job.problem and job.problem.code, usage(job).cost) == ("aborted", 3.2)
    engine.provider.fetches = []
    await RecoveryStore(engine.database).recover("job_1")
    await engine.clock.run_for(60)
    assert (await engine.job()).state is State.SUCCEEDED


# The request.


async def test_asking_twice_changes_nothing(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: bool(engine.provider.asked("poll")))
    await aborts(engine).request("job_1")
    before = await engine.rows("SELECT * FROM jobs")
    engine.clock.advance(10)
    await aborts(engine).request("job_1")
    assert await engine.rows("SELECT * FROM jobs") == before


async def test_a_job_that_has_ended_is_not_aborted(engine: Engine) -> None:
    await engine.create_and_carry()
    with pytest.raises(NotAbortable, match="is succeeded"):
        await aborts(engine).request("job_1")
    with pytest.raises(JobNotFound):
        await aborts(engine).request("job_none")


async def test_a_job_whose_provider_is_not_served_any_more_ends_at_once(engine: Engine) -> None:
    from tests.integration.engine.test_worker import no_tools

    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: bool(engine.provider.asked("poll")))
    await aborts(engine).request("job_1")
    await engine.worker_with(no_tools).start(alone=True)
    await engine.clock.run_for(30)
    assert (await engine.jobs.get(ACCOUNT, "job_1")).state is State.FAILED
