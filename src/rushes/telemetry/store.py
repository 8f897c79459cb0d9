"""The database reads of a scrape. Their cost depends on open jobs alone, not on the history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rushes.db.database import Database
from rushes.stored_places import INPUT_FILES, KEYS, SESSIONS, WEBHOOKS

COUNT_JOBS = "SELECT status, SUM(jobs) AS jobs FROM job_counts GROUP BY status"

# Only lanes with jobs: empty ones stay in the table for some seconds.
BUSY_LANES = """
SELECT lane, ready, in_use,
       :now - (SELECT MIN(available_at) FROM jobs
               WHERE jobs.lane = lanes.lane AND state IN ('queued', 'rerouted') AND lease IS NULL) AS age_ms
FROM lanes WHERE ready > 0 OR in_use > 0
"""

WORKERS = "SELECT alive_until - :now AS left_ms FROM workers"

NEED_OPERATOR = """
SELECT COUNT(*) AS jobs FROM (SELECT job_id FROM unsettled_jobs LIMIT :most) AS found
"""

MOST_COUNTED = 10_000
"""These tables are read as far as this."""

COUNTS = {
    KEYS.name: "SELECT COUNT(*) AS held FROM (SELECT id FROM api_keys LIMIT :most) AS found",
    WEBHOOKS.name: "SELECT COUNT(*) AS held FROM (SELECT id FROM webhook_endpoints LIMIT :most) AS found",
    SESSIONS.name: "SELECT COUNT(*) AS held FROM (SELECT hash FROM console_sessions LIMIT :most) AS found",
}

INPUT_BYTES = "SELECT COALESCE(SUM(size_bytes), 0) AS held FROM input_totals"

WEBHOOK_LANES = """
SELECT COUNT(*) AS waiting, :now - MIN(next_at) AS age_ms FROM webhook_lanes WHERE next_at <= :now
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """The queues of one served model. `oldest_s` is for how long its oldest waiting job could have started."""

    ready: int = 0
    in_use: int = 0
    oldest_s: float = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database says at one moment. It is the same in every process of a service."""

    jobs: Mapping[str, int]
    lanes: Mapping[tuple[str, str], Lane]
    workers_alive: int
    workers_overdue: int
    receivers_due: int
    webhook_oldest_s: float
    need_operator: int
    stored: Mapping[str, int]
    """How much all accounts keep, by the names of `stored_places.py`; counts go as far as MOST_COUNTED."""


class TelemetryStore:
    """Reads for metrics. No read grows with the number of ended jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Snapshot:
        """The present numbers. Raises DatabaseUnavailable."""
        counts = await self._database.read(COUNT_JOBS)
        workers = Counter(row["left_ms"] >= 0 for row in await self._database.read(WORKERS))
        (webhooks,) = await self._database.read(WEBHOOK_LANES)
        (unsettled,) = await self._database.read(NEED_OPERATOR, most=MOST_COUNTED)
        return Snapshot(
            # Postgres sums big integers into decimals.
            jobs={row["status"]: int(row["jobs"]) for row in counts},
            lanes=await self._lanes(),
            workers_alive=workers[True],
            workers_overdue=workers[False],
            receivers_due=webhooks["waiting"],
            webhook_oldest_s=_seconds(webhooks["age_ms"]),
            need_operator=unsettled["jobs"],
            stored=await self._stored(),
        )

    async def workers_alive(self) -> int:
        """How many workers the service has now. Raises DatabaseUnavailable."""
        return sum(row["left_ms"] >= 0 for row in await self._database.read(WORKERS))

    async def _stored(self) -> Mapping[str, int]:
        stored = {name: await self._database.read(sql, most=MOST_COUNTED) for name, sql in COUNTS.items()}
        stored[INPUT_FILES.name] = await self._database.read(INPUT_BYTES)
        return {name: int(rows[0]["held"]) for name, rows in stored.items()}

    async def _lanes(self) -> Mapping[tuple[str, str], Lane]:
        lanes: dict[tuple[str, str], Lane] = {}
        for row in await self._database.read(BUSY_LANES):
            # The part behind the model's name says which credential it is, and credentials are not a label.
            provider, _, model = row["lane"].rpartition("@")[0].partition("/")
            if not provider:
                provider, _, model = row["lane"].partition("/")
            before = lanes.get((provider, model), Lane())
            lanes[provider, model] = Lane(
                before.ready + row["ready"],
                before.in_use + row["in_use"],
                max(before.oldest_s, _seconds(row["age_ms"])),
            )
        return lanes


def _seconds(age_ms: int | None) -> float:
    # An empty queue has no age, and a job that is held back is not overdue.
    return max(0.0, (age_ms or 0) / 1000)
