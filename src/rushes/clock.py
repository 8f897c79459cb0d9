"""The clock. It is passed in, so that a test or a simulation can use a time of its own."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Wall-clock time and sleep."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock."""
        ...


class SteadyClock(Clock, Protocol):
    """A clock that also counts time independently of changes to the wall clock."""

    def steady_ms(self) -> int:
        """Milliseconds since an unspecified moment. It never jumps or goes back, so differences are exact."""
        ...


class SystemClock:
    """The host's clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        """Milliseconds since the host started, including its sleep where the system counts that."""
        return time.clock_gettime_ns(_STEADY) // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)
