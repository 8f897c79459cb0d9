from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from rushes.engine.backoff import LONGEST_BACKOFF_S, SLOW_POLL_S, YOUNG_S, backoff_s, poll_delay_s

chances = st.floats(0, 1)
seconds = st.floats(0, 100_000)
intervals = st.floats(0.1, 600)


@given(intervals, seconds, seconds, chances)
def test_the_providers_own_wish_is_kept(interval_s: float, age_s: float, asked_s: float, chance: float) -> None:
    assert poll_delay_s(interval_s=interval_s, age_s=age_s, asked_s=asked_s, chance=chance) == asked_s


@given(intervals, st.floats(0, YOUNG_S, exclude_max=True), chances)
def test_a_young_job_is_polled_at_the_models_pace_within_a_fifth(
    interval_s: float, age_s: float, chance: float
) -> None:
    delay_s = poll_delay_s(interval_s=interval_s, age_s=age_s, asked_s=None, chance=chance)
    assert 0.79 * interval_s <= delay_s <= 1.21 * interval_s


@given(intervals, st.floats(YOUNG_S, 1_000_000), chances)
def test_an_old_job_is_polled_no_faster_than_the_slow_pace_and_never_faster_than_the_models(
    interval_s: float, age_s: float, chance: float
) -> None:
    delay_s = poll_delay_s(interval_s=interval_s, age_s=age_s, asked_s=None, chance=chance)
    assert delay_s >= 0.79 * max(SLOW_POLL_S, interval_s)


@given(intervals, seconds, seconds, chances)
def test_a_job_is_never_polled_more_often_as_it_ages(
    interval_s: float, one_s: float, other_s: float, chance: float
) -> None:
    younger_s, older_s = sorted((one_s, other_s))
    younger, older = (
        poll_delay_s(interval_s=interval_s, age_s=age_s, asked_s=None, chance=chance) for age_s in (younger_s, older_s)
    )
    assert younger <= older


@given(st.integers(1, 10_000), chances)
def test_backing_off_is_bounded_and_never_zero(failures: int, chance: float) -> None:
    assert 0 < backoff_s(failures=failures, asked_s=None, chance=chance) <= LONGEST_BACKOFF_S


@given(st.integers(1, 10_000), chances)
def test_backing_off_grows_with_each_failure(failures: int, chance: float) -> None:
    shorter, longer = (backoff_s(failures=count, asked_s=None, chance=chance) for count in (failures, failures + 1))
    assert shorter <= longer


@given(st.integers(1, 10_000), seconds, chances)
def test_backing_off_is_never_shorter_than_asked(failures: int, asked_s: float, chance: float) -> None:
    assert backoff_s(failures=failures, asked_s=asked_s, chance=chance) >= asked_s


@given(st.integers(1, 1000), chances, chances)
def test_chance_spreads_the_waits(failures: int, one: float, other: float) -> None:
    assume(abs(one - other) > 0.01)
    assert backoff_s(failures=failures, asked_s=None, chance=one) != backoff_s(
        failures=failures, asked_s=None, chance=other
    )
