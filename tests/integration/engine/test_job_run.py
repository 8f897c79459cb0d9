from __future__ import annotations

from unittest import mock

import pytest

from rushes.domain.job import Problem, State
from rushes.domain.progress import Done, Failed, Progress, Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.domain.tenant import Tenant
from rushes.engine.job_record import JobRecord
from rushes.engine.job_run import split_into_calls
from rushes.errors import (
    ContentFiltered,
    OutputInvalid,
    OutputLost,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    StorageUnavailable,
    UnexpectedResponse,
)
from rushes.media.input_store import InputStore
from rushes.media.inspection import Facts
from rushes.media.storage import StoredFile
from rushes.operations.recovery import RecoveryStore
from tests.fixtures.clocks import START_MS
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import clip_model
from tests.fixtures.scripted_provider import DONE, stored_video


def problem_of(problem: Problem | None) -> Problem:
    assert problem is not None
    return problem


def submission(name: str) -> Submission:
    return Submission(handle={"name": name})


def seconds_since_start(engine: Engine) -> float:
    return (engine.clock.now_ms() - START_MS) / 1000


# From the first call to the last write.


async def test_a_job_for_one_video_is_submitted_polled_stored_and_completed(engine: Engine) -> None:
    engine.provider.polls = [Working(), Working(), DONE]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert [verb for verb, _ in engine.provider.calls] == ["submit", "poll", "poll", "poll", "fetch"]
    assert await engine.states() == ["queued", "submitting", "running", "storing", "succeeded"]
    assert [output.key for output in job.outputs] == list(engine.outputs.kept)
    assert list(engine.outputs.kept.values()) == [b"the beginning, the end"]


async def test_a_job_for_three_videos_is_three_calls(engine: Engine) -> None:
    job = await engine.create_and_carry(n=3)
    assert job.state is State.SUCCEEDED
    assert len(job.outputs) == len(set(engine.provider.asked("submit"))) == 3
    assert job.warnings == ()
    assert await engine.states() == ["queued", "submitting", "running", "storing", "succeeded"]


async def test_one_call_may_deliver_several_videos(engine: Engine) -> None:
    engine.model = clip_model(n_per_call=4)
    engine.provider.polls = [Done(outputs=({"place": 0}, {"place": 1}))]
    job = await engine.create_and_carry(n=2)
    assert len(job.outputs) == 2
    assert len(engine.provider.asked("submit")) == 1


async def test_a_provider_that_is_done_at_once_is_not_polled(engine: Engine) -> None:
    engine.provider.submits = [Submission(handle={"name": "a"}, progress=DONE)]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert engine.provider.asked("poll") == []


async def test_the_providers_own_id_is_kept(engine: Engine) -> None:
    engine.provider.submits = [Submission(handle={"name": "a"}, provider_video_id="video-17")]
    assert (await engine.create_and_carry()).provider_video_id == "video-17"


@pytest.mark.parametrize(("n", "n_per_call", "calls"), [(1, 1, [1]), (3, 1, [1, 1, 1]), (7, 4, [4, 3]), (4, 4, [4])])
def test_calls_together_ask_for_all_videos(n: int, n_per_call: int, calls: list[int]) -> None:
    assert split_into_calls(n, n_per_call) == calls


# Some of it fails.


async def test_what_is_missing_is_a_warning_on_a_completed_job(engine: Engine) -> None:
    engine.provider.submits = [submission("a"), ContentFiltered("The prompt was refused"), submission("c")]
    job = await engine.create_and_carry(n=3)
    assert job.state is State.SUCCEEDED
    assert len(job.outputs) == 2
    (warning,) = job.warnings
    assert "2 videos" in warning
    assert "The prompt was refused" in warning
    assert [attempt["state"] for attempt in await engine.attempts()] == ["stored", "failed", "stored"]


