"""Which attempts may begin beside those under way."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rushes.webhooks.capacity import Capacity, CapacityLimits, Failures

LIMITS = CapacityLimits(most=8, of_account=6, of_lane=2, kept=2, least_of_account=1)


def test_a_lane_and_an_account_have_no_more_than_their_shares() -> None:
    capacity = Capacity(LIMITS, [("a 1", "a"), ("a 1", "a"), ("a 2", "a")])
    assert capacity.left("a 1", "a") == 0
    assert capacity.left("a 2", "a") == 1
    assert capacity.left("a 3", "a") == 2
    assert capacity.full_lanes == ["a 1"]


def test_places_are_kept_for_accounts_that_have_none() -> None:
    capacity = Capacity(LIMITS, [(f"a {number}", "a") for number in range(6)])
    assert capacity.free == 2
    assert capacity.left("a 9", "a") == 0
    assert capacity.full_accounts == ["a"]
    assert capacity.left("b 1", "b") == 1
    capacity.take("b 1", "b", 1)
    assert capacity.left("b 2", "b") == 0
    assert capacity.left("c 1", "c") == 1


def test_the_share_of_what_only_fails_shrinks_and_one_success_gives_it_back() -> None:
    failures = Failures()
    shares = []
    for _ in range(9):
        failures.note("a", has_failed=True)
        shares.append(failures.share_of("a", 32, 2))
    assert shares == [32, 32, 32, 16, 8, 4, 2, 2, 2]
    assert failures.share_of("b", 32, 2) == 32
    failures.note("a", has_failed=False)
    assert failures.share_of("a", 32, 2) == 32


def test_a_copy_counts_for_itself() -> None:
    capacity = Capacity(LIMITS)
    capacity.copy().take("a 1", "a", 2)
    assert capacity.left("a 1", "a") == 2


@given(st.lists(st.tuples(st.sampled_from("123456789"), st.sampled_from("abcdefgh")), max_size=60))
def test_no_order_of_beginnings_exceeds_a_limit(wishes: list[tuple[str, str]]) -> None:
    capacity, begun = Capacity(LIMITS), Counter[str]()
    for receiver, account_id in wishes:
        if capacity.left(f"{account_id} {receiver}", account_id):
            capacity.take(f"{account_id} {receiver}", account_id, 1)
            begun[account_id] += 1
    assert begun.total() <= LIMITS.most
    assert max(begun.values(), default=0) <= LIMITS.of_account
    # Who has nothing finds a place as long as any is free.
    assert (capacity.left("z 1", "z") > 0) == (capacity.free > 0)
