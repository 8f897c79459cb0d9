"""What operators decide, and the jobs of all accounts that they see, on every kind of database."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from unittest import mock

import pytest

from rushes.domain.job import State, Status
from rushes.operations import job_list
from rushes.operations.abort import AbortStore
from rushes.operations.decisions import Decision, Decisions, Selection
from rushes.operations.job_list import JobListStore, JobQuery
from rushes.operations.needs_operator import Action, NeedsOperatorStore
from rushes.operations.recovery import Recovery, RecoveryStore
from rushes.operations.settlement import SettlementStore
from tests.contract.database_harness import Desk
from tests.contract.test_needs_operator import ended
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import ScriptedProvider


@pytest.fixture
def decisions(desk: Desk) -> Decisions:
    database = desk.harness.database
    recovery = Recovery(RecoveryStore(database), {("google", None): ScriptedProvider()})
    return Decisions(NeedsOperatorStore(database), recovery, SettlementStore(database), AbortStore(database))


@pytest.fixture
def jobs(desk: Desk) -> JobListStore:
    return JobListStore(desk.harness.database)


async def test_a_check_says_what_would_happen_and_changes_nothing(desk: Desk, decisions: Decisions) -> None:
    await ended(desk, "output_lost")
    for decision in (
        Decision(Action.RECOVER, "job_1"),
        Decision(Action.SETTLE, "job_1", cost_usd=Decimal(0)),
        Decision(Action.WRITE_OFF, "job_1"),
    ):
        assert (await decisions.check(decision)).error_code is None
    (entry,) = await decisions.select(Selection())
    assert (entry.job_id, entry.state) == ("job_1", State.FAILED)
    assert (await decisions.carry_out(Decision(Action.RECOVER, "job_1"))).error_code is None
    assert (await desk.job()).state is State.RECOVERING


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (Action.RECOVER, "not_recoverable"),
        (Action.WRITE_OFF, "not_recoverable"),
        (Action.RECONCILE, "not_recoverable"),
        (Action.SETTLE, "not_finished"),
    ],
)
async def test_a_check_refuses_what_carrying_out_would_refuse(
    desk: Desk, decisions: Decisions, action: Action, code: str
) -> None:
    await desk.jobs.create(new_job())
    decision = Decision(action, "job_1", provider_video_id="video_1", cost_usd=Decimal(1))
    assert (await decisions.check(decision)).error_code == code
    assert (await decisions.carry_out(decision)).error_code == code
    assert (await decisions.check(Decision(Action.ABORT, "job_1"))).error_code is None
    assert (await decisions.check(Decision(action, "job_9"))).error_code == "job_not_found"


async def test_a_deleted_job_can_only_be_settled(desk: Desk, decisions: Decisions) -> None:
    await ended(desk, "output_lost")
    await desk.jobs.delete(ACCOUNT, "job_1")
    assert (await decisions.check(Decision(Action.RECOVER, "job_1"))).error_code == "job_not_found"
    settle = Decision(Action.SETTLE, "job_1", cost_usd=Decimal("1.5"))
    assert (await decisions.check(settle)).error_code is None
    assert (await decisions.carry_out(settle)).error_code is None
    assert await decisions.select(Selection()) == []
    await desk.check_books()


async def test_a_selection_matches_all_of_its_conditions(desk: Desk, decisions: Decisions) -> None:
    await ended(desk, "output_lost")
    await ended(desk, "submission_unknown", 2, accepted=False)
    await ended(desk, "output_lost", 3, account_id="other")

    async def found(selection: Selection) -> list[str]:
        return [entry.job_id for entry in await decisions.select(selection)]

    assert await found(Selection(reason="output_lost")) == ["job_1", "job_3"]
    assert await found(Selection(reason="output_lost", account_id="other")) == ["job_3"]
    assert await found(Selection(action=Action.RECONCILE)) == ["job_2"]
    assert await found(Selection(provider="unknown")) == []
    assert len(await decisions.select(Selection(), 2)) == 2


async def test_jobs_of_all_accounts_are_listed_newest_first(desk: Desk, jobs: JobListStore) -> None:
    for number in range(1, 8):
        await desk.jobs.create(new_job(number, account_id="other" if number % 2 else ACCOUNT))
    await ended(desk, "output_lost", 8)

    async def found(query: JobQuery) -> list[str]:
        return [job.id for job in (await jobs.list(query)).jobs]

    every = [f"job_{number}" for number in range(8, 0, -1)]
    assert await found(JobQuery(limit=100)) == every
    assert await found(JobQuery(limit=100, account_id="other")) == ["job_7", "job_5", "job_3", "job_1"]
    assert await found(JobQuery(limit=100, status=Status.PENDING)) == every[1:]
    assert await found(JobQuery(limit=100, error_code="output_lost")) == ["job_8"]
    assert await found(JobQuery(limit=100, account_id="other", status=Status.FAILED)) == []
    seen: list[str] = []
    beyond = None
    while True:
        page = await jobs.list(JobQuery(limit=3, beyond_seq=beyond))
        seen += [job.id for job in page.jobs]
        beyond = page.next_seq
        if beyond is None:
            break
    assert seen == every


@pytest.mark.parametrize("account_id", [None, ACCOUNT])
async def test_a_page_reads_a_bounded_number_of_jobs_and_says_where_to_go_on(
    desk: Desk, jobs: JobListStore, account_id: str | None
) -> None:
    await ended(desk, "output_lost")
    for number in range(2, 9):
        await desk.jobs.create(new_job(number))
    query = JobQuery(limit=5, account_id=account_id, error_code="output_lost")
    with mock.patch.object(job_list, "READ_AT_MOST", 4):
        first = await jobs.list(query)
        assert list(first.jobs) == []
        assert first.next_seq is not None
        second = await jobs.list(replace(query, beyond_seq=first.next_seq))
    assert [job.id for job in second.jobs] == ["job_1"]
