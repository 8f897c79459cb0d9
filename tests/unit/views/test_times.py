"""Times on the wire."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from rushes.views.times import rfc3339, rfc3339_or_none


def test_a_time_is_utc_with_z_in_whole_seconds() -> None:
    assert rfc3339(1_775_563_200_999) == "2026-04-07T12:00:00Z"


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_a_time_reads_back_as_the_second_it_fell_in(milliseconds: int) -> None:
    assert datetime.fromisoformat(rfc3339(milliseconds)).timestamp() == milliseconds // 1000


def test_a_time_that_has_not_come_is_none() -> None:
    assert rfc3339_or_none(None) is None
    assert rfc3339_or_none(0) == "1970-01-01T00:00:00Z"
