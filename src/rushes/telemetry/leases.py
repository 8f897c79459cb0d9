"""When this worker last showed that it lives."""

from __future__ import annotations

import time

from rushes.db.database import Database
from rushes.engine.claims import LeaseStore
from rushes.telemetry.metrics import Metrics


class ObservedLeases(LeaseStore):
    """`LeaseStore` that notes each heartbeat which the database took."""

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
        """As the other does."""
        was_alive = await super().beat(ttl_s)
        self._metrics.heartbeat_at.set(time.time())
        return was_alive
