"""What the callers' half of the job store promises, over every database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from rushes.domain.job import Problem, State, Status
from rushes.domain.progress import Submission
from rushes.domain.request import VideoRequest
from rushes.domain.tenant import Tenant
from rushes.errors import JobNotFound, LeaseLost, NotCancellable
from rushes.jobs.store import Listing
from rushes.money.usage import Grouping, UsageStore
from tests.contract.database_harness import Desk, together
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import stored_video

EVERYTHING = Listing(limit=1000)


async def ids(desk: Desk, listing: Listing, account_id: str = ACCOUNT) -> list[str]:
    return [job.id for job in await desk.jobs.list(Tenant(account_id), listing)]


# Create and get.


async def test_what_was_asked_for_is_what_is_kept(desk: Desk) -> None:
    request = VideoRequest(prompt="Ein Hund 🐕", n=2, seed=0, generate_audio=False, additional_params={"a": [1, None]})
    new = new_job(
        provider="maker",
        model="old",
        request=request,
        response_format="b64_json",
        cost_usd=Decimal("0.10"),
        usual_s=12.5,
        warnings=("One", "Two"),
        hold_s=1.5,
        deadline_s=60,
        asked_model="sora-2",
        source_job_id="job_0",
    )
    created = await desk.jobs.create(new)
    now_ms = desk.harness.now_ms()
    assert created == await desk.job()
    assert created.request == request
    assert (created.provider, created.model) == ("maker", "old")
    assert (created.served_provider, created.served_model) == ("scripted", "clip")
    assert (created.asked_model, created.source_job_id) == ("sora-2", "job_0")
    assert str(created.cost_usd) == "0.10"
    assert created.warnings == ("One", "Two")
    assert (created.created_at, created.available_at, created.deadline_at) == (now_ms, now_ms + 1500, now_ms + 60_000)
    assert created.state is State.QUEUED
    assert (created.started_at, created.completed_at, created.cancelled_at) == (None, None, None)
    assert created.problem is None
    assert created.progress is None


async def test_an_unknown_price_is_not_a_price_of_zero(desk: Desk) -> None:
    assert (await desk.jobs.create(new_job(1, cost_usd=None))).cost_usd is None
    assert (await desk.jobs.create(new_job(2, cost_usd=Decimal(0)))).cost_usd == 0


async def test_a_created_job_survives_a_restart(desk: Desk) -> None:
    created = await desk.jobs.create(new_job())
    await desk.harness.restart()
    assert await desk.job() == created


async def test_another_accounts_job_is_not_found(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    with pytest.raises(JobNotFound, match="Job 'job_1' not found"):
        await desk.jobs.get(Tenant("acct_2"), "job_1")
    assert (await desk.jobs.get_any("job_1")).account_id == ACCOUNT


async def test_an_unknown_job_is_not_found(desk: Desk) -> None:
    for call in (desk.jobs.get(ACCOUNT, "job_x"), desk.jobs.get_any("job_x"), desk.jobs.cancel(ACCOUNT, "job_x")):
        with pytest.raises(JobNotFound):
            await call


async def test_a_second_job_of_the_same_id_changes_nothing(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    before = await desk.everything()
    (error,) = await together(desk.jobs.create(new_job()))
    assert isinstance(error, Exception)
    assert await desk.everything() == before


# Lists and counts.


async def test_lists_are_newest_first_and_own_jobs_only(desk: Desk) -> None:
    for number in range(5):
        await desk.jobs.create(new_job(number, account_id="acct_2" if number == 2 else ACCOUNT))
    assert await ids(desk, EVERYTHING) == ["job_4", "job_3", "job_1", "job_0"]
    assert await ids(desk, EVERYTHING, "acct_2") == ["job_2"]
    assert await ids(desk, EVERYTHING, "acct_3") == []


async def test_pages_by_skip_and_by_cursor_show_each_job_once(desk: Desk) -> None:
    for number in range(11):
        await desk.jobs.create(new_job(number))
    whole = await ids(desk, EVERYTHING)
    by_skip = [job_id for skip in range(0, 12, 3) for job_id in await ids(desk, Listing(limit=3, skip=skip))]
    assert by_skip == whole
    by_cursor: list[str] = []
    beyond_seq: int | None = None
    while page := await desk.jobs.list(ACCOUNT, Listing(limit=4, beyond_seq=beyond_seq)):
        by_cursor += [job.id for job in page]
        beyond_seq = page[-1].seq
        await desk.jobs.create(new_job(f"new_{beyond_seq}"))
    assert by_cursor == whole


async def test_pages_of_either_order_show_each_job_once_and_are_each_others_reverse(desk: Desk) -> None:
    for number in range(7):
        await desk.jobs.create(new_job(number, account_id="acct_2" if number == 3 else ACCOUNT))
    orders: dict[bool, list[str]] = {True: [], False: []}
    for oldest_first, seen in orders.items():
        beyond_seq: int | None = None
        while page := await desk.jobs.list(ACCOUNT, Listing(limit=4, oldest_first=oldest_first, beyond_seq=beyond_seq)):
            seen += [job.id for job in page]
            beyond_seq = page[-1].seq
    assert orders[True] == ["job_0", "job_1", "job_2", "job_4", "job_5", "job_6"]
    assert orders[False] == orders[True][::-1]


async def test_skipping_beyond_the_end_is_an_empty_page(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    assert await ids(desk, Listing(limit=10, skip=10)) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status": Status.PENDING}, ["job_2", "job_1"]),
        ({"status": Status.FAILED}, ["job_3"]),
        ({"status": Status.COMPLETED}, []),
        ({"model": "other"}, ["job_2"]),
        ({"provider": "another"}, ["job_3"]),
        ({"created_after_ms": 2000}, ["job_3", "job_2"]),
        ({"created_before_ms": 2000}, ["job_1"]),
        ({"created_before_ms": 0}, []),
        ({"created_before_ms": 9000}, ["job_3", "job_2", "job_1"]),
        ({"created_after_ms": 1000, "created_before_ms": 3000, "status": Status.PENDING}, ["job_2", "job_1"]),
        ({"created_before_ms": 3000, "limit": 1, "skip": 1}, ["job_1"]),
        ({"model": "clip", "status": Status.FAILED}, ["job_3"]),
    ],
    ids=str,
)
async def test_every_filter_given_holds(desk: Desk, given: dict[str, Any], expected: list[str]) -> None:
    start_ms = desk.harness.now_ms()
    for number, others in ((1, {}), (2, {"model": "other"}), (3, {"provider": "another"})):
        desk.harness.pass_time(1)
        await desk.jobs.create(new_job(number, **others))
    await desk.jobs.cancel(ACCOUNT, "job_3")
    listing = {key: value + start_ms if key.endswith("_ms") else value for key, value in given.items()}
    assert await ids(desk, Listing(**{"limit": 10, **listing})) == expected


async def test_counts_follow_every_move(desk: Desk) -> None:
    for number in range(6):
        await desk.jobs.create(new_job(number, account_id="acct_2" if number == 5 else ACCOUNT))
    await desk.jobs.cancel(ACCOUNT, "job_0")
    claimed = await desk.claim()
    for number in (1, 2, 3):
        await desk.leases().record(claimed[f"job_{number}"]).intend(attempt_id=f"att_{number}", part=0, n=1)
    await desk.leases().record(claimed["job_2"]).accept("att_2", Submission({}))
    await desk.leases().record(claimed["job_2"]).begin_storing()
    await desk.leases().record(claimed["job_2"]).succeed([stored_video()], "stored")
    await desk.leases().record(claimed["job_3"]).fail(State.FAILED, Problem("provider_rejected", "It broke"))
    counts = {status: await desk.jobs.count(ACCOUNT, status) for status in Status}
    assert counts == {Status.PENDING: 1, Status.IN_PROGRESS: 1, Status.COMPLETED: 1, Status.FAILED: 2}
    assert await desk.jobs.count(ACCOUNT) == 5
    assert await desk.jobs.count(Tenant("acct_2")) == 1
    assert await desk.jobs.count(Tenant("acct_3")) == 0
    await desk.check_books()


def test_a_total_is_kept_with_no_filter_or_by_status_alone() -> None:
    assert EVERYTHING.counted
    assert Listing(limit=1, skip=5, beyond_seq=3, status=Status.FAILED).counted
    for given in ({"model": "clip"}, {"provider": "x"}, {"created_after_ms": 0}, {"created_before_ms": 0}):
        assert not Listing(limit=1, **given).counted


# Cancel.


async def test_a_queued_job_can_be_cancelled(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    desk.harness.pass_time(5)
    job = await desk.jobs.cancel(ACCOUNT, "job_1")
    assert job == await desk.job()
    assert job.state is State.CANCELLED
    assert job.status is Status.FAILED
    assert job.problem is not None
    assert job.problem.code == "cancelled"
    assert job.cancelled_at == job.completed_at == desk.harness.now_ms()
    await desk.check_books()


async def test_cancelling_again_is_no_error_and_changes_nothing(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    first = await desk.jobs.cancel(ACCOUNT, "job_1")
    before = await desk.everything()
    desk.harness.pass_time(5)
    assert await desk.jobs.cancel(ACCOUNT, "job_1") == first
    assert await desk.everything() == before


async def test_another_accounts_job_cannot_be_cancelled(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    with pytest.raises(JobNotFound):
        await desk.jobs.cancel(Tenant("acct_2"), "job_1")
    assert (await desk.job()).state is State.QUEUED


async def test_a_cancelled_job_is_never_claimed(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    await desk.jobs.cancel(ACCOUNT, "job_1")
    assert await desk.claim() == {}


async def test_a_claimed_job_can_be_cancelled_until_the_intent_is_recorded(desk: Desk) -> None:
    await desk.jobs.create(new_job(lane_capacity=1))
    claimed = await desk.claim_one()
    await desk.jobs.cancel(ACCOUNT, "job_1")
    with pytest.raises(LeaseLost):
        await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await desk.check_books()
    await desk.jobs.create(new_job(2, lane_capacity=1))
    assert list(await desk.claim()) == ["job_2"]


async def test_after_the_intent_cancelling_says_what_the_job_is(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    claimed = await desk.claim_one()
    await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    before = await desk.everything()
    with pytest.raises(NotCancellable, match="'job_1' is in_progress"):
        await desk.jobs.cancel(ACCOUNT, "job_1")
    assert await desk.everything() == before


async def test_of_a_cancel_and_an_intent_at_once_exactly_one_wins(desk: Desk) -> None:
    jobs = 300
    await together(*(desk.jobs.create(new_job(number)) for number in range(jobs)))
    claimed = await desk.claim(jobs)
    calls: list[object] = []
    for number, (job_id, one) in enumerate(claimed.items()):
        race = [
            desk.jobs.cancel(ACCOUNT, job_id),
            desk.leases().record(one).intend(attempt_id=f"att_{job_id}", part=0, n=1),
        ]
        calls += race if number % 2 else reversed(race)
    outcomes = await together(*calls)
    for first, second in zip(outcomes[::2], outcomes[1::2], strict=True):
        errors = [outcome for outcome in (first, second) if isinstance(outcome, Exception)]
        assert len(errors) == 1
        assert isinstance(errors[0], NotCancellable | LeaseLost)
    assert {row["state"] for row in await desk.rows("SELECT state FROM jobs")} == {"cancelled", "submitting"}
    await desk.check_books()


async def test_of_a_cancel_and_a_worker_at_once_exactly_one_wins(desk: Desk) -> None:
    jobs = 300
    await together(*(desk.jobs.create(new_job(number)) for number in range(jobs)))

    async def work() -> None:
        while claimed := await desk.claim(7):
            await together(
                *(
                    desk.leases().record(one).intend(attempt_id=f"att_{job_id}", part=0, n=1)
                    for job_id, one in claimed.items()
                )
            )

    cancels = [desk.jobs.cancel(ACCOUNT, f"job_{number}") for number in reversed(range(jobs))]
    outcomes = await together(work(), *cancels)
    assert all(outcome is None or not isinstance(outcome, Exception) or isinstance(outcome, NotCancellable)
               for outcome in outcomes)  # fmt: skip
    refused = sum(isinstance(outcome, NotCancellable) for outcome in outcomes)
    states = await desk.rows("SELECT state, COUNT(*) AS jobs FROM jobs GROUP BY state")
    by_state = {row["state"]: row["jobs"] for row in states}
    assert by_state.get("submitting", 0) == refused
    assert by_state.get("cancelled", 0) == jobs - refused
    await desk.check_books()


# The caller's own tag and pairs.


async def test_a_tag_and_pairs_are_kept_and_lists_filter_by_the_tag(desk: Desk) -> None:
    await desk.jobs.create(new_job(1, user="u1", metadata={"order": "7", "ключ": ""}))
    await desk.jobs.create(new_job(2, user="u2"))
    await desk.jobs.create(new_job(3))
    job = await desk.jobs.get(ACCOUNT, "job_1")
    assert (job.user, job.metadata) == ("u1", {"order": "7", "ключ": ""})
    other = await desk.jobs.get(ACCOUNT, "job_3")
    assert (other.user, other.metadata) == (None, {})
    assert await ids(desk, Listing(limit=10, user="u1")) == ["job_1"]
    assert await ids(desk, Listing(limit=10, user="U1")) == []
    assert not Listing(limit=10, user="u1").counted


async def test_usage_is_grouped_by_the_tag(desk: Desk) -> None:
    for number in (1, 2):
        await desk.jobs.create(new_job(number, user="u1"))
    await desk.jobs.create(new_job(3, user="u2"))
    await desk.jobs.create(new_job(4))
    await desk.jobs.cancel(ACCOUNT, "job_2")
    usage = UsageStore(desk.harness.database)
    groups = await usage.read_span(ACCOUNT, date(1970, 1, 1), date(2100, 1, 1), Grouping.USER)
    assert [(name, one.jobs, one.failed, one.open) for name, one in groups] == [("u1", 2, 1, 1), ("u2", 1, 0, 1)]


async def test_a_job_is_found_with_its_calls_by_its_own_account_alone(desk: Desk) -> None:
    await desk.jobs.create(new_job(1))
    job, attempts = await desk.jobs.source(ACCOUNT, "job_1")
    assert (job.id, list(attempts)) == ("job_1", [])
    with pytest.raises(JobNotFound):
        await desk.jobs.source(Tenant("acct_2"), "job_1")
