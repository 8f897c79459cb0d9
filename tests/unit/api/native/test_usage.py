"""The answer to GET /user/usage, made of the sums per model."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rushes.api.native.usage import account_usage, month_of
from rushes.money.usage import ModelUsage, Usage
from rushes.views.times import rfc3339

TEN = Usage(jobs=10, completed=7, failed=2, unpriced=1, cost_usd=Decimal("0.3"))
ONE = Usage(jobs=1, completed=1, cost_usd=Decimal("0.1"))


@pytest.mark.parametrize(
    ("now_ms", "start", "end"),
    [
        (1_775_563_200_123, "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
        (1_798_761_599_999, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (1_798_761_600_000, "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
    ],
)
def test_a_period_is_a_calendar_month(now_ms: int, start: str, end: str) -> None:
    assert tuple(map(rfc3339, month_of(now_ms))) == (start, end)


def test_sums_are_exact_before_they_are_numbers() -> None:
    answer = account_usage([ModelUsage("google", "veo", TEN), ModelUsage("animatic", "storyboard", ONE)], [], 0, 1000)
    assert (answer.total_requests, answer.total_cost) == (11, 0.4)
    assert (answer.total.completed, answer.total.failed, answer.total.open, answer.total.unpriced) == (8, 2, 1, 1)


def test_one_id_at_two_providers_is_one_model() -> None:
    answer = account_usage([ModelUsage("google", "veo", TEN), ModelUsage("replicate", "veo", ONE)], [], 0, 1000)
    assert {name: usage.requests for name, usage in answer.by_provider.items()} == {"google": 10, "replicate": 1}
    assert {name: usage.requests for name, usage in answer.by_model.items()} == {"veo": 11}


def test_the_period_is_counted_by_itself() -> None:
    answer = account_usage([ModelUsage("google", "veo", TEN)], [ModelUsage("google", "veo", ONE)], 0, 86_400_000)
    period = answer.current_period
    assert (period.requests, period.cost) == (1, 0.1)
    assert (period.period_start, period.period_end) == ("1970-01-01T00:00:00Z", "1970-01-01T23:59:59Z")
