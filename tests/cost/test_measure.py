"""The measures themselves: what grows is seen to grow, and what does not is seen not to."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.cost.measure import calls, forget_peak, growth, peak_bytes, peak_resident_bytes

MIB = 1024**2


def summed(size: int) -> int:
    return sum(range(size))


def looped(size: int) -> int:
    return sum(abs(number) for number in range(size))


@pytest.mark.parametrize(("work", "least", "most"), [(summed, 0.9, 1.1), (looped, 90, 110)])
async def test_calls_grow_with_the_calls_that_work_makes(work: Callable[[int], int], least: float, most: float) -> None:
    async def cost(size: int) -> int:
        with calls() as count:
            work(size)
        return count.value

    assert least <= await growth(cost, 100, 10_000) <= most


async def test_peak_memory_grows_with_what_is_held_at_once_and_not_with_what_passes() -> None:
    async def held(size: int) -> int:
        with peak_bytes() as count:
            assert len([bytes(1024) for _ in range(size)]) == size
        return count.value

    async def passed(size: int) -> int:
        with peak_bytes() as count:
            for _ in range(size):
                bytes(1024)
        return count.value

    assert 50 < await growth(held, 100, 10_000) < 150
    assert await growth(passed, 100, 10_000) < 2


def test_the_peak_of_a_process_can_be_measured_from_now_on() -> None:
    forget_peak(os.getpid())
    before = peak_resident_bytes(os.getpid())
    block = bytearray(64 * MIB)
    block[::4096] = bytes(len(block[::4096]))
    assert peak_resident_bytes(os.getpid()) - before > 48 * MIB
    del block
    forget_peak(os.getpid())
    assert peak_resident_bytes(os.getpid()) - before < 48 * MIB
