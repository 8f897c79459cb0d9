"""Measures the lag of the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from rushes.telemetry.metrics import Metrics

LOOK_S: Final = 1.0


async def watch_loop(metrics: Metrics) -> None:
    """Sleep one second again and again, and record how late each sleep ended. Never returns; cancel it to stop."""
    while True:
        due = time.perf_counter() + LOOK_S
        await asyncio.sleep(LOOK_S)
        metrics.loop_late.observe(max(0.0, time.perf_counter() - due))
