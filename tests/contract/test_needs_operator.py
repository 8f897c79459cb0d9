"""The list of jobs that need an operator, on every kind of database."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from rushes.domain.job import Problem, State
from rushes.domain.progress import Submission
from rushes.engine.job_record import Claim
from rushes.errors import NotRecoverable
from rushes.operations.needs_operator import Action, NeedsOperator, NeedsOperatorStore
from rushes.operations.recovery import RecoveryStore
from rushes.operations.settlement import SettlementStore
from tests.contract.database_harness import Desk
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import stored_video

PRICE = 3_200_000


@pytest.fixture
def needing(desk: Desk) -> NeedsOperatorStore:
    return NeedsOperatorStore(desk.harness.database)


@pytest.fixture
def recovery(desk: Desk) -> RecoveryStore:
    return RecoveryStore(desk.harness.database)


async def begun(desk: Desk, number: int = 1, **given: Any) -> Claim:
    await desk.jobs.create(new_job(number, **given))
    claimed = (await desk.claim())[f"job_{number}"]
    await desk.leases().record(claimed).intend(attempt_id=f"att_{number}", part=0, n=1)
    return claimed


async def ended(
    desk: Desk, code: str, number: int = 1, *, accepted: bool = True, state: State = State.FAILED, **given: Any
) -> None:
    """A job whose only attempt ended with this code."""
    claimed, leases = await begun(desk, number, **given), desk.leases()
    if accepted:
        await leases.record(claimed).accept(
            f"att_{number}", Submission({"name": "known"}, provider_video_id=f"video_{number}")
        )
    problem = Problem(code, f"it ended as {code}")
    await leases.record(claimed).fail_attempt(f"att_{number}", problem)
    await leases.record(claimed).fail(state, problem)


def told(entries: Sequence[NeedsOperator]) -> list[tuple[str, str, int]]:
    return [(entry.job_id, entry.reason, entry.reserved_microusd) for entry in entries]


@pytest.mark.parametrize(
    ("code", "accepted", "state", "actions"),
    [
        ("submission_unknown", False, State.FAILED, {Action.RECONCILE, Action.SETTLE, Action.WRITE_OFF}),
        ("output_lost", True, State.FAILED, {Action.RECOVER, Action.SETTLE, Action.WRITE_OFF}),
        ("output_invalid", True, State.FAILED, {Action.RECOVER, Action.SETTLE}),
        ("expired", True, State.EXPIRED, {Action.RECOVER, Action.SETTLE}),
        ("expired", False, State.EXPIRED, {Action.RECONCILE, Action.SETTLE}),
        ("aborted", True, State.FAILED, {Action.RECOVER, Action.SETTLE}),
    ],
)
async def test_each_end_with_money_reserved_is_listed_with_what_can_be_done(
    desk: Desk, needing: NeedsOperatorStore, code: str, accepted: bool, state: State, actions: set[Action]
) -> None:
    await ended(desk, code, accepted=accepted, state=state)
    (entry,) = await needing.list()
    assert (entry.job_id, entry.account_id, entry.reason) == ("job_1", ACCOUNT, code)
    assert (entry.reserved_microusd, entry.message, entry.state) == (PRICE, f"it ended as {code}", state)
    assert set(entry.actions) == actions
    await desk.check_books()


@pytest.mark.parametrize("cost_usd", [None, Decimal(0)])
@pytest.mark.parametrize(("code", "accepted"), [("submission_unknown", False), ("output_lost", True)])
async def test_a_job_without_a_reservation_is_listed_if_it_can_be_taken_up_again(
    desk: Desk, needing: NeedsOperatorStore, cost_usd: Decimal | None, code: str, accepted: bool
) -> None:
    await ended(desk, code, accepted=accepted, cost_usd=cost_usd)
    assert told(await needing.list()) == [("job_1", code, 0)]
    await desk.check_books()


@pytest.mark.parametrize("code", ["provider_rejected", "content_filtered", "provider_auth"])
async def test_a_job_that_was_refused_needs_nobody(desk: Desk, needing: NeedsOperatorStore, code: str) -> None:
    await ended(desk, code, accepted=False)
    await ended(desk, code, 2, accepted=False, cost_usd=None)
    assert await needing.list() == []


async def test_a_callers_own_key_leaves_nothing_for_the_operator(desk: Desk, needing: NeedsOperatorStore) -> None:
    await ended(desk, "output_lost", sealed_secret="sealed", cost_usd=Decimal(0))
    assert await needing.list() == []


async def test_a_job_that_is_past_its_deadline_and_has_not_ended_is_listed(
    desk: Desk, needing: NeedsOperatorStore
) -> None:
    claimed = await begun(desk, deadline_s=60)
    await desk.leases().record(claimed).accept("att_1", Submission({"name": "known"}, provider_video_id="video_1"))
    desk.harness.pass_time(100)
    assert await needing.list() == []
    desk.harness.pass_time(30)
    (entry,) = await needing.list()
    assert (entry.reason, entry.actions, entry.reserved_microusd) == ("overdue", (Action.ABORT,), PRICE)
    await desk.leases("worker_2").release_dead(all_workers=True)
    assert told(await needing.list()) == [("job_1", "overdue", PRICE)]


async def test_pages_follow_each_other_without_gap_or_repetition(desk: Desk, needing: NeedsOperatorStore) -> None:
    for number in range(1, 8):
        await ended(desk, "output_lost", number)
        if number % 3 == 0:
            desk.harness.pass_time(1)
    seen: list[str] = []
    after = None
    while page := await needing.list(2, after=after):
        assert len(page) <= 2
        seen.extend(entry.job_id for entry in page)
        after = page[-1].place
    assert sorted(seen) == [f"job_{number}" for number in range(1, 8)]
    assert len(seen) == len(set(seen))


async def test_a_deleted_job_keeps_its_money_on_the_list(desk: Desk, needing: NeedsOperatorStore) -> None:
    await ended(desk, "output_lost")
    await ended(desk, "output_lost", 2, cost_usd=None)
    await desk.jobs.delete(ACCOUNT, "job_1")
    await desk.jobs.delete(ACCOUNT, "job_2")
    (entry,) = await needing.list()
    assert (entry.job_id, entry.is_deleted, entry.reason, entry.actions) == (
        "job_1", True, "output_lost", (Action.SETTLE,),
    )  # fmt: skip


@pytest.mark.parametrize("cost_usd", [Decimal("3.20"), None])
async def test_a_settled_job_is_listed_no_more(
    desk: Desk, needing: NeedsOperatorStore, cost_usd: Decimal | None
) -> None:
    await ended(desk, "expired", state=State.EXPIRED, cost_usd=cost_usd)
    await SettlementStore(desk.harness.database).settle("job_1", Decimal("1.5"))
    assert await needing.list() == []
    await desk.check_books()


@pytest.mark.parametrize("cost_usd", [Decimal("3.20"), None])
async def test_a_job_that_is_written_off_is_listed_no_more(
    desk: Desk, needing: NeedsOperatorStore, recovery: RecoveryStore, cost_usd: Decimal | None
) -> None:
    await ended(desk, "submission_unknown", accepted=False, cost_usd=cost_usd)
    await recovery.write_off("job_1")
    assert await needing.list() == []
    await desk.check_books()


@pytest.mark.parametrize("code", ["expired", "output_lost", "output_invalid", "aborted"])
@pytest.mark.parametrize("cost_usd", [Decimal("3.20"), None, Decimal(0)])
async def test_a_job_that_the_provider_still_has_is_recovered(
    desk: Desk, needing: NeedsOperatorStore, recovery: RecoveryStore, code: str, cost_usd: Decimal | None
) -> None:
    await ended(desk, code, state=State.EXPIRED if code == "expired" else State.FAILED, cost_usd=cost_usd)
    await recovery.recover("job_1")
    assert await needing.list() == []
    claimed = await desk.claim_one()
    assert (claimed.job.state, claimed.attempts[0].handle) == (State.RECOVERING, {"name": "known"})
    await desk.leases().record(claimed).succeed([stored_video()], "stored")
    assert (await desk.job()).state is State.SUCCEEDED
    assert await needing.list() == []
    await desk.check_books()


@pytest.mark.parametrize("cost_usd", [Decimal("3.20"), None, Decimal(0)])
async def test_a_recovery_that_fails_is_listed_again(
    desk: Desk, needing: NeedsOperatorStore, recovery: RecoveryStore, cost_usd: Decimal | None
) -> None:
    await ended(desk, "expired", state=State.EXPIRED, cost_usd=cost_usd)
    await recovery.recover("job_1")
    claimed, lost = await desk.claim_one(), Problem("output_lost", "still not there")
    await desk.leases().record(claimed).fail_attempt("att_1", lost)
    await desk.leases().record(claimed).fail(State.FAILED, lost)
    assert [entry.reason for entry in await needing.list()] == ["output_lost"]
    await desk.check_books()


async def test_an_expired_job_is_reconciled_with_the_providers_id(
    desk: Desk, needing: NeedsOperatorStore, recovery: RecoveryStore
) -> None:
    await ended(desk, "expired", accepted=False, state=State.EXPIRED)
    await recovery.reconcile("job_1", {"name": "found"}, "video_9")
    claimed = await desk.claim_one()
    assert (claimed.job.provider_video_id, claimed.attempts[0].handle) == ("video_9", {"name": "found"})
    await desk.check_books()


async def test_what_has_not_ended_in_trouble_cannot_be_taken_up(desk: Desk, recovery: RecoveryStore) -> None:
    await desk.jobs.create(new_job())
    with pytest.raises(NotRecoverable, match="queued"):
        await recovery.recover("job_1")
