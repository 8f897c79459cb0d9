"""Finding jobs by the text of their prompts, newest first, with a bound on how many one search reads.

There is no index for it. A search reads at most MOST_READ requests of the account and says how far back it came, so its
cost does not grow with the jobs stored; the caller goes on from there. Writing a job costs nothing more for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from rushes.domain.job import Job
from rushes.domain.request import VideoRequest
from rushes.domain.tenant import Tenant
from rushes.jobs.store import JobStore, Listing, RequestText

MOST_READ = 5_000
"""Requests that one search reads: about 30 ms of work."""
MOST_READ_CHARS = 16 * 1024**2
"""The same by their length: a request has at most 64 KiB."""
READ_AT_ONCE = 100
"""Requests in one query: some milliseconds on the embedded database, which reads on the event loop."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one search has found. `read` is how many requests it looked into; `oldest_at` when the last of them came.

    `next_seq` is where the search goes on, None if no older job is left.
    """

    jobs: Sequence[Job]
    read: int
    oldest_at: int | None
    next_seq: int | None


async def find_by_prompt(
    store: JobStore, tenant: Tenant, listing: Listing, text: str, *, most_read: int = MOST_READ
) -> Found:
    """Up to `listing.limit` jobs that match `listing` and whose prompt holds every word of `text`, in any case."""
    words = [word.casefold() for word in text.split()]
    found: list[str] = []
    read, oldest_at, place = 0, None, listing.beyond_seq
    read_chars = 0
    while read < most_read and read_chars < MOST_READ_CHARS:
        if read:
            # Requests that wait for the event loop go first.
            await asyncio.sleep(0)
        page = dataclasses.replace(listing, limit=min(READ_AT_ONCE, most_read - read), beyond_seq=place)
        rows = await store.requests(tenant, page)
        for row in rows:
            read, place, oldest_at = read + 1, row.seq, row.created_at
            read_chars += len(row.request)
            if _holds(row, words):
                found.append(row.job_id)
                if len(found) == listing.limit:
                    return Found(await store.get_several(tenant, found), read, oldest_at, place)
        if len(rows) < page.limit:
            return Found(await store.get_several(tenant, found), read, oldest_at, None)
    return Found(await store.get_several(tenant, found), read, oldest_at, place)


def _holds(row: RequestText, words: Sequence[str]) -> bool:
    # The stored JSON holds the prompt nearly as it was written, so most rows are passed over without parsing them.
    stored = row.request.casefold()
    if not all(json.dumps(word, ensure_ascii=False)[1:-1] in stored for word in words):
        return False
    prompt = VideoRequest.from_json(row.request).prompt.casefold()
    return all(word in prompt for word in words)
