"""The jobs that were read last. Whoever waits for a video reads its job again and again, mostly as it was before."""

from __future__ import annotations

from collections.abc import Callable

from rushes.db.database import Row
from rushes.domain.job import Job

MOST_KEPT = 1_000
LONGEST_KEPT_CHARS = 4_096
"""Of a request; longer ones are few, and a thousand of them would be many megabytes."""


class RecentJobs:
    """Makes jobs from rows, and gives a row that has not changed the job that was made of it before.

    It spares the making, never the reading: a row always comes from the database.
    """

    def __init__(self, job_from: Callable[[Row], Job]) -> None:
        self._job_from = job_from
        self._kept: dict[str, tuple[Row, Job]] = {}

    def job_of(self, row: Row) -> Job:
        """The job that this row of `jobs` holds."""
        job_id = row["id"]
        kept = self._kept.get(job_id)
        if kept is not None and kept[0] == row:
            return kept[1]
        job = self._job_from(row)
        if len(row["request"]) <= LONGEST_KEPT_CHARS:
            # The one that was kept first makes room: a dict remembers the order.
            if kept is None and len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[job_id] = (row, job)
        return job

    def forget(self, job_id: str) -> None:
        """Keep nothing of a job that is deleted."""
        self._kept.pop(job_id, None)
