"""Rests: an account whose requests hold the event loop for long begins its next one later while another asks too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from rushes.pace import ASKS_TOO_S, HEAVY_S, LONGEST_REST_S, MOST_RESTING, REST, Pace, metered


class Watch:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def pace(watch: Watch) -> Pace:
    """A pace at which two accounts ask."""
    made = Pace(watch)
    made.asks("other")
    made.asks("heavy")
    return made


def test_an_account_rests_for_a_multiple_of_what_its_heavy_steps_take(pace: Pace, watch: Watch) -> None:
    pace.held("heavy", 0.02)
    pace.held("heavy", 0.03)
    assert pace.wait_s("heavy") == pytest.approx(REST * 0.05)
    assert pace.wait_s("other") == 0
    watch.now += REST * 0.05 + 0.001
    assert pace.wait_s("heavy") == 0


def test_ordinary_steps_cause_no_rest(pace: Pace) -> None:
    for _ in range(1000):
        pace.held("heavy", HEAVY_S)
    assert pace.wait_s("heavy") == 0


def test_an_account_that_is_alone_does_not_rest(watch: Watch) -> None:
    pace = Pace(watch)
    for _ in range(3):
        pace.asks("heavy")
    pace.held("heavy", 1)
    assert pace.wait_s("heavy") == 0


def test_another_account_counts_for_a_while_after_its_last_request(pace: Pace, watch: Watch) -> None:
    watch.now += ASKS_TOO_S + 0.01
    pace.asks("heavy")
    pace.held("heavy", 0.1)
    assert pace.wait_s("heavy") == 0
    pace.asks("other")
    pace.held("heavy", 0.1)
    assert pace.wait_s("heavy") > 0


def test_a_rest_is_bounded_and_so_is_what_is_remembered(pace: Pace, watch: Watch) -> None:
    for _ in range(100):
        pace.held("heavy", 1)
    assert pace.wait_s("heavy") == LONGEST_REST_S
    for number in range(2 * MOST_RESTING):
        watch.now += 0.01
        pace.asks(f"account_{number}")
        pace.held(f"account_{number}", 0.006)
    assert len(pace._rests_until) <= MOST_RESTING


async def test_what_is_metered_answers_fails_and_is_cancelled_as_if_it_were_not() -> None:
    held: list[float] = []

    async def add(number: int) -> int:
        await asyncio.sleep(0)
        if number < 0:
            raise ValueError("negative")
        return number + 1

    assert await metered(add(1), held.append) == 2
    assert len(held) == 2
    with pytest.raises(ValueError, match="negative"):
        await metered(add(-1), held.append)

    cleaned = False

    async def wait() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned = True

    async def outer() -> None:
        await metered(wait(), held.append)

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned


def test_the_time_of_each_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    times: Iterator[float] = iter([0.0, 0.5, 1.0, 1.25])
    monkeypatch.setattr("rushes.pace.perf_counter", lambda: next(times))
    held: list[float] = []

    async def step() -> None:
        await asyncio.sleep(0)

    async def outer() -> None:
        await metered(step(), held.append)

    running = outer()
    running.send(None)
    with pytest.raises(StopIteration):
        running.send(None)
    assert held == [0.5, 0.25]
