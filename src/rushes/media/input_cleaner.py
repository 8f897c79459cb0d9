"""Removes input files that no job still needs and whose time is over, a few at a time."""

from __future__ import annotations

import structlog

from rushes.clock import Clock
from rushes.errors import RushesError
from rushes.media.input_store import InputStore
from rushes.media.storage import Storage

log = structlog.get_logger(__name__)

BATCH = 100
LONGEST_PAUSE_S = 60.0
SHORTEST_PAUSE_S = 0.2


class InputCleaner:
    """Cleans for as long as the service runs. A crash at any moment leaves a row by which the next pass goes on."""

    def __init__(self, store: InputStore, storage: Storage, clock: Clock, *, grace_s: float) -> None:
        self._store = store
        self._storage = storage
        self._clock = clock
        self._grace_s = grace_s

    async def clean(self) -> int:
        """One pass over everything that is due; returns how many files were removed."""
        after: str | None = ""
        while after is not None:
            after = await self._store.release_finished(after, BATCH)
        removed = 0
        looked_at = BATCH
        while looked_at == BATCH:
            looked_at, leaving = await self._store.retire_due(BATCH, keep_s=self._grace_s)
            for file in leaving:
                await self._storage.delete(file.key)
                await self._store.forget(file.id)
                removed += 1
        return removed

    async def run(self) -> None:
        """Clean until cancelled."""
        while True:
            try:
                removed = await self.clean()
                if removed:
                    log.info("inputs_removed", files=removed)
            except RushesError as error:
                log.warning("cleaning_failed", error_code=error.code)
            await self._clock.sleep(min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, self._grace_s / 4)))
