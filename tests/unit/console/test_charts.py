"""Charts are inside their drawing, whatever the numbers are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rushes.console.charts import TOP, bar_chart


@settings(deadline=None, database=None)
@given(st.lists(st.floats(0, 1e9, allow_nan=False), max_size=100))
def test_bars_stand_on_the_axis_and_inside_the_drawing(values: list[float]) -> None:
    chart = bar_chart([(str(index), value) for index, value in enumerate(values)])
    assert len(chart.bars) == len(values)
    for bar in chart.bars:
        assert chart.left <= bar.x <= bar.x + bar.width <= chart.width + 0.1
        assert TOP - 0.1 <= bar.y <= chart.floor
        assert abs(bar.y + bar.height - chart.floor) < 0.1
    assert len(chart.labels) <= 8


def test_the_axis_reaches_the_largest_value() -> None:
    chart = bar_chart([("a", 7), ("b", 3)])
    assert max(tick.value for tick in chart.ticks) >= 7


@settings(deadline=None, database=None)
@given(st.integers(0, 10**9))
def test_the_axis_of_counts_has_whole_numbers(value: int) -> None:
    ticks = [tick.value for tick in bar_chart([("a", value)], counts=True).ticks]
    assert ticks[-1] >= max(4, value)
    assert all(tick == int(tick) for tick in ticks)


def test_no_value_is_an_empty_chart() -> None:
    assert bar_chart([]).bars == []