async def test_a_part_that_fails_last_does_not_keep_the_job_from_completing(engine: Engine) -> None:
    engine.provider.submits = [submission("a"), submission("b")]
    engine.provider.polls_of = {"a": [DONE], "b": [Working(), Working(), Failed(ProviderRejected("It broke"))]}
    job = await engine.create_and_carry(n=2)
    assert job.state is State.SUCCEEDED
    assert await engine.states() == ["queued", "submitting", "running", "storing", "succeeded"]


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (Done(outputs=({"place": 0},)), "output_lost"),
        (Working(), "expired"),
        (Failed(ContentFiltered("The result was refused")), "provider_auth"),
    ],
)
async def test_a_job_of_which_nothing_is_left_fails_with_what_may_still_be_charged(
    engine: Engine, later: Progress, code: str
) -> None:
    engine.provider.submits = [ProviderAuth("The key is not known"), submission("b")]
    engine.provider.polls = [later]
    engine.provider.fetches = [OutputLost("It is gone")]
    job = await engine.create_and_carry(n=2)
    assert problem_of(job.problem).code == code


async def test_a_part_whose_video_is_bad_does_not_end_the_deadline_of_another(engine: Engine) -> None:
    engine.provider.submits = [submission("a"), submission("b"), submission("c")]
    engine.provider.polls_of = {"a": [DONE], "b": [Working(), DONE], "c": [Working()]}
    engine.outputs.troubles = [OutputInvalid("Not a video")]
    job = await engine.create_and_carry(n=3)
    assert job.state is State.SUCCEEDED
    assert len(job.outputs) == 1
    assert "expired" in job.warnings[0]
    assert "Not a video" in job.warnings[0]


async def test_the_slot_is_held_until_every_call_has_ended(engine: Engine) -> None:
    engine.provider.submits = [submission("a"), submission("b"), submission("c")]
    engine.provider.polls_of = {"a": [DONE], "b": [Working(), DONE], "c": [*[Working()] * 20, DONE]}
    engine.outputs.troubles = [OutputInvalid("Not a video")]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) > 10, n=3)
    assert (await engine.job()).state is State.RUNNING
    assert (await engine.rows("SELECT in_use FROM lanes")) == [{"in_use": 1}]


async def test_a_job_fails_if_all_its_calls_fail(engine: Engine) -> None:
    engine.provider.submits = [ContentFiltered("Refused", provider_error="SAFETY")]
    job = await engine.create_and_carry(n=3)
    assert job.state is State.FAILED
    assert job.problem == Problem("content_filtered", "Refused", "SAFETY")
    assert job.outputs == ()
    assert [attempt["state"] for attempt in await engine.attempts()] == ["failed"] * 3


async def test_a_reason_goes_before_time_that_ran_out(engine: Engine) -> None:
    engine.provider.submits = [submission("a"), submission("b")]
    engine.provider.polls_of = {"a": [Working()], "b": [DONE]}
    engine.outputs.troubles = [OutputInvalid("Not a video")]
    job = await engine.create_and_carry(n=2)
    assert job.state is State.FAILED
    assert problem_of(job.problem).code == "output_invalid"


async def test_a_generation_that_fails_at_the_provider_fails_the_job(engine: Engine) -> None:
    engine.provider.polls = [Working(), Failed(ProviderRejected("Internal error", provider_error="13"))]
    job = await engine.create_and_carry()
    assert job.problem == Problem("provider_rejected", "Internal error", "13")
    assert await engine.states() == ["queued", "submitting", "running", "failed"]


async def test_fewer_videos_than_asked_for_are_a_warning(engine: Engine) -> None:
    engine.model = clip_model(n_per_call=4)
    engine.provider.polls = [Done(outputs=({"place": 0},), missing="One was filtered")]
    assert (await engine.create_and_carry(n=2)).warnings == ("One was filtered",)


