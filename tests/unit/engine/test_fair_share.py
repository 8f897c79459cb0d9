from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.engine.fair_share import OTHERS_PART, FairShare, share_out


@pytest.mark.parametrize(("most", "alone"), [(1, 1), (3, 3), (7, 6), (8, 7), (20, 18), (2000, 1750)])
def test_a_lane_alone_gets_nearly_all_the_room(most: int, alone: int) -> None:
    assert FairShare(most).left_for("hung") == alone


@given(
    most=st.integers(1, 3000), hung=st.integers(1, 40), ended=st.lists(st.integers(0, 39), max_size=100)
)  # fmt: skip
def test_however_many_lanes_take_all_they_may_another_finds_room(most: int, hung: int, ended: list[int]) -> None:
    shares = FairShare(most)
    lanes = [f"lane_{number}" for number in range(hung)]
    carried = dict.fromkeys(lanes, 0)

    def fill() -> None:
        for lane in lanes:
            taken = shares.left_for(lane)
            carried[lane] += taken
            for _ in range(taken):
                shares.begin(lane)

    fill()
    for number in ended:
        lane = lanes[number % hung]
        if carried[lane]:
            carried[lane] -= 1
            shares.end(lane)
            fill()
    assert shares.left == most - sum(carried.values()) >= 0
    assert shares.left >= min(carried.values()) // OTHERS_PART
    assert shares.left_for("another") > 0 or shares.left == 0


async def test_what_one_lane_cannot_use_the_others_get() -> None:
    waiting = {"a": 1, "b": 50, "c": 50}

    async def take(lane: str, most: int) -> list[str]:
        taken = min(most, waiting[lane])
        waiting[lane] -= taken
        return [lane] * taken

    taken = await share_out(20, {"a": 20, "b": 20, "c": 4}, take)
    assert {lane: len(jobs) for lane, jobs in taken.items()} == {"a": 1, "b": 15, "c": 4}


def test_orphans_leave_room_for_what_waits() -> None:
    shares = FairShare(80)
    for _ in range(shares.left_for_orphans):
        shares.begin("orphaned")
    assert shares.left == 10
    assert shares.left_for("another") > 0
    assert FairShare(1).left_for_orphans == 1


def test_a_copy_stays_as_it_was() -> None:
    shares = FairShare(8)
    copy = shares.copy()
    shares.begin("lane")
    assert (copy.left, shares.left) == (8, 7)
