"""How limits stand, and what a refusal says."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rushes.accounts.limits import LimitName
from rushes.errors import PriceUnknown, SpendLimitReached
from rushes.money.costs import Reservation
from rushes.money.spend_limits import Balance, SpendLimit, refuse_beyond, standing

NEW_YEARS_EVE = int(datetime(2026, 12, 31, 23, 0, tzinfo=UTC).timestamp() * 1000)
DOLLAR = 1_000_000


def limits(**usd: int) -> list[dict[str, object]]:
    return [{"key_id": "", "name": name, "value": value * DOLLAR} for name, value in usd.items()]


def refused(limits: list[SpendLimit], microusd: int) -> SpendLimitReached:
    with pytest.raises(SpendLimitReached) as caught:
        refuse_beyond(limits, Reservation(microusd), NEW_YEARS_EVE, unpriced_allowed=False)
    return caught.value


def standings(*balances: Balance, **usd: int) -> list[SpendLimit]:
    return list(standing(limits(**usd), balances, NEW_YEARS_EVE))


def test_periods_end_with_the_day_and_the_month_in_utc() -> None:
    resets = {one.name: one.resets_at for one in standings(spend_day=1, spend_month=1, spend_ever=1)}
    new_year = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert resets == {LimitName.SPEND_DAY: new_year, LimitName.SPEND_MONTH: new_year, LimitName.SPEND_EVER: None}


def test_what_is_reserved_counts_and_the_last_cent_may_be_spent() -> None:
    stand = standings(Balance("", "2026-12-31", 2 * DOLLAR, DOLLAR), spend_day=5)
    refuse_beyond(stand, Reservation(2 * DOLLAR), NEW_YEARS_EVE, unpriced_allowed=False)
    error = refused(stand, 2 * DOLLAR + 1)
    assert (error.spent_usd, error.reserved_usd, error.limit_usd) == (Decimal(1), Decimal(2), Decimal(5))
    assert error.retry_after_s == 3600
    assert "spend_day" in error.message
    assert "1.00 is spent and 2.00 reserved; it resets at 2027-01-01T00:00:00Z" in error.message


def test_another_day_is_another_balance() -> None:
    yesterday = Balance("", "2026-12-30", 0, 5 * DOLLAR)
    refuse_beyond(standings(yesterday, spend_day=5), Reservation(DOLLAR), NEW_YEARS_EVE, unpriced_allowed=False)


def test_what_can_never_fit_is_not_told_to_come_back() -> None:
    assert refused(standings(spend_day=5), 6 * DOLLAR).retry_after_s is None
    assert refused(standings(spend_ever=5), 6 * DOLLAR).retry_after_s is None


def test_of_several_limits_the_one_that_holds_longest_is_told() -> None:
    assert refused(standings(spend_day=1, spend_ever=1, spend_month=1), 2 * DOLLAR).limit == "spend_ever"


def test_a_free_job_passes_a_limit_that_is_used_up() -> None:
    used_up = standings(Balance("", "ever", 0, 9 * DOLLAR), spend_ever=5)
    assert used_up[0].left_usd == Decimal(-4)
    refuse_beyond(used_up, Reservation(0), NEW_YEARS_EVE, unpriced_allowed=False)


def test_a_price_that_is_not_known_is_refused_only_where_a_limit_holds() -> None:
    unpriced = Reservation(0, "own/model")
    refuse_beyond([], unpriced, NEW_YEARS_EVE, unpriced_allowed=False)
    refuse_beyond(standings(spend_day=5), unpriced, NEW_YEARS_EVE, unpriced_allowed=True)
    with pytest.raises(PriceUnknown, match="'own/model' is not known"):
        refuse_beyond(standings(spend_day=5), unpriced, NEW_YEARS_EVE, unpriced_allowed=False)
