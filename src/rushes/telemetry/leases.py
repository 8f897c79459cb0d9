"""Records the time of each heartbeat of this worker."""

from __future__ import annotations

import time

from rushes.db.database import Database
from rushes.engine.claims import LeaseStore
from rushes.telemetry.metrics import Metrics


class ObservedLeases(LeaseStore):
    """`LeaseStore` that records the time of each heartbeat that was committed."""

    def __init__(
        self,
        database: Database,
        worker_id: str,
        metrics: Metrics,
        *,
        pulse: Database | None = None,
        jobs_in_flight: int | None = None,
    ) -> None:
        super().__init__(database, worker_id, pulse=pulse, jobs_in_flight=jobs_in_flight)
        self._metrics = metrics

    async def beat(self, ttl_s: float) -> bool:
        """As in the base class."""
        was_alive = await super().beat(ttl_s)
        self._metrics.heartbeat_at.set(time.time())
        return was_alive
