"""What the worker's half of the job store promises, over every database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, cast

import pytest

from rushes.db.database import Database
from rushes.domain.fallbacks import Fallbacks
from rushes.domain.job import AttemptState, Problem, State, Status
from rushes.domain.progress import Submission
from rushes.domain.request import VideoRequest
from rushes.engine.claims import ClaimStore
from rushes.engine.job_record import Claim, JobRecord
from rushes.errors import LeaseLost, NotCancellable
from rushes.jobs.retention import RetentionStore
from rushes.jobs.rows import NO_REQUEST, outputs_to_json
from tests.contract.database_harness import LEASE_S, Desk, together
from tests.fixtures.new_jobs import ACCOUNT, fallback, new_job
from tests.fixtures.scripted_provider import stored_video

PROBLEM = Problem("provider_rejected", "It broke", "13")


async def running_job(desk: Desk, number: int = 1) -> Claim:
    """A claimed job with one accepted attempt, `att_1`."""
    await desk.jobs.create(new_job(number, reports_progress=True))
    claimed = await desk.claim_one()
    await desk.leases().record(claimed).intend(attempt_id=f"att_{number}", part=0, n=1)
    await desk.leases().record(claimed).accept(f"att_{number}", Submission({"name": "a"}, provider_video_id="video-17"))
    return claimed


# Claims.


async def test_jobs_are_claimed_oldest_first_and_once(desk: Desk) -> None:
    for number in range(5):
        await desk.jobs.create(new_job(number))
    assert sorted(await desk.claim(3)) == ["job_0", "job_1", "job_2"]
    assert sorted(await desk.claim(3, "worker_2")) == ["job_3", "job_4"]
    assert await desk.claim() == {}
    await desk.check_books()


async def test_claims_at_once_share_no_job(desk: Desk) -> None:
    await together(*(desk.jobs.create(new_job(number)) for number in range(60)))
    shares = await together(*(desk.claim(10, f"worker_{number}") for number in range(8)))
    claimed = [job_id for share in shares for job_id in share]  # type: ignore[attr-defined]
    assert len(claimed) == len(set(claimed)) == 60


async def test_a_claim_holds_a_short_request_and_the_record_reads_a_long_one(desk: Desk) -> None:
    short, long = VideoRequest("A dog", n=2), VideoRequest("A dog " * 2_000, n=3)
    await desk.jobs.create(new_job(1, request=short))
    await desk.jobs.create(new_job(2, request=long))
    claims = await desk.claim()
    assert [claims["job_1"].request, claims["job_2"].request] == [short.to_json(), None]
    assert all(claim.job.request == NO_REQUEST for claim in claims.values())
    assert [await desk.leases().record(claims[name]).request() for name in ("job_1", "job_2")] == [short, long]
    await desk.leases().put_back(claims["job_2"])
    with pytest.raises(LeaseLost):
        await desk.leases().record(claims["job_2"]).request()


@pytest.mark.parametrize("prompt", ["A dog", "A dog " * 2_000])
async def test_a_released_job_leaves_files_of_its_parts_to_be_deleted_however_long_its_request_is(
    desk: Desk, prompt: str
) -> None:
    for number, n in ((1, 1), (2, 2)):
        await desk.jobs.create(new_job(number, request=VideoRequest(prompt, n=n)))
        record = desk.leases().record(await desk.claim_one())
        await record.intend(attempt_id=f"att_{number}", part=0, n=1)
        await record.accept(f"att_{number}", Submission({}))
    await desk.leases().release_dead(all_workers=True)
    (file,) = await RetentionStore(desk.harness.database).files_to_delete(10)
    assert "job_2-att_2-0" in file


async def test_a_claimed_job_is_still_pending(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    await desk.claim()
    assert (await desk.job()).state is State.QUEUED
    assert (await desk.job()).started_at is None


async def test_a_held_job_is_claimed_when_its_hold_ends(desk: Desk) -> None:
    await desk.jobs.create(new_job(hold_s=2))
    assert await desk.leases().next_available_s() == 2
    desk.harness.pass_time(1.999)
    assert await desk.claim() == {}
    desk.harness.pass_time(0.001)
    assert list(await desk.claim()) == ["job_1"]
    assert await desk.leases().next_available_s() is None


async def test_the_next_job_available_is_the_first_of_all_lanes_with_room(desk: Desk) -> None:
    await desk.jobs.create(new_job(1, lane="full", lane_capacity=1))
    await desk.claim()
    await desk.jobs.create(new_job(2, lane="full", lane_capacity=1))
    await desk.jobs.create(new_job(3, lane="a", hold_s=9))
    await desk.jobs.create(new_job(4, lane="b", hold_s=5))
    assert await desk.leases().next_available_s() == 5
    await desk.jobs.create(new_job(5, lane="c"))
    assert await desk.leases().next_available_s() == 0
    assert await desk.leases().next_available_s(lambda lane: int(lane != "c")) == 5


async def test_a_lane_never_holds_more_than_its_capacity_and_holds_up_no_other(desk: Desk) -> None:
    for number in range(6):
        await desk.jobs.create(new_job(f"slow_{number}", lane="slow", lane_capacity=2))
    await desk.jobs.create(new_job("fast", lane="fast", lane_capacity=None))
    assert sorted(await desk.claim()) == ["job_fast", "job_slow_0", "job_slow_1"]
    assert await desk.claim() == {}
    await desk.check_books()


async def test_a_slot_is_free_again_when_the_videos_exist(desk: Desk) -> None:
    for number in (1, 2):
        await desk.jobs.create(new_job(number, lane_capacity=1))
    claimed = await desk.claim_one()
    await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await desk.leases().record(claimed).accept("att_1", Submission({}))
    assert await desk.claim() == {}
    await desk.leases().record(claimed).begin_storing()
    assert list(await desk.claim()) == ["job_2"]
    await desk.leases().record(claimed).succeed([stored_video()], "stored")
    await desk.check_books()


async def test_a_capacity_that_was_lowered_holds_from_the_next_job_on(desk: Desk) -> None:
    for number in range(3):
        await desk.jobs.create(new_job(number, lane_capacity=3))
    assert len(await desk.claim(2)) == 2
    await desk.jobs.create(new_job(3, lane_capacity=2))
    assert await desk.claim() == {}


async def test_a_worker_without_a_heartbeat_claims_nothing(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    assert await desk.leases().claim(10) == []
    await desk.leases().beat(LEASE_S)
    desk.harness.pass_time(LEASE_S + 0.001)
    assert await desk.leases().claim(10) == []


async def test_a_look_where_nothing_waits_writes_nothing(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    await desk.claim_one()

    class NoWrites:
        read = staticmethod(desk.harness.database.read)

    assert await ClaimStore(cast(Database, NoWrites()), "worker_1").claim(10) == []


# One job's life.


async def test_a_job_moves_with_what_is_recorded_of_it(desk: Desk) -> None:
    leases = desk.leases()
    await desk.jobs.create(new_job())
    claimed = await desk.claim_one()
    start_ms = desk.harness.now_ms()
    await leases.record(claimed).intend(attempt_id="att_1", part=0, n=1)
    assert (await desk.job()).state is State.SUBMITTING
    assert (await desk.job()).started_at == start_ms
    await leases.record(claimed).accept("att_1", Submission({"name": "a"}, provider_video_id="video-17"))
    assert (await desk.job()).state is State.RUNNING
    assert (await desk.job()).provider_video_id == "video-17"
    await leases.record(claimed).begin_storing()
    assert (await desk.job()).state is State.STORING
    await leases.record(claimed).keep("att_1", [stored_video()])
    desk.harness.pass_time(30)
    await leases.record(claimed).succeed([stored_video()], "stored")
    job = await desk.job()
    assert job.state is State.SUCCEEDED
    assert job.completed_at == start_ms + 30_000
    assert job.outputs == (stored_video(),)
    events = await desk.rows("SELECT state FROM job_events ORDER BY seq")
    assert [event["state"] for event in events] == ["queued", "submitting", "running", "storing", "succeeded"]
    await desk.check_books()


async def test_the_videos_of_a_single_attempt_can_be_kept_with_the_jobs_end(desk: Desk) -> None:
    claimed = await running_job(desk)
    await desk.leases().record(claimed).begin_storing()
    await desk.leases().record(claimed).succeed([stored_video()], "stored", of_attempt="att_1")
    (attempt,) = await desk.rows("SELECT state, outputs FROM attempts")
    assert (attempt["state"], attempt["outputs"]) == ("stored", outputs_to_json([stored_video()]))
    assert (await desk.job()).outputs == (stored_video(),)
    await desk.check_books()


async def test_the_first_id_that_the_provider_gave_stays(desk: Desk) -> None:
    claimed = await running_job(desk)
    await desk.leases().record(claimed).intend(attempt_id="att_2", part=1, n=1)
    await desk.leases().record(claimed).accept("att_2", Submission({}, provider_video_id="video-18"))
    assert (await desk.job()).provider_video_id == "video-17"


async def test_an_intent_that_is_withdrawn_leaves_no_trace_but_the_status(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    claimed = await desk.claim_one()
    await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await desk.leases().record(claimed).withdraw("att_1")
    assert await desk.rows("SELECT id FROM attempts") == []
    assert (await desk.job()).state is State.SUBMITTING
    await desk.leases().record(claimed).intend(attempt_id="att_2", part=0, n=1)


async def test_an_accepted_attempt_cannot_be_withdrawn(desk: Desk) -> None:
    claimed = await running_job(desk)
    await desk.leases().record(claimed).withdraw("att_1")
    assert len(await desk.rows("SELECT id FROM attempts")) == 1


async def test_an_intent_recorded_twice_is_one(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    claimed = await desk.claim_one()
    for _ in range(2):
        await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    assert len(await desk.rows("SELECT id FROM attempts")) == 1


async def test_reported_progress_never_falls(desk: Desk) -> None:
    claimed = await running_job(desk)
    seen = []
    for percent in (10, 40, 20, 40, 90, 0):
        await desk.leases().record(claimed).report(percent)
        seen.append((await desk.job()).progress)
    assert seen == [10, 40, 40, 40, 90, 90]


async def test_a_warning_is_added_once_and_keeps_those_before(desk: Desk) -> None:
    await desk.jobs.create(new_job(warnings=("First",)))
    claimed = await desk.claim_one()
    for warning in ("Second", "First", "Second"):
        await desk.leases().record(claimed).warn(warning)
    assert (await desk.job()).warnings == ("First", "Second")


@pytest.mark.parametrize("state", [State.FAILED, State.EXPIRED])
async def test_a_job_may_fail_before_it_was_submitted(desk: Desk, state: State) -> None:
    await desk.jobs.create(new_job(lane_capacity=1))
    claimed = await desk.claim_one()
    await desk.leases().record(claimed).fail(state, PROBLEM)
    job = await desk.job()
    assert job.state is state
    assert job.problem == PROBLEM
    await desk.check_books()


async def test_an_illegal_move_is_refused_and_changes_nothing(desk: Desk) -> None:
    claimed = await running_job(desk)
    before = await desk.everything()
    with pytest.raises(ValueError, match="cannot move from running to succeeded"):
        await desk.leases().record(claimed).succeed([stored_video()], "stored")
    assert await desk.everything() == before


# Falling back.


async def begun_job(desk: Desk, **given: Any) -> Claim:
    """A claimed job with one intent, `att_1`, and a fallback in the lane `other`."""
    fallbacks = Fallbacks((fallback(lane="other", **given),))
    await desk.jobs.create(new_job(lane_capacity=1, fallbacks=fallbacks))
    claimed = await desk.claim_one()
    await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    return claimed


async def test_a_job_that_falls_back_waits_in_the_lane_of_its_fallback(desk: Desk) -> None:
    claimed = await begun_job(desk, lane_capacity=1)
    await desk.leases().record(claimed).fall_back("no credit", desk.harness.now_ms())
    job = await desk.job()
    assert job.state is State.REROUTED
    assert job.status is Status.IN_PROGRESS
    assert await desk.rows("SELECT lane, ready, in_use FROM lanes ORDER BY lane") == [
        {"lane": "other", "ready": 1, "in_use": 0},
        {"lane": "scripted/clip", "ready": 0, "in_use": 0},
    ]
    assert await desk.rows("SELECT id FROM attempts") == []
    await desk.check_books()


async def test_a_fallbacks_lane_takes_no_more_than_it_has_room_for(desk: Desk) -> None:
    await desk.jobs.create(new_job(2, lane="other", lane_capacity=1))
    await desk.claim_one("worker_2")
    claimed = await begun_job(desk, lane_capacity=1)
    await desk.leases().record(claimed).fall_back("no credit", desk.harness.now_ms())
    assert await desk.claim() == {}
    await desk.check_books()


async def test_a_job_that_fell_back_runs_with_what_was_pinned_for_that_case(desk: Desk) -> None:
    options = {"aspect_ratio": None, "resolution": "360p", "duration_s": 2, "generate_audio": None}
    claimed = await begun_job(
        desk,
        cost_usd=Decimal("0.10"),
        api="vertex",
        credential="abc",
        options=options,
        deadline_s=60,
        warnings=("W",),
    )
    desk.harness.pass_time(10)
    await desk.leases().record(claimed).fall_back("no credit", desk.harness.now_ms())
    claimed = await desk.claim_one()
    job, request = claimed.job, await desk.leases().record(claimed).request()
    assert (job.served_provider, job.served_model) == ("spare", "clip")
    assert (job.api, job.credential, job.cost_usd) == ("vertex", "abc", Decimal("0.10"))
    assert (request.resolution, request.duration_s) == ("360p", 2)
    assert job.deadline_at == desk.harness.now_ms() + 60_000
    assert job.warnings == (
        "'spare/clip' serves this request, because 'scripted/clip' did not accept it: no credit",
        "W",
    )
    assert (job.provider, job.model) == ("scripted", "clip")


async def test_a_job_that_was_never_begun_falls_back_within_the_queue_and_stays_cancellable(desk: Desk) -> None:
    await desk.jobs.create(new_job(fallbacks=Fallbacks((fallback(lane="other"),))))
    await desk.leases().record(await desk.claim_one()).fall_back("unreachable", desk.harness.now_ms())
    assert (await desk.job()).state is State.QUEUED
    await desk.check_books()
    await desk.jobs.cancel(ACCOUNT, "job_1")
    await desk.check_books()


async def test_a_job_that_waits_for_a_fallback_cannot_be_cancelled_but_expires(desk: Desk) -> None:
    claimed = await begun_job(desk, deadline_s=60)
    await desk.leases().record(claimed).fall_back("no credit", desk.harness.now_ms())
    with pytest.raises(NotCancellable):
        await desk.jobs.cancel(ACCOUNT, "job_1")
    desk.harness.pass_time(60)
    assert await desk.leases().expire_overdue(10) == 1
    assert (await desk.job()).state is State.EXPIRED
    await desk.check_books()


async def test_a_job_with_an_accepted_attempt_never_falls_back(desk: Desk) -> None:
    claimed = await begun_job(desk)
    await desk.leases().record(claimed).accept("att_1", Submission({"name": "a"}))
    before = await desk.everything()
    with pytest.raises(ValueError, match="attempt that was answered"):
        await desk.leases().record(claimed).fall_back("no credit", desk.harness.now_ms())
    assert await desk.everything() == before


async def test_a_job_falls_back_no_more_often_than_it_has_fallbacks(desk: Desk) -> None:
    await desk.leases().record(await begun_job(desk)).fall_back("no credit", desk.harness.now_ms())
    claimed = await desk.claim_one()
    with pytest.raises(ValueError, match="no fallback left"):
        await desk.leases().record(claimed).fall_back("no credit", desk.harness.now_ms())


async def test_only_so_many_orphans_are_taken_that_others_find_room(desk: Desk) -> None:
    for number in range(3):
        await running_job(desk, number)
    await desk.leases().leave()
    await desk.jobs.create(new_job(9))
    leases = desk.leases("worker_2")
    await leases.beat(LEASE_S)
    assert sorted(one.job.id for one in await leases.claim(10, orphans=2)) == ["job_0", "job_1", "job_9"]
    assert await leases.claim(10, orphans=0) == []
    assert [one.job.id for one in await leases.claim(10, orphans=1)] == ["job_2"]


async def test_a_claim_finds_nothing_to_write_where_no_lane_has_room_here(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    leases = desk.leases()
    await leases.beat(LEASE_S)
    assert await leases.claim(10, lambda _lane: 0) == []
    assert [one.job.id for one in await leases.claim(10)] == ["job_1"]


# Taking over, and the fence.

WRITES: dict[str, Callable[[ClaimStore, Claim], Awaitable[object]]] = {
    "intend": lambda leases, claimed: leases.record(claimed).intend(attempt_id="att_2", part=1, n=1),
    "accept": lambda leases, claimed: leases.record(claimed).accept(
        "att_1", Submission({"name": "late"}, provider_video_id="late")
    ),
    "withdraw": lambda leases, claimed: leases.record(claimed).withdraw("att_1"),
    "report": lambda leases, claimed: leases.record(claimed).report(90),
    "warn": lambda leases, claimed: leases.record(claimed).warn("late"),
    "trouble": lambda leases, claimed: leases.record(claimed).trouble("late", "late"),
    "begin_storing": lambda leases, claimed: leases.record(claimed).begin_storing(),
    "keep": lambda leases, claimed: leases.record(claimed).keep("att_1", [stored_video()]),
    "fail_attempt": lambda leases, claimed: leases.record(claimed).fail_attempt("att_1", PROBLEM),
    "fall_back": lambda leases, claimed: leases.record(claimed).fall_back("late", 0),
    "put_back": lambda leases, claimed: leases.put_back(claimed),
    "succeed": lambda leases, claimed: leases.record(claimed).succeed([stored_video()], "stored"),
    "fail": lambda leases, claimed: leases.record(claimed).fail(State.FAILED, PROBLEM),
}


def test_every_write_with_a_lease_is_tried_against_the_fence() -> None:
    without_lease = {"beat", "release_dead", "leave", "claim", "next_available_s", "expire_overdue", "give_back_later"}
    without_lease |= {"late_answer", "to_abort", "listen", "forget_idle_lanes", "record", "is_there_another"}
    # It reads, and a short request without asking.
    without_lease.add("request")
    named = {*vars(ClaimStore), *vars(JobRecord)}
    assert set(WRITES) == {name for name in named if not name.startswith("_")} - without_lease


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("how", ["released", "taken over", "ended"])
async def test_a_write_without_the_lease_raises_and_changes_nothing(desk: Desk, write: str, how: str) -> None:
    claimed = await running_job(desk)
    if how == "ended":
        await desk.leases().record(claimed).fail(State.FAILED, PROBLEM)
    else:
        await desk.leases("worker_2").release_dead(all_workers=True)
        if how == "taken over":
            await desk.claim_one("worker_2")
    before = await desk.everything()
    with pytest.raises(LeaseLost):
        await WRITES[write](desk.leases(), claimed)
    assert await desk.everything() == before


async def test_the_same_workers_next_claim_fences_its_last_one_off(desk: Desk) -> None:
    first = await running_job(desk)
    await desk.leases().put_back(first)
    second = await desk.claim_one()
    with pytest.raises(LeaseLost):
        await desk.leases().record(first).warn("late")
    await desk.leases().record(second).warn("in time")


async def test_a_job_taken_over_comes_with_all_its_attempts(desk: Desk) -> None:
    leases = desk.leases()
    claimed = await running_job(desk)
    for part, attempt_id in ((1, "att_stored"), (2, "att_failed"), (3, "att_intent")):
        await leases.record(claimed).intend(attempt_id=attempt_id, part=part, n=2)
    await leases.record(claimed).accept("att_stored", Submission({"name": "b"}))
    await leases.record(claimed).keep("att_stored", [stored_video()])
    await leases.record(claimed).fail_attempt("att_failed", PROBLEM)
    await leases.leave()
    taken = await desk.claim_one("worker_2")
    assert [attempt.state for attempt in taken.attempts] == [
        AttemptState.ACCEPTED,
        AttemptState.STORED,
        AttemptState.FAILED,
        AttemptState.INTENT,
    ]
    assert taken.attempts[0].handle == {"name": "a"}
    assert taken.attempts[1].outputs == (stored_video(),)
    assert taken.attempts[2].problem == PROBLEM
    assert [attempt.n for attempt in taken.attempts] == [1, 2, 2, 2]
    assert taken.job.state is State.RUNNING


async def test_a_living_workers_leases_are_left_alone(desk: Desk) -> None:
    claimed = await running_job(desk)
    desk.harness.pass_time(LEASE_S - 1)
    assert await desk.leases("worker_2").release_dead() == 0
    await desk.leases().beat(LEASE_S)
    desk.harness.pass_time(LEASE_S - 1)
    assert await desk.leases("worker_2").release_dead() == 0
    await desk.leases().record(claimed).warn("still mine")


async def test_a_dead_workers_jobs_are_free_again(desk: Desk) -> None:
    await desk.jobs.create(new_job("queued", lane_capacity=2))
    await desk.jobs.create(new_job("begun", lane_capacity=2))
    claimed = await desk.claim()
    await desk.leases().record(claimed["job_begun"]).intend(attempt_id="att_1", part=0, n=1)
    desk.harness.pass_time(LEASE_S + 0.001)
    assert await desk.leases("worker_2").release_dead() == 2
    await desk.check_books()
    assert sorted(await desk.claim(worker_id="worker_2")) == ["job_begun", "job_queued"]
    await desk.check_books()


async def test_jobs_already_begun_are_claimed_before_new_ones_even_if_their_lane_is_full(desk: Desk) -> None:
    await desk.jobs.create(new_job(1, lane_capacity=1))
    claimed = await desk.claim_one()
    await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await desk.jobs.create(new_job(2, lane_capacity=1))
    await desk.leases().leave()
    assert list(await desk.claim(1, "worker_2")) == ["job_1"]
    assert await desk.claim(1, "worker_2") == {}


async def test_a_job_put_back_can_be_claimed_and_cancelled_again(desk: Desk) -> None:
    for number in (1, 2):
        await desk.jobs.create(new_job(number))
    claimed = await desk.claim()
    for one in claimed.values():
        await desk.leases().put_back(one)
    await desk.check_books()
    await desk.jobs.cancel(ACCOUNT, "job_1")
    assert list(await desk.claim()) == ["job_2"]


async def test_leases_survive_a_restart_until_they_are_released(desk: Desk) -> None:
    claimed = await running_job(desk)
    await desk.harness.restart()
    await desk.leases().record(claimed).warn("still mine")
    assert await desk.claim(worker_id="worker_2") == {}
    assert await desk.leases("worker_2").release_dead(all_workers=True) == 1
    assert list(await desk.claim(worker_id="worker_2")) == ["job_1"]


# Jobs that nobody starts.


async def test_queued_jobs_beyond_their_deadline_are_ended_a_batch_at_a_time(desk: Desk) -> None:
    for number in range(5):
        await desk.jobs.create(new_job(number, deadline_s=10 + number))
    desk.harness.pass_time(13)
    assert await desk.leases().expire_overdue(3) == 3
    assert await desk.leases().expire_overdue(3) == 1
    assert await desk.leases().expire_overdue(3) == 0
    states = await desk.rows("SELECT state FROM jobs ORDER BY seq")
    assert [row["state"] for row in states] == ["expired"] * 4 + ["queued"]
    job = await desk.job("job_0")
    assert job.problem is not None
    assert job.problem.code == "expired"
    assert job.completed_at == desk.harness.now_ms()
    await desk.check_books()


async def test_a_claimed_or_begun_job_is_not_ended_by_others(desk: Desk) -> None:
    await running_job(desk)
    await desk.jobs.create(new_job(2, deadline_s=10))
    await desk.claim()
    desk.harness.pass_time(10_000)
    assert await desk.leases().expire_overdue(10) == 0
