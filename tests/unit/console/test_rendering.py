"""How values are written on pages."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rushes.console.rendering import ago, moment, seconds, since, size, usd


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (Decimal(0), "$0.00"), (Decimal("3.2"), "$3.20"), (Decimal("0.0005"), "$0.0005"),
        (1234.5, "$1,234.50"), (None, "unknown"),
        (Decimal("1E+3"), "$1,000.00"), (Decimal("0.00000049"), "$0.000000"),
    ],
)  # fmt: skip
def test_a_price_has_the_decimals_it_needs(amount: Decimal | float | None, written: str) -> None:
    assert usd(amount) == written


@pytest.mark.parametrize(
    ("span_s", "written"), [(8, "8 s"), (1.5, "1.5 s"), (90, "1 min 30 s"), (3600, "1 h 00 min"), (120, "2 min")]
)
def test_a_span_is_in_minutes_and_seconds(span_s: float, written: str) -> None:
    assert seconds(span_s) == written


@pytest.mark.parametrize(
    ("size_bytes", "written"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (490_000, "490 kB"), (2_500_000_000, "2.5 GB")],
)
def test_a_size_is_in_the_unit_that_suits_it(size_bytes: int, written: str) -> None:
    assert size(size_bytes) == written


def test_a_time_is_written_for_people_and_for_scripts() -> None:
    assert moment(1_775_563_200_000) == '<time datetime="2026-04-07T12:00:00Z">07 Apr 2026, 12:00 UTC</time>'
    assert "2 h ago" in ago(0, 7_300_000)
    assert since(-5) == "just now"
