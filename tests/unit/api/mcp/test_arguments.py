"""What is wrong with a tool's arguments is named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rushes.api.mcp.arguments import Arguments, tool_named
from rushes.errors import InvalidRequest, UnknownField

GET, GENERATE = tool_named("get_video"), tool_named("generate_video")


def test_null_counts_as_not_given() -> None:
    assert Arguments(GET, {"job_id": "job_1", "wait_s": None}).whole("wait_s", 0, 50, 0) == 0


def test_an_unknown_argument_is_refused_with_what_comes_near() -> None:
    with pytest.raises(UnknownField) as caught:
        Arguments(GENERATE, {"prompt": "x", "negativ_prompt": "y"})
    assert caught.value.suggestions == ("negative_prompt",)


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(InvalidRequest, match="job_id: is required by get_video"):
        Arguments(GET, {"wait_s": 1})


@pytest.mark.parametrize("wait_s", [51, -1, 1.5, "10", True])
def test_a_wait_out_of_bounds_is_refused_with_the_bounds(wait_s: Any) -> None:
    with pytest.raises(InvalidRequest, match="wait_s: must be a whole number from 0 to 50"):
        Arguments(GET, {"job_id": "job_1", "wait_s": wait_s}).whole("wait_s", 0, 50, 0)


def test_an_amount_is_taken_as_it_is_written() -> None:
    assert Arguments(GENERATE, {"prompt": "x", "max_cost_usd": 0.1}).usd("max_cost_usd") == Decimal("0.1")


@pytest.mark.parametrize("amount", [-1, "3", True, float("inf"), 10**9])
def test_an_amount_that_is_no_price_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidRequest, match="max_cost_usd: must be a number of USD"):
        Arguments(GENERATE, {"prompt": "x", "max_cost_usd": amount}).usd("max_cost_usd")


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", 7])
def test_a_wrong_idempotency_key_is_refused_by_its_own_name(key: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Arguments(GENERATE, {"prompt": "x", "idempotency_key": key}).idempotency_key()
    assert caught.value.fields[0].field == "idempotency_key"
