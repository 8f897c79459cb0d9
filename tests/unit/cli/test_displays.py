from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rushes.cli.displays import Pace


def test_a_pace_needs_two_readings() -> None:
    pace = Pace()
    assert pace.left_s(10, 100.0) is None
    assert pace.left_s(12, 105.0) is None


def test_half_done_in_ten_seconds_leaves_ten() -> None:
    pace = Pace()
    pace.left_s(0, 100.0)
    assert pace.left_s(50, 110.0) == 10


def test_joining_late_judges_only_what_was_seen() -> None:
    pace = Pace()
    pace.left_s(50, 100.0)
    assert pace.left_s(75, 110.0) == 10


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 1e6)), min_size=1))
def test_time_left_is_never_negative(readings: list[tuple[int, float]]) -> None:
    pace = Pace()
    for percent, now_s in zip(sorted(one[0] for one in readings), sorted(one[1] for one in readings), strict=True):
        left_s = pace.left_s(percent, now_s)
        assert left_s is None or left_s >= 0
