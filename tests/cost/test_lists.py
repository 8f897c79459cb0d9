"""What a list of jobs costs in memory: a bounded amount, however many large requests are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.db.database import Database
from rushes.domain.request import VideoRequest
from rushes.jobs.search import find_by_prompt
from rushes.jobs.store import MOST_LISTED_BYTES, JobStore, Listing
from rushes.operations.job_list import JobListStore, JobQuery
from tests.cost.measure import growth, peak_bytes
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import fresh_sqlite
from tests.fixtures.new_jobs import ACCOUNT, new_job

LARGE = VideoRequest(prompt="a lighthouse", additional_params={f"name_{number}": "x" * 60 for number in range(840)})
"""About as large as a stored request may be."""
SMALL, MANY = 100, 400


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = fresh_sqlite(tmp_path / "rushes.db", ManualClock())
    yield opened
    await opened.close()


@pytest.fixture
async def store(database: Database) -> JobStore:
    """A store with MANY jobs of large requests."""
    jobs = JobStore(database)
    for number in range(MANY):
        await jobs.create(new_job(number, request=LARGE))
    return jobs


async def test_a_page_of_large_requests_takes_no_more_memory_for_a_longer_history(store: JobStore) -> None:
    assert 60_000 < len(LARGE.to_json()) < 65_536

    async def page(limit: int) -> int:
        with peak_bytes() as count:
            found = await store.page(ACCOUNT, Listing(limit=limit))
            assert found.is_cut
        return count.value

    assert await growth(page, SMALL, MANY) < 1.5

    async def search(limit: int) -> int:
        with peak_bytes() as count:
            found = await find_by_prompt(store, ACCOUNT, Listing(limit=limit), "nothing like it")
            # It says how far it came instead of reading everything.
            assert found.next_seq is not None
        return count.value

    assert await growth(search, SMALL, MANY) < 1.5


async def test_every_job_is_on_one_of_the_pages(store: JobStore) -> None:
    seen: list[str] = []
    place: int | None = None
    while True:
        found = await store.page(ACCOUNT, Listing(limit=MANY, beyond_seq=place))
        assert sum(len(job.request.to_json()) for job in found.jobs) < MOST_LISTED_BYTES + 65_536
        seen += [job.id for job in found.jobs]
        if not found.is_cut:
            break
        place = found.jobs[-1].seq
    assert seen == [f"job_{number}" for number in reversed(range(MANY))]


@pytest.mark.usefixtures("store")
async def test_an_operators_list_reads_no_request(database: Database) -> None:
    jobs = JobListStore(database)

    async def cost(limit: int) -> int:
        with peak_bytes() as count:
            found = await jobs.list(JobQuery(limit=limit))
            assert {job.request.prompt for job in found.jobs} == {""}
        return count.value

    await cost(SMALL)
    # A hundred of the requests alone would be 6 MB.
    assert await cost(SMALL) < MOST_LISTED_BYTES