async def test_fewer_videos_than_asked_for_are_a_warning_even_if_the_provider_says_nothing(engine: Engine) -> None:
    engine.model = clip_model(n_per_call=4)
    engine.provider.polls = [Done(outputs=({"place": 0},))]
    (warning,) = (await engine.create_and_carry(n=3)).warnings
    assert "1 of 3" in warning


async def test_done_without_a_video_fails_the_job(engine: Engine) -> None:
    engine.provider.polls = [Done(outputs=())]
    job = await engine.create_and_carry()
    assert job.state is State.FAILED
    assert problem_of(job.problem).code == "unexpected_response"


# Submitting.


async def test_a_quota_is_waited_for_and_each_call_has_its_own_attempt(engine: Engine) -> None:
    quota = ProviderQuota("Too many requests", retry_after_s=90)
    engine.provider.submits = [quota, quota, submission("a")]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert len(set(engine.provider.asked("submit"))) == 3
    assert [attempt["id"] for attempt in await engine.attempts()] == engine.provider.asked("submit")[-1:]
    assert seconds_since_start(engine) >= 180


async def test_a_request_that_never_left_is_sent_again(engine: Engine) -> None:
    engine.provider.submits = [ProviderUnavailable("Connection refused", accepted=False), submission("a")]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert engine.provider.asked("find") == []


async def _stored_image(engine: Engine) -> InputMedia:
    inputs = InputStore(engine.database)
    await inputs.announce("upload_1", Tenant("acc"), "inputs/1", keep_s=60)
    file, facts = StoredFile("inputs/1", 5, "0" * 64), Facts("image/png", 64, 48)
    settled = await inputs.settle("upload_1", Tenant("acc"), file, facts, keep_s=60, quota_bytes=100)
    return settled.media(Role.INPUT_IMAGE)


async def test_our_storage_failing_while_input_is_read_is_waited_for(engine: Engine) -> None:
    troubles = [StorageUnavailable("The disk is busy")]

    async def read_media(_: InputMedia) -> bytes:
        if troubles:
            raise troubles.pop()
        return b"image"

    engine.read_media = read_media
    image = await _stored_image(engine)
    job = await engine.create_and_carry(request=VideoRequest(prompt="A dog", media=(image,)))
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 2


