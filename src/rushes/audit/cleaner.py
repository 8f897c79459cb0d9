"""Removes what the audit log is no longer to keep: once a UTC day, so that the cuts themselves stay few."""

from __future__ import annotations

import structlog

from rushes.audit.store import WINDOW, AuditStore
from rushes.clock import Clock
from rushes.errors import RushesError

log = structlog.get_logger(__name__)

PAUSE_S = 3600.0
DAY_MS = 86_400_000


class AuditCleaner:
    """Cleans while the service runs; without `keep_s` it keeps everything."""

    def __init__(self, store: AuditStore, clock: Clock, *, keep_s: float | None) -> None:
        self._store = store
        self._clock = clock
        self._keep_s = keep_s

    async def run(self) -> None:
        """Clean again and again. Never returns; cancel it to stop."""
        while True:
            try:
                await self.clean()
            except RushesError as error:
                log.warning("audit_log_not_cut", error_code=error.code, reason=error.message)
            await self._clock.sleep(PAUSE_S)

    async def clean(self) -> None:
        """Cut what is older than the whole days that are kept. Raises AuditBroken or DatabaseUnavailable."""
        if self._keep_s is None:
            return
        before_ms = (self._clock.now_ms() - int(self._keep_s * 1000)) // DAY_MS * DAY_MS
        while await self._store.cut(before_ms) == WINDOW:
            pass
