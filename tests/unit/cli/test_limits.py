"""Commands about money: what they refuse."""

from __future__ import annotations

from decimal import Decimal

import pytest
import typer

from rushes.cli.money import dollars


@pytest.mark.parametrize(("text", "usd"), [("5", "5"), ("0", "0"), ("2.50", "2.50"), ("0.000001", "0.000001")])
def test_an_amount_is_taken_exactly(text: str, usd: str) -> None:
    assert dollars(text, "--cost", most=10) == Decimal(usd)


@pytest.mark.parametrize("text", ["", "five", "-1", "11", "nan", "inf", "0.0000001", "1,20"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not an amount in USD"):
        dollars(text, "--cost", most=10)