@pytest.mark.parametrize(
    "error",
    [ProviderUnavailable("Read timed out"), UnexpectedResponse("<html>"), KeyError("id")],
    ids=["lost answer", "unreadable answer", "adapter bug"],
)
async def test_a_lost_answer_is_never_submitted_again(
    engine: Engine, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.provider.submits = [error]
    monkeypatch.delattr(type(engine.provider), "find")
    job = await engine.create_and_carry()
    assert job.state is State.FAILED
    assert problem_of(job.problem).code == "submission_unknown"
    assert len(engine.provider.asked("submit")) == 1
    assert [attempt["state"] for attempt in await engine.attempts()] == ["failed"]


async def test_a_lost_answer_is_looked_up(engine: Engine) -> None:
    engine.provider.submits = [ProviderUnavailable("Read timed out")]
    engine.provider.finds = [UnexpectedResponse("?"), KeyError("items"), submission("found")]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1
    assert engine.provider.asked("poll") == ["found"]


async def test_a_lost_answer_that_surely_was_not_accepted_is_submitted_again(engine: Engine) -> None:
    engine.provider.submits = [ProviderUnavailable("Read timed out"), submission("a")]
    engine.provider.finds = [None]
    assert (await engine.create_and_carry()).state is State.SUCCEEDED
    assert len(set(engine.provider.asked("submit"))) == 1


async def test_a_provider_that_cannot_be_asked_until_the_deadline_leaves_the_submission_unknown(engine: Engine) -> None:
    engine.provider.submits = [ProviderUnavailable("Read timed out")]
    engine.provider.finds = [ProviderAuth("The key was revoked")]
    job = await engine.create_and_carry()
    assert problem_of(job.problem).code == "submission_unknown"
    assert len(engine.provider.asked("submit")) == 1


async def test_a_repeatable_submit_is_repeated_under_the_same_id(engine: Engine) -> None:
    engine.model = clip_model(repeatable_submit=True)
    engine.provider.submits = [ProviderUnavailable("Read timed out"), KeyError("id"), submission("a")]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 3
    assert len(set(engine.provider.asked("submit"))) == 1
    assert engine.provider.asked("find") == []


@pytest.mark.parametrize("refusal", [ProviderAuth("The key is not known"), ProviderCreditEmpty("No credit is left")])
async def test_a_repeated_submit_that_is_refused_does_not_deny_the_one_whose_answer_was_lost(
    engine: Engine, refusal: ProviderError
) -> None:
    engine.model = clip_model(repeatable_submit=True)
    engine.provider.submits = [ProviderUnavailable("Read timed out"), refusal]
    job = await engine.create_and_carry()
    problem = problem_of(job.problem)
    assert problem.code == "submission_unknown"
    assert refusal.message in problem.message
    assert await RecoveryStore(engine.database).unsettled() == [job]


async def test_a_refusal_of_the_first_submit_is_what_it_says(engine: Engine) -> None:
    engine.model = clip_model(repeatable_submit=True)
    engine.provider.submits = [ProviderAuth("The key is not known")]
    job = await engine.create_and_carry()
    assert problem_of(job.problem).code == "provider_auth"


async def test_a_job_that_never_gets_through_expires_on_time(engine: Engine) -> None:
    engine.provider.submits = [ProviderQuota("Too many requests", retry_after_s=3600)]
    job = await engine.create_and_carry(deadline_s=600)
    assert job.state is State.EXPIRED
    assert problem_of(job.problem).code == "expired"
    assert seconds_since_start(engine) == 600
    assert await engine.attempts() == []


async def test_a_job_claimed_after_its_deadline_is_not_submitted(engine: Engine) -> None:
    await engine.create(deadline_s=10)
    claimed = await engine.claim()
    engine.clock.advance(11)
    job = await engine.carry(claimed)
    assert job.state is State.EXPIRED
    assert engine.provider.calls == []
    assert await engine.states() == ["queued", "expired"]


# Polling.


@pytest.mark.parametrize(
    "error",
    [
        ProviderUnavailable("503"),
        ProviderQuota("429", retry_after_s=7),
        ProviderAuth("401"),
        ProviderError("?"),
        UnexpectedResponse("status 'paused'"),
        KeyError("status"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_poll_that_fails_does_not_give_a_paid_job_up(engine: Engine, error: Exception) -> None:
    engine.provider.polls = [error] * 5 + [DONE]  # type: ignore[assignment]
    assert (await engine.create_and_carry()).state is State.SUCCEEDED


@pytest.mark.parametrize("outcome", [Working(), ProviderUnavailable("503"), UnexpectedResponse("status 'paused'")])
async def test_a_job_that_never_ends_expires_at_its_deadline(engine: Engine, outcome: Working | ProviderError) -> None:
    engine.provider.polls = [outcome]
    job = await engine.create_and_carry(deadline_s=900)
    assert job.state is State.EXPIRED
    assert seconds_since_start(engine) == 900
    assert [attempt["state"] for attempt in await engine.attempts()] == ["failed"]


async def test_unknown_answers_leave_one_warning_however_they_differ(engine: Engine) -> None:
    engine.provider.polls = [*[UnexpectedResponse(f"status 'paused' ({number})") for number in range(5)], DONE]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    (warning,) = job.warnings
    assert "status 'paused' (0)" in warning


async def test_unknown_answers_leave_one_warning_across_restarts(engine: Engine) -> None:
    engine.provider.polls = [UnexpectedResponse("status 'paused' (0)"), UnexpectedResponse("status 'paused' (1)"), DONE]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) == 2)
    job = await engine.carry(await engine.take_over())
    assert len(job.warnings) == 1


async def test_waiting_writes_nothing(engine: Engine) -> None:
    short_writes = await writes_of(engine, [Working(), DONE], "job_1")
    long_writes = await writes_of(engine, [*[Working()] * 40, ProviderUnavailable("503"), Working(), DONE], "job_2")
    assert long_writes == short_writes


async def writes_of(engine: Engine, polls: list[Working | Done | Exception], job_id: str) -> int:
    engine.provider.polls = list(polls)
    await engine.create(job_id.removeprefix("job_"))
    claimed = await engine.claim()
    before = engine.database.writes
    await engine.carry(claimed)
    return engine.database.writes - before


async def test_progress_is_written_in_steps_of_ten_points_and_never_falls(engine: Engine) -> None:
    engine.model = clip_model(reports_progress=True)
    engine.provider.submits = [submission("a")]
    fractions = [0.04, 0.09, 0.12, 0.15, 0.21, 0.5, 0.3, 0.55, 0.97, 1.0]
    engine.provider.polls = [*[Working(fraction=fraction) for fraction in fractions], DONE]
    seen: list[int] = []
    await engine.create()
    claimed = await engine.claim()
    report = JobRecord.report

    async def note(self: JobRecord, percent: int) -> None:
        seen.append(percent)
        await report(self, percent)

    with mock.patch.object(JobRecord, "report", note):
        await engine.carry(claimed)
    assert seen == [12, 50, 95]


async def test_reported_progress_is_what_the_caller_sees(engine: Engine) -> None:
    engine.model = clip_model(reports_progress=True)
    engine.provider.polls = [Working(fraction=0.42)]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) == 3)
    job = await engine.job()
    assert job.percent(engine.clock.now_ms()) == 42


