"""What a job's money is: the rules alone."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.price import to_microusd, to_usd
from rushes.money.costs import Costs, Reservation, costs_at_end, reservation_for

PRICE = Decimal("9.60")
AMOUNTS = st.decimals(min_value=0, max_value=10_000, places=4)


def test_two_delivered_of_three_cost_two() -> None:
    assert costs_at_end(PRICE, n=3, delivered=2, uncertain=0) == Costs(0, 6_400_000)


def test_what_nobody_knows_of_stays_reserved() -> None:
    assert costs_at_end(PRICE, n=3, delivered=1, uncertain=1) == Costs(3_200_000, 3_200_000)


def test_nothing_delivered_costs_nothing_also_at_an_unknown_price() -> None:
    assert costs_at_end(PRICE, n=3, delivered=0, uncertain=0) == Costs(0, 0)
    assert costs_at_end(None, n=3, delivered=0, uncertain=0) == Costs(0, 0)


def test_what_a_video_of_unknown_price_costs_is_not_known() -> None:
    assert costs_at_end(None, n=1, delivered=1, uncertain=0).spent_microusd is None
    assert costs_at_end(None, n=1, delivered=0, uncertain=1).spent_microusd is None


@given(AMOUNTS, st.integers(1, 10), st.integers(0, 12), st.integers(0, 12))
def test_the_end_never_costs_more_than_was_reserved(cost: Decimal, n: int, delivered: int, uncertain: int) -> None:
    end = costs_at_end(cost, n=n, delivered=delivered, uncertain=uncertain)
    assert end.spent_microusd is not None
    assert end.reserved_microusd >= 0
    assert end.spent_microusd + end.reserved_microusd <= reservation_for([("m", cost)]).microusd


def test_the_dearest_of_the_possible_models_is_reserved() -> None:
    assert reservation_for([("a", Decimal(1)), ("b", Decimal("2.5")), ("c", Decimal(0))]) == Reservation(2_500_000)


def test_a_model_without_a_price_is_named() -> None:
    assert reservation_for([("a", Decimal(1)), ("b", None)]) == Reservation(1_000_000, "b")
    assert reservation_for([("b", None)]) == Reservation(0, "b")


@given(st.integers(-(10**15), 10**15))
def test_millionths_survive_being_dollars(microusd: int) -> None:
    assert to_microusd(to_usd(microusd)) == microusd
