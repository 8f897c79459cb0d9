"""What sharing promises, over every database: in a lane accounts take turns, and in a claim the lanes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushes.domain.job import Problem, State
from rushes.engine import claims
from rushes.engine.job_record import Claim
from tests.contract.database_harness import HARNESSES, LEASE_S, Desk, Harness, play_on
from tests.fixtures.new_jobs import new_job

PROBLEM = Problem("provider_rejected", "It broke")
LANES = {"free": None, "single": 1, "few": 3}
ACCOUNTS = ["a", "b", "c", "d"]


async def fill(desk: Desk, account_id: str, jobs: int, lane: str = "few", **given: Any) -> None:
    for number in range(jobs):
        new = new_job(f"{account_id}{number}_{lane}", account_id=account_id, lane=lane, **given)
        await desk.jobs.create(new)


async def order_of_begins(desk: Desk, jobs: int) -> list[str]:
    """The accounts of the jobs that one place gets, one after the other."""
    store = desk.leases()
    await store.beat(LEASE_S)
    accounts = []
    for _ in range(jobs):
        (one,) = await store.claim(1)
        accounts.append(one.job.account_id)
        await store.record(one).fail(State.FAILED, PROBLEM)
    return accounts


async def test_who_comes_late_with_one_job_waits_for_one_of_each_before(desk: Desk) -> None:
    await fill(desk, "a", 20, lane_capacity=1)
    await fill(desk, "b", 20, lane_capacity=1)
    await order_of_begins(desk, 6)
    await fill(desk, "c", 1, lane_capacity=1)
    assert (await order_of_begins(desk, 3))[2] == "c"


async def test_what_an_account_did_not_use_it_does_not_get_later(desk: Desk) -> None:
    await fill(desk, "a", 20, lane_capacity=1)
    assert await order_of_begins(desk, 10) == ["a"] * 10
    await fill(desk, "b", 9, lane_capacity=1)
    assert Counter(await order_of_begins(desk, 10)) == {"a": 5, "b": 5}


async def test_a_job_that_is_given_back_comes_first_again(desk: Desk) -> None:
    await fill(desk, "a", 3)
    store = desk.leases()
    await store.beat(LEASE_S)
    first, second = await store.claim(2)
    await store.put_back(second)
    await store.put_back(first)
    assert [one.job.id for one in await store.claim(3)] == ["job_a0_few", "job_a1_few", "job_a2_few"]


async def test_jobs_that_are_held_keep_none_behind_them_waiting(desk: Desk) -> None:
    await fill(desk, "a", 3, hold_s=5)
    await fill(desk, "b", 1)
    assert list(await desk.claim(1)) == ["job_b0_few"]
    desk.harness.pass_time(5)
    assert list(await desk.claim()) == ["job_a0_few", "job_a1_few", "job_a2_few"]


async def test_lanes_share_a_claim_and_the_rest_goes_round(desk: Desk) -> None:
    for lane in ("x", "y", "z"):
        await fill(desk, "a", 9, lane=lane)
    store = desk.leases()
    await store.beat(LEASE_S)
    begun: Counter[str] = Counter()
    for _ in range(6):
        claimed = await store.claim(1)
        begun.update(one.lane for one in claimed)
    assert begun == {"x": 2, "y": 2, "z": 2}
    begun.update(one.lane for one in await store.claim(9))
    assert begun == {"x": 5, "y": 5, "z": 5}


async def test_a_lane_gets_no_more_than_the_worker_has_room_for(desk: Desk) -> None:
    await fill(desk, "a", 9, lane="x")
    await fill(desk, "a", 2, lane="y")
    store = desk.leases()
    await store.beat(LEASE_S)
    claimed = await store.claim(10, {"x": 3, "y": 5}.__getitem__)
    assert Counter(one.lane for one in claimed) == {"x": 3, "y": 2}


async def test_a_lane_behind_many_that_get_nothing_is_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST_LANES", 2)
    for lane in ("a", "b", "c", "d", "z"):
        await fill(desk, "a", 1, lane=lane)
    store = desk.leases()
    await store.beat(LEASE_S)
    found: list[str] = []
    for _ in range(3):
        found += [one.lane for one in await store.claim(10, lambda lane: int(lane == "z"))]
    assert found == ["z"]


async def test_lanes_without_jobs_are_forgotten_and_others_are_not(desk: Desk) -> None:
    for lane in ("over", "waiting", "running"):
        await fill(desk, "a", 1, lane=lane)
    claimed = await desk.claim()
    await desk.leases().record(claimed["job_a0_over"]).fail(State.FAILED, PROBLEM)
    await desk.leases().put_back(claimed["job_a0_waiting"])
    assert await desk.leases().forget_idle_lanes(10) == 1
    assert await desk.leases().forget_idle_lanes(10) == 0
    await desk.check_books()


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("create"), st.sampled_from(ACCOUNTS), st.sampled_from(list(LANES)), st.integers(1, 9)
        ),
        st.tuples(st.just("claim"), st.integers(1, 6)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("serve"), st.integers(3, 12)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
    ),
    min_size=4,
    max_size=25,
)  # fmt: skip


class Queues:
    """What waits, by lane and account, and how often others began since an account has been waiting."""

    def __init__(self) -> None:
        self.waiting: dict[str, dict[str, list[str]]] = {lane: defaultdict(list) for lane in LANES}
        self.running: list[Claim] = []
        self.began: dict[tuple[str, str], Counter[str]] = {}

    def enter(self, lane: str, account_id: str, job_id: str) -> None:
        queue = self.waiting[lane][account_id]
        if not queue:
            self.began[lane, account_id] = Counter()
        queue.append(job_id)

    def free(self, lane: str) -> int:
        capacity = LANES[lane]
        used = sum(one.lane == lane for one in self.running)
        return 10_000 if capacity is None else capacity - used

    def ready(self, lane: str) -> int:
        return min(sum(map(len, self.waiting[lane].values())), self.free(lane))

    def claim(self, claimed: Sequence[Claim], most: int) -> None:
        for one in claimed:
            lane, account_id = one.lane, one.job.account_id
            assert self.free(lane) > 0
            assert self.waiting[lane][account_id].pop(0) == one.job.id, "an account's own jobs keep their order"
            self.running.append(one)
            for other, queue in self.waiting[lane].items():
                if queue or other == account_id:
                    began = self.began[lane, other]
                    began[account_id] += 1
                    # Before the k-th job of whoever waits, each of the others begins at most k + 1.
                    assert began[account_id] <= began[other] + 2, (lane, other, began)
        if len(claimed) < most:
            assert [lane for lane in LANES if self.ready(lane)] == [], "no room is left while somebody could use it"
        taken = Counter(one.lane for one in claimed)
        for lane in LANES:
            if self.ready(lane):
                assert taken[lane] >= max(taken.values()) - 1, (lane, taken)

    def all_waiting(self) -> list[tuple[str, str, str]]:
        return [
            (lane, account_id, job_id)
            for lane, accounts in self.waiting.items()
            for account_id, jobs in accounts.items()
            for job_id in jobs
        ]


@pytest.mark.parametrize("make", HARNESSES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_no_account_begins_two_jobs_more_than_another_that_waits_and_no_lane_two_more_than_another(
    make: Callable[[Path], Harness], steps: list[tuple[Any, ...]]
) -> None:
    async def play(desk: Desk) -> None:
        queues = Queues()
        store = desk.leases()
        await store.beat(LEASE_S)
        made = 0
        for step, *what in steps:
            if step == "create":
                account_id, lane, jobs = what
                for _ in range(jobs):
                    made += 1
                    await desk.jobs.create(new_job(made, account_id=account_id, lane=lane, lane_capacity=LANES[lane]))
                    queues.enter(lane, account_id, f"job_{made}")
            elif step == "claim":
                queues.claim(await store.claim(what[0]), what[0])
            elif step == "serve":
                for _ in range(what[0]):
                    claimed = await store.claim(1)
                    queues.claim(claimed, 1)
                    for one in claimed:
                        queues.running.remove(one)
                        await store.record(one).fail(State.FAILED, PROBLEM)
            elif step == "end" and queues.running:
                one = queues.running.pop(what[0] % len(queues.running))
                await store.record(one).fail(State.FAILED, PROBLEM)
            elif step == "cancel" and (waiting := queues.all_waiting()):
                lane, account_id, job_id = waiting[what[0] % len(waiting)]
                await desk.jobs.cancel(account_id, job_id)
                queues.waiting[lane][account_id].remove(job_id)
        await desk.check_books()

    play_on(make, lambda harness: play(Desk(harness)))
