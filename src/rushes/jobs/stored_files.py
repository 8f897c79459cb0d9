"""Which files the database names, and their SHA-256."""

from __future__ import annotations

from rushes.db.database import Database
from rushes.jobs.rows import outputs_from

PAGE_ROWS = 1_000

VIDEOS = """
SELECT seq, outputs FROM jobs
WHERE seq > :after AND outputs IS NOT NULL AND files_removed_at IS NULL
ORDER BY seq LIMIT :most
"""

INPUTS = """
SELECT key, sha256 FROM inputs WHERE key > :after AND sha256 IS NOT NULL ORDER BY key LIMIT :most
"""


async def expected_digests(database: Database) -> dict[str, str]:
    """The SHA-256 of each video and input that the service keeps, by storage key. Raises DatabaseUnavailable."""
    digests: dict[str, str] = {}
    after: int = 0
    while found := await database.read(VIDEOS, after=after, most=PAGE_ROWS):
        after = found[-1]["seq"]
        for row in found:
            digests |= {video.key: video.sha256 for video in outputs_from(row["outputs"])}
    key = ""
    while found := await database.read(INPUTS, after=key, most=PAGE_ROWS):
        key = found[-1]["key"]
        digests |= {row["key"]: row["sha256"] for row in found}
    return digests
