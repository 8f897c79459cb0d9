"""Limits as values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rushes.accounts.limits import NO_LIMITS, LimitName, Limits

LIMITS = st.builds(Limits, **{name.value: st.none() | st.integers(0, 9) for name in LimitName})


@given(own=LIMITS, defaults=LIMITS)
def test_a_default_holds_where_nothing_is_set_and_nowhere_else(own: Limits, defaults: Limits) -> None:
    in_force = own.over(defaults)
    for name in LimitName:
        expected = own.of(name) if own.of(name) is not None else defaults.of(name)
        assert in_force.of(name) == expected


@given(LIMITS)
def test_a_limit_of_nothing_at_all_is_a_limit(limits: Limits) -> None:
    assert limits.are_set == (limits != NO_LIMITS)
    assert dict(limits.named()) == {name: limits.of(name) for name in LimitName if limits.of(name) is not None}


def test_only_spending_is_counted_in_money() -> None:
    assert [name for name in LimitName if name.is_money] == ["spend_day", "spend_month", "spend_ever", "user_spend_day"]
