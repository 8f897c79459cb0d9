"""Deletes messages that were delivered or given up long ago, in batches."""

from __future__ import annotations

import structlog

from rushes.clock import Clock
from rushes.errors import RushesError
from rushes.webhooks.outbox import Outbox

log = structlog.get_logger(__name__)

KEPT_S = 30 * 86_400.0
BATCH = 500
PAUSE_S = 60.0


class DeliveryCleaner:
    """Cleans while the service runs."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    async def run(self) -> None:
        """Clean again and again. Never returns; cancel it to stop."""
        while True:
            try:
                while await self._outbox.forget(KEPT_S, BATCH) == BATCH:
                    pass
            except RushesError as error:
                log.warning("cleaning_failed", error_code=error.code)
            await self._clock.sleep(PAUSE_S)
