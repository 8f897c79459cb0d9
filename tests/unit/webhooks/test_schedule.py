"""When a message is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.settings import Settings
from rushes.webhooks.schedule import JITTER, LONGEST_RETRY_AFTER_S, RETRIES_S, next_wait_s

WAITS = st.lists(st.floats(0.01, 100_000), max_size=12)
CHANCES = st.floats(0, 1)


def test_ten_tries_are_spread_over_a_little_more_than_three_days() -> None:
    waits = [next_wait_s(failures, RETRIES_S, chance=0.5) for failures in range(1, 11)]
    assert waits == [*RETRIES_S, None]
    assert 3 * 86_400 < sum(RETRIES_S) < 4 * 86_400


def test_the_settings_default_is_this_schedule() -> None:
    assert Settings.model_fields["webhook_retries_s"].default == RETRIES_S


@given(WAITS, CHANCES, st.none() | st.floats(0, 1e9))
def test_there_are_as_many_retries_as_waits_whatever_the_receiver_asks(
    waits: list[float], chance: float, retry_after_s: float | None
) -> None:
    for failures in range(1, len(waits) + 3):
        wait_s = next_wait_s(failures, waits, chance=chance, retry_after_s=retry_after_s)
        assert (wait_s is None) == (failures > len(waits))


@given(st.floats(0.01, 100_000), CHANCES, st.floats(0, 1e9))
def test_a_wait_is_near_the_schedules_or_what_was_asked_for_up_to_a_day(
    usual_s: float, chance: float, retry_after_s: float
) -> None:
    plain_s = next_wait_s(1, [usual_s], chance=chance)
    assert plain_s == pytest.approx(usual_s, rel=JITTER * 1.001)
    asked_s = next_wait_s(1, [usual_s], chance=chance, retry_after_s=retry_after_s)
    assert asked_s == max(plain_s or 0, min(retry_after_s, LONGEST_RETRY_AFTER_S))
