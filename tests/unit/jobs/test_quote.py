"""A job keeps to what its caller has agreed to pay."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rushes.errors import BudgetExceeded, PriceUnknown
from rushes.jobs.new_job import Budget
from rushes.jobs.quote import Quoted, refuse_beyond_budget


def costing(*amounts: str | None) -> list[Quoted]:
    """Models that may run one request, with what they would cost."""
    route: Any = SimpleNamespace(model=SimpleNamespace(provider="scripted", id="clip"))
    return [Quoted(cast("Any", route), None if one is None else Decimal(one)) for one in amounts]


def test_without_a_budget_nothing_is_refused() -> None:
    refuse_beyond_budget(None, costing("3.2", None))


def test_the_dearest_model_that_may_run_counts() -> None:
    refuse_beyond_budget(Budget(Decimal("3.2")), costing("1", "3.2"))
    with pytest.raises(BudgetExceeded, match=r"would cost 3\.2 USD, more than 3\.19.* at least 3\.2") as caught:
        refuse_beyond_budget(Budget(Decimal("3.19")), costing("1", "3.2"))
    assert (caught.value.cost_usd, caught.value.most_usd) == (Decimal("3.2"), Decimal("3.19"))


def test_where_no_price_was_agreed_only_what_is_free_passes() -> None:
    refuse_beyond_budget(Budget(None), costing("0"))
    with pytest.raises(BudgetExceeded, match=r"max_cost_usd of at least 100$"):
        refuse_beyond_budget(Budget(None), costing("100"))


def test_an_unknown_price_cannot_be_agreed_to_and_has_none_to_show() -> None:
    refuse_beyond_budget(Budget(None), costing(None))
    with pytest.raises(PriceUnknown, match="leave max_cost_usd out"):
        refuse_beyond_budget(Budget(Decimal(5)), costing(None))