async def test_the_wait_that_the_provider_asks_for_is_kept(engine: Engine) -> None:
    engine.provider.submits = [submission("a")]
    engine.provider.polls = [Working(wait_s=100), DONE]
    await engine.create_and_carry()
    assert seconds_since_start(engine) >= 100


# After a crash.


async def test_an_intent_that_the_provider_knows_goes_on_there(engine: Engine) -> None:
    await engine.crash_when(lambda: len(engine.provider.asked("submit")) == 1)
    engine.provider.finds = [submission("found")]
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1
    assert engine.provider.asked("poll") == ["found"]


async def test_an_intent_that_surely_was_not_accepted_is_submitted_under_its_id(engine: Engine) -> None:
    await engine.crash_when(lambda: len(engine.provider.asked("submit")) == 1)
    engine.provider.finds = [None]
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 2
    assert len(set(engine.provider.asked("submit"))) == 1


async def test_an_intent_that_nobody_can_tell_of_fails_as_unknown(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.crash_when(lambda: len(engine.provider.asked("submit")) == 1)
    monkeypatch.delattr(type(engine.provider), "find")
    job = await engine.carry(await engine.take_over())
    assert problem_of(job.problem).code == "submission_unknown"
    assert len(engine.provider.asked("submit")) == 1


async def test_a_repeatable_intent_is_simply_submitted_again(engine: Engine) -> None:
    engine.model = clip_model(repeatable_submit=True)
    await engine.crash_when(lambda: len(engine.provider.asked("submit")) == 1)
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert len(set(engine.provider.asked("submit"))) == 1
    assert engine.provider.asked("find") == []


async def test_an_accepted_job_is_polled_on(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) == 3)
    engine.provider.polls = [DONE]
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1


async def test_a_job_that_finished_while_we_were_down_is_kept_although_its_deadline_has_passed(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) == 3)
    engine.clock.advance(5000)
    engine.provider.polls = [DONE]
    assert (await engine.carry(await engine.take_over())).state is State.SUCCEEDED


