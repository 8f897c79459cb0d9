"""What the operator's commands read and change, on every kind of database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rushes.domain.job import Problem, State
from rushes.domain.progress import Submission
from rushes.engine.job_record import Claim
from rushes.errors import JobNotFound, NotRecoverable
from rushes.money.usage import ModelUsage, Usage, UsageStore
from rushes.operations.abort import AbortStore
from rushes.operations.recovery import RecoveryStore
from tests.contract.database_harness import LEASE_S, Desk
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import stored_video

UNKNOWN = Problem("submission_unknown", "nobody can say", "what the provider said")
LOST = Problem("output_lost", "the link has expired", None)


@pytest.fixture
def recovery(desk: Desk) -> RecoveryStore:
    return RecoveryStore(desk.harness.database)


async def begun(desk: Desk, number: int = 1, **given: Any) -> Claim:
    await desk.jobs.create(new_job(number, **given))
    claimed = (await desk.claim())[f"job_{number}"]
    await desk.leases().record(claimed).intend(attempt_id=f"att_{number}", part=0, n=1)
    return claimed


async def failed(desk: Desk, problem: Problem, number: int = 1) -> Claim:
    """A job whose only attempt ended like this."""
    claimed, leases = await begun(desk, number), desk.leases()
    if problem is LOST:
        await leases.record(claimed).accept(f"att_{number}", Submission({"name": "known"}, provider_video_id="video_1"))
    await leases.record(claimed).fail_attempt(f"att_{number}", problem)
    await leases.record(claimed).fail(State.FAILED, problem)
    return claimed


async def test_what_may_have_been_paid_for_waits_oldest_first(desk: Desk, recovery: RecoveryStore) -> None:
    await failed(desk, UNKNOWN, 1)
    await failed(desk, LOST, 2)
    await failed(desk, Problem("provider_rejected", "no", None), 3)
    assert [job.id for job in await recovery.unsettled()] == ["job_1", "job_2"]


async def test_a_reconciled_job_is_claimed_again_with_its_handle(desk: Desk, recovery: RecoveryStore) -> None:
    await failed(desk, UNKNOWN)
    await recovery.reconcile("job_1", {"name": "found"}, "video_9")
    claimed = await desk.claim_one()
    assert (claimed.job.state, claimed.job.provider_video_id) == (State.RECOVERING, "video_9")
    assert claimed.attempts[0].handle == {"name": "found"}
    await desk.check_books()


async def test_an_id_that_was_mistyped_can_be_corrected(desk: Desk, recovery: RecoveryStore) -> None:
    await failed(desk, UNKNOWN)
    await recovery.reconcile("job_1", {"name": "wrong"}, "video_8")
    claimed, leases = await desk.claim_one(), desk.leases()
    gone = Problem("provider_rejected", "there is no such video", None)
    await leases.record(claimed).fail_attempt("att_1", gone)
    await leases.record(claimed).fail(State.FAILED, gone)
    await recovery.reconcile("job_1", {"name": "right"}, "video_9")
    assert (await desk.claim_one()).attempts[0].handle == {"name": "right"}


async def test_a_recovered_job_is_claimed_again_and_counts_once(desk: Desk, recovery: RecoveryStore) -> None:
    await failed(desk, LOST)
    await recovery.recover("job_1")
    claimed = await desk.claim_one()
    assert claimed.attempts[0].handle == {"name": "known"}
    await desk.leases().record(claimed).succeed([stored_video()], "stored")
    (used,) = await UsageStore(desk.harness.database).read(ACCOUNT)
    assert used.usage == Usage(jobs=1, completed=1, cost_usd=Decimal("3.20"))
    await desk.check_books()


async def test_what_is_written_off_waits_no_more(desk: Desk, recovery: RecoveryStore) -> None:
    await failed(desk, UNKNOWN)
    await recovery.write_off("job_1")
    assert await recovery.unsettled() == []
    for again in (recovery.write_off("job_1"), recovery.recover("job_1")):
        with pytest.raises(NotRecoverable):
            await again
    with pytest.raises(JobNotFound):
        await recovery.get("job_2")


async def test_late_answers_are_told_to_the_operator_alone(desk: Desk, recovery: RecoveryStore) -> None:
    claimed = await failed(desk, UNKNOWN)
    before = await desk.job()
    await desk.leases().record(claimed).late_answer("att_1", Submission({}, provider_video_id="video_9"))
    (answer,) = await recovery.late_answers("job_1")
    assert "'video_9'" in answer
    assert await desk.job() == before


async def test_a_worker_is_known_to_be_there_until_its_lease_has_ended(desk: Desk) -> None:
    aborting = AbortStore(desk.harness.database)
    assert not await aborting.has_worker()
    await desk.leases().beat(LEASE_S)
    assert await aborting.has_worker()
    desk.harness.pass_time(LEASE_S + 1)
    assert not await aborting.has_worker()


async def test_usage_is_summed_by_model_for_one_account_and_for_all(desk: Desk) -> None:
    usage = UsageStore(desk.harness.database)
    claimed = await begun(desk, 1, cost_usd=Decimal("0.1"))
    await desk.leases().record(claimed).begin_storing()
    await desk.leases().record(claimed).succeed([stored_video()], "stored")
    await desk.jobs.create(new_job(2, model="film"))
    await desk.jobs.create(new_job(3, account_id="acct_2"))
    one = ModelUsage("scripted", "clip", Usage(jobs=1, completed=1, cost_usd=Decimal("0.1")))
    film = ModelUsage("scripted", "film", Usage(jobs=1))
    assert await usage.read(ACCOUNT) == [one, film]
    both = ModelUsage("scripted", "clip", Usage(jobs=2, completed=1, cost_usd=Decimal("0.1")))
    assert await usage.read_all(since_ms=desk.harness.now_ms()) == [both, film]
