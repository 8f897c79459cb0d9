"""Whether the database takes changes: asked at most every few seconds, and learnt from the changes that it refuses.

A database whose disk is full answers every read, and takes small changes where its files still have room. So the probe
also has the server write some of a sort to its disk, which leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from typing import Final

from rushes.clock import SteadyClock
from rushes.db.database import Database, Transaction
from rushes.db.marks import TOUCH_MARK
from rushes.errors import DatabaseUnavailable, WritesRefused

PROBE: Final = "write_probe"
ASKED_FOR_S: Final = 5.0
"""How long an answer stands."""
REFUSED_FOR_S: Final = 15.0
"""How long at most a refused change counts, whatever the probe says; less if the refusal says so."""

# 300 KiB, of which a sort in 64 KiB of memory writes most to the disk.
SMALL_MEMORY: Final = "SET LOCAL work_mem = '64kB'"
SORT_ON_DISK: Final = """
SELECT COUNT(*) AS sorted FROM (
    SELECT repeat('x', 1000) || g AS text FROM generate_series(1, 300) AS g ORDER BY text DESC OFFSET 0
) AS found
"""


class WriteProbe:
    """One for each process. `has_server` says that the database is a Postgres server."""

    def __init__(self, pulse: Database, clock: SteadyClock, *, has_server: bool) -> None:
        self._pulse = pulse
        self._clock = clock
        self._has_server = has_server
        self._refusal: tuple[int, WritesRefused] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._again_at_ms = 0

    def ended(self, error: BaseException | None) -> None:
        """A change of this process has ended, well if `error` is None."""
        if isinstance(error, WritesRefused):
            self._refusal = (self._clock.steady_ms(), error)

    async def check(self) -> None:
        """Raises DatabaseUnavailable if the database takes no changes."""
        now_ms = self._clock.steady_ms()
        if self._asking is None or (self._asking.done() and now_ms >= self._again_at_ms):
            self._again_at_ms = now_ms + round(ASKED_FOR_S * 1000)
            self._asking = asyncio.create_task(self._ask())
            # Those who waited for it may all have left.
            self._asking.add_done_callback(_overlook)
        # Shielded, since several requests may wait for the same answer.
        await asyncio.shield(self._asking)
        if self._refusal is None:
            return
        refused_at_ms, refusal = self._refusal
        if now_ms - refused_at_ms < 1000 * min(REFUSED_FOR_S, refusal.retry_after_s or 0):
            raise refusal

    async def _ask(self) -> None:
        try:
            await self._pulse.write(self._probe)
        except DatabaseUnavailable:
            # Asked again at once: it may be back in a moment.
            self._again_at_ms = 0
            raise

    async def _probe(self, transaction: Transaction) -> None:
        await transaction.execute(TOUCH_MARK, name=PROBE)
        if self._has_server:
            await transaction.fetch(SMALL_MEMORY)
            await transaction.fetch(SORT_ON_DISK)


def _overlook(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