async def test_a_job_that_was_being_stored_is_stored_again(engine: Engine) -> None:
    await engine.crash_when(lambda: len(engine.provider.asked("fetch")) == 1)
    assert (await engine.job()).state is State.STORING
    engine.clock.advance(5000)
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1
    assert len(job.outputs) == 1


async def test_parts_that_had_ended_before_the_crash_are_not_done_again(engine: Engine) -> None:
    engine.provider.submits = [submission("a"), ContentFiltered("Refused"), submission("c")]
    engine.provider.polls_of = {"a": [DONE], "c": [Working()]}
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) > 6, n=3)
    engine.provider.polls_of = {"c": [DONE]}
    calls_before = len(engine.provider.calls)
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert engine.provider.calls[calls_before:] == [("poll", "c"), ("fetch", "c")]
    assert len(job.outputs) == 2


async def test_a_crash_after_all_parts_have_ended_only_finishes_the_job(engine: Engine) -> None:
    await engine.create(n=2)
    claimed = await engine.claim()
    leases = engine.leases()
    for part in (0, 1):
        await leases.record(claimed).intend(attempt_id=f"att_{part}", part=part, n=1)
        await leases.record(claimed).accept(f"att_{part}", Submission({"name": "a"}))
    await leases.record(claimed).keep("att_0", [stored_video()])
    await leases.record(claimed).fail_attempt("att_1", Problem("provider_rejected", "It broke"))
    job = await engine.carry(await engine.take_over())
    assert job.state is State.SUCCEEDED
    assert engine.provider.calls == []


# Storing.


async def test_full_storage_is_waited_for(engine: Engine) -> None:
    engine.outputs.troubles = [StorageUnavailable("The disk is full")] * 200
    job = await engine.create_and_carry(deadline_s=60)
    assert job.state is State.SUCCEEDED
    assert seconds_since_start(engine) > 60


async def test_storage_that_stays_full_gives_up_long_after_the_deadline(engine: Engine) -> None:
    engine.outputs.troubles = [StorageUnavailable("The disk is full")] * 100_000
    job = await engine.create_and_carry(deadline_s=60)
    assert job.state is State.FAILED
    assert problem_of(job.problem).code == "output_lost"
    assert seconds_since_start(engine) >= clip_model().output_lifetime_s


async def test_something_that_is_no_video_fails_the_job(engine: Engine) -> None:
    engine.outputs.troubles = [OutputInvalid("Not a playable video")]
    job = await engine.create_and_carry()
    assert job.state is State.FAILED
    assert problem_of(job.problem).code == "output_invalid"


async def test_a_link_that_ran_out_is_asked_for_again(engine: Engine) -> None:
    engine.provider.fetches = [OutputLost("410"), b"the end"]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert [verb for verb, _ in engine.provider.calls] == ["submit", "poll", "fetch", "poll", "fetch"]


async def test_a_video_that_is_gone_fails_the_job(engine: Engine) -> None:
    engine.provider.fetches = [OutputLost("410")]
    job = await engine.create_and_carry()
    assert problem_of(job.problem).code == "output_lost"
    assert len(engine.provider.asked("fetch")) == 2


async def test_a_finished_video_that_the_provider_denies_later_is_lost_and_can_be_recovered(engine: Engine) -> None:
    done = Done(outputs=({"name": "one"},))
    engine.provider.polls = [done, Failed(ProviderRejected("No such generation"))]
    engine.provider.fetches = [ProviderUnavailable("Broken off")]
    job = await engine.create_and_carry()
    assert problem_of(job.problem).code == "output_lost"
    assert "No such generation" in problem_of(job.problem).message


@pytest.mark.parametrize("error", [ProviderUnavailable("Broken off"), ProviderAuth("Not now"), KeyError("url")])
async def test_a_fetch_that_breaks_off_is_repeated(engine: Engine, error: Exception) -> None:
    engine.provider.fetches = [error, b"the end"]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert list(engine.outputs.kept.values()) == [b"the beginning, the end"]
