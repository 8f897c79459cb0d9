"""What creates that come together promise, over every database."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TypeVar

from rushes.accounts.limits import LimitName, Limits, LimitStore
from rushes.db.database import Database, Write
from rushes.domain.job import Job
from rushes.domain.tenant import tenant_of
from rushes.errors import QueueFull, SpendLimitReached
from rushes.jobs.store import JobStore
from tests.contract.database_harness import Desk, together
from tests.fixtures.new_jobs import ACCOUNT, new_job

T = TypeVar("T")


class CountedDatabase:
    """The database, with the number of transactions that were written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.read = database.read
        self.writes = 0
        self.writing = asyncio.Event()

    async def write(self, body: Write[T]) -> T:
        self.writes += 1
        self.writing.set()
        return await self._database.write(body)


async def test_what_comes_while_a_job_is_written_shares_the_next_transaction(desk: Desk) -> None:
    database = CountedDatabase(desk.harness.database)
    store = JobStore(database)  # type: ignore[arg-type]  # as much of a database as it needs here
    first = asyncio.create_task(store.create(new_job(0)))
    await database.writing.wait()
    made = await asyncio.gather(first, *(store.create(new_job(number)) for number in range(1, 20)))
    assert database.writes == 2
    assert [job.id for job in made] == [f"job_{number}" for number in range(20)]
    assert made == [await store.get(ACCOUNT, job.id) for job in made]
    places = await desk.rows("SELECT id, turn FROM jobs ORDER BY seq")
    assert places == [{"id": f"job_{number}", "turn": number + 1} for number in range(20)]
    events = await desk.rows("SELECT job_id, state FROM job_events ORDER BY seq")
    assert events == [{"job_id": f"job_{number}", "state": "queued"} for number in range(20)]
    (used,) = await desk.rows("SELECT jobs FROM usage_rollups")
    assert used["jobs"] == 20
    await desk.check_books()


async def test_a_refused_job_refuses_none_of_those_beside_it(desk: Desk) -> None:
    await LimitStore(desk.harness.database).change(ACCOUNT, {LimitName.QUEUED_JOBS: 1}, "key_2")
    store = JobStore(desk.harness.database)
    outcomes = await together(
        *(store.create(new_job(number, key_id="key_2" if number % 2 else "key_1")) for number in range(8))
    )
    refused = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, QueueFull)]
    assert len(refused) == 3
    assert all(number % 2 for number in refused)
    assert await store.count(ACCOUNT) == 5
    await desk.check_books()


async def test_together_they_pass_no_spend_limit(desk: Desk) -> None:
    await LimitStore(desk.harness.database).change(ACCOUNT, {LimitName.SPEND_EVER: 5_000_000})
    store = JobStore(desk.harness.database)
    outcomes = await together(*(store.create(new_job(number, cost_usd=Decimal(1))) for number in range(12)))
    assert sum(isinstance(outcome, SpendLimitReached) for outcome in outcomes) == 7
    assert await store.count(ACCOUNT) == 5
    await desk.check_books()


async def test_accounts_and_lanes_are_written_apart(desk: Desk) -> None:
    store = JobStore(desk.harness.database, Limits(queued_jobs=2))
    outcomes = await together(
        *(store.create(new_job(number, account_id=f"acct_{number % 3}")) for number in range(9)),
        *(store.create(new_job(f"other_{lane}", account_id="acct_3", lane=lane)) for lane in ("a", "b")),
    )
    assert sum(isinstance(outcome, QueueFull) for outcome in outcomes) == 3
    for number in range(4):
        assert await store.count(tenant_of(f"acct_{number}", is_test=False)) == 2
    await desk.check_books()


async def test_a_caller_that_leaves_takes_no_other_job_along(desk: Desk) -> None:
    store = JobStore(desk.harness.database)
    creates = [asyncio.create_task(store.create(new_job(number))) for number in range(4)]
    await asyncio.sleep(0)
    creates[2].cancel()
    outcomes = await asyncio.gather(*creates, return_exceptions=True)
    assert isinstance(outcomes[2], asyncio.CancelledError)
    left = [outcome.id for outcome in outcomes if isinstance(outcome, Job)]
    assert left == ["job_0", "job_1", "job_3"]
    # Nobody waits for its answer, and it is stored all the same, as a create whose answer was lost.
    assert await store.count(ACCOUNT) == 4
    await desk.check_books()
