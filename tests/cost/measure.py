"""Counts of what some work costs: calls and bytes; the same on a slow machine as on a fast one."""

from __future__ import annotations

import gc
import re
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType


@dataclass
class Count:
    """A number that is known once its block has ended."""

    value: int = 0


@contextmanager
def calls() -> Iterator[Count]:
    """How many functions are called in this thread, Python's and C's."""
    count = Count()

    def called(_: FrameType, event: str, __: object) -> None:
        if event in ("call", "c_call"):
            count.value += 1

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        yield count
    finally:
        sys.setprofile(before)


@contextmanager
def peak_bytes() -> Iterator[Count]:
    """The most memory that Python objects made in this block hold at once. It slows the block down."""
    gc.collect()
    tracemalloc.start()
    try:
        count = Count()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield count
        _, peak = tracemalloc.get_traced_memory()
        count.value = peak - before
    finally:
        tracemalloc.stop()


def forget_peak(process_id: int) -> None:
    """Let the peak of a process begin anew with what it holds now."""
    Path(f"/proc/{process_id}/clear_refs").write_text("5", "ascii")


def peak_resident_bytes(process_id: int) -> int:
    """The most memory that a process has held, its children not counted."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process_id}/status").read_text("ascii", "replace"))
    assert found is not None
    return int(found[1]) * 1024


async def growth(cost: Callable[[int], Awaitable[int]], small: int, large: int) -> float:
    """How many times dearer `large` is than `small`. A first call, not counted, fills the caches."""
    await cost(small)
    return await cost(large) / max(1, await cost(small))
