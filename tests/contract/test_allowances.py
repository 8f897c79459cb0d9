"""What limits on jobs promise, over every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushes.accounts.limits import LimitName, Limits, LimitStore
from rushes.domain.job import Problem, State
from rushes.domain.progress import Submission
from rushes.domain.tenant import Tenant
from rushes.engine.claims import ClaimStore
from rushes.engine.job_record import Claim
from rushes.errors import QueueFull
from rushes.jobs.admission import Allowances
from rushes.jobs.store import JobStore
from tests.contract.database_harness import HARNESSES, LEASE_S, Desk, Harness, play_on, together
from tests.fixtures.new_jobs import ACCOUNT, new_job

PROBLEM = Problem("provider_rejected", "It broke")
LANES = {"scripted/clip": None, "scripted/single": 1}


async def limit(desk: Desk, name: LimitName, value: int, *, account_id: str = ACCOUNT, key_id: str = "") -> None:
    await LimitStore(desk.harness.database).change(account_id, {name: value}, key_id)


async def ids_claimed(desk: Desk, most: int = 100) -> list[str]:
    return sorted(await desk.claim(most))


async def test_of_creates_at_once_only_as_many_are_stored_as_may_be_pending(desk: Desk) -> None:
    store = JobStore(desk.harness.database, Limits(queued_jobs=5))
    outcomes = await together(*(store.create(new_job(number)) for number in range(20)))
    assert sum(isinstance(outcome, QueueFull) for outcome in outcomes) == 15
    assert await store.count(ACCOUNT) == 5
    await store.create(new_job("other", account_id="acct_2"))
    await desk.check_books()


async def test_a_key_may_have_fewer_pending_jobs_than_its_account(desk: Desk) -> None:
    await limit(desk, LimitName.QUEUED_JOBS, 2)
    await limit(desk, LimitName.QUEUED_JOBS, 1, key_id="key_1")
    await desk.jobs.create(new_job(1))
    with pytest.raises(QueueFull, match="API key has 1 pending"):
        await desk.jobs.create(new_job(2))
    await desk.jobs.create(new_job(3, key_id="key_2"))
    with pytest.raises(QueueFull, match="account has 2 pending"):
        await desk.jobs.create(new_job(4, key_id="key_2"))
    await desk.jobs.cancel(ACCOUNT, "job_1")
    await desk.jobs.create(new_job(5))


async def test_a_job_that_was_begun_is_not_pending_any_more(desk: Desk) -> None:
    await limit(desk, LimitName.QUEUED_JOBS, 1)
    await desk.jobs.create(new_job(1))
    await desk.leases().record(await desk.claim_one()).intend(attempt_id="att_1", part=0, n=1)
    await desk.jobs.create(new_job(2))


async def test_jobs_on_callers_own_keys_are_neither_limited_nor_counted_in_flight(desk: Desk) -> None:
    await limit(desk, LimitName.JOBS_IN_FLIGHT, 1)
    for number in (1, 2):
        await desk.jobs.create(new_job(number, sealed_secret="sealed"))
        await desk.jobs.create(new_job(number + 2))
    assert await ids_claimed(desk) == ["job_1", "job_2", "job_3"]


async def test_an_account_without_room_holds_up_nobody_behind_it(desk: Desk) -> None:
    await limit(desk, LimitName.JOBS_IN_FLIGHT, 2)
    for number in range(40):
        await desk.jobs.create(new_job(number))
    await desk.jobs.create(new_job("other", account_id="acct_2"))
    assert await ids_claimed(desk, most=10) == ["job_0", "job_1", "job_other"]
    assert await ids_claimed(desk, most=10) == []
    assert await desk.leases().next_available_s() is None


async def test_a_key_without_room_leaves_its_accounts_room_to_others(desk: Desk) -> None:
    await limit(desk, LimitName.JOBS_IN_FLIGHT, 3)
    await limit(desk, LimitName.JOBS_IN_FLIGHT, 1, key_id="key_1")
    for number in range(3):
        await desk.jobs.create(new_job(number))
        await desk.jobs.create(new_job(f"x{number}", key_id="key_2"))
    assert await ids_claimed(desk) == ["job_0", "job_x0", "job_x1"]


async def test_room_comes_back_when_a_video_is_finished_at_the_provider(desk: Desk) -> None:
    leases = ClaimStore(desk.harness.database, "worker_1", jobs_in_flight=1)
    await leases.beat(LEASE_S)
    for number in (1, 2):
        await desk.jobs.create(new_job(number))
    (first,) = await leases.claim(10)
    assert list(await leases.claim(10)) == []
    await leases.record(first).intend(attempt_id="att_1", part=0, n=1)
    await leases.record(first).accept("att_1", Submission({}))
    assert list(await leases.claim(10)) == []
    await leases.record(first).begin_storing()
    assert [one.job.id for one in await leases.claim(10)] == ["job_2"]


async def test_what_remains_is_the_least_of_what_account_and_key_leave(desk: Desk) -> None:
    allowances = Allowances(desk.harness.database, Limits(queued_jobs=9))
    assert await allowances.remaining(Tenant("acct_new"), "key_1") == Limits(queued_jobs=9)
    await limit(desk, LimitName.JOBS_IN_FLIGHT, 4)
    await limit(desk, LimitName.JOBS_IN_FLIGHT, 3, key_id="key_1")
    await desk.jobs.create(new_job(0))
    await desk.leases().record(await desk.claim_one()).intend(attempt_id="att_1", part=0, n=1)
    for number in (1, 2):
        await desk.jobs.create(new_job(number))
    assert await allowances.remaining(ACCOUNT, "key_1") == Limits(jobs_in_flight=2, queued_jobs=7)
    assert await allowances.remaining(ACCOUNT, "key_2") == Limits(jobs_in_flight=3, queued_jobs=7)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("create"), st.sampled_from(["a", "b", "c"]), st.sampled_from(list(LANES)), st.sampled_from([0, 1])
        ),
        st.tuples(st.just("claim"), st.integers(1, 5)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("put_back"), st.integers(0, 9)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("make", HARNESSES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_nobody_has_more_in_flight_than_may_be_and_no_room_is_left_unused(
    make: Callable[[Path], Harness], steps: list[tuple[Any, ...]]
) -> None:
    """Account `a` may have 1, `b` 3 of which its second key 1, `c` any number; one lane takes one job at a time."""
    of_account, of_key = {"a": 1, "b": 3}, {("b", "key_b1"): 1}

    async def play(desk: Desk) -> None:
        for account_id, value in of_account.items():
            await limit(desk, LimitName.JOBS_IN_FLIGHT, value, account_id=account_id)
        for (account_id, key_id), value in of_key.items():
            await limit(desk, LimitName.JOBS_IN_FLIGHT, value, account_id=account_id, key_id=key_id)
        leases = desk.leases()
        await leases.beat(LEASE_S)
        waiting: dict[str, Any] = {}
        running: dict[str, Claim] = {}

        def has_room(job: Any) -> bool:
            mine = [one.job for one in running.values()]
            accounts = Counter(one.account_id for one in mine)
            keys = Counter((one.account_id, one.key_id) for one in mine)
            lanes = Counter(f"{one.served_provider}/{one.served_model}" for one in mine)
            return (
                accounts[job.account_id] < of_account.get(job.account_id, 99)
                and keys[job.account_id, job.key_id] < of_key.get((job.account_id, job.key_id), 99)
                and lanes[job.route.lane] < (LANES[job.route.lane] or 99)
            )

        for number, (step, *what) in enumerate(steps):
            if step == "create":
                account_id, lane, key = what
                new = new_job(
                    number,
                    account_id=account_id,
                    key_id=f"key_{account_id}{key}",
                    lane=lane,
                    served_model=lane.partition("/")[2],
                    lane_capacity=LANES[lane],
                )
                await desk.jobs.create(new)
                waiting[new.id] = new
            elif step == "claim":
                claimed = await leases.claim(what[0])
                for one in claimed:
                    assert has_room(waiting.pop(one.job.id))
                    running[one.job.id] = one
                if len(claimed) < what[0]:
                    assert not [job.id for job in waiting.values() if has_room(job)]
            elif running:
                one = list(running.values())[what[0] % len(running)]
                del running[one.job.id]
                if step == "end":
                    await leases.record(one).fail(State.FAILED, PROBLEM)
                else:
                    await leases.put_back(one)
                    waiting[one.job.id] = new_job(
                        one.job.id[4:], account_id=one.job.account_id, key_id=one.job.key_id,
                        lane=f"{one.job.served_provider}/{one.job.served_model}",
                    )  # fmt: skip
        await desk.check_books()

    play_on(make, lambda harness: play(Desk(harness)))
