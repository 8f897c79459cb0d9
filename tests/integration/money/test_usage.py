"""Usage counts every job once when it is accepted and once when it ends, and costs what completed jobs cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.domain.job import Problem, State
from rushes.engine.claims import ClaimStore
from rushes.engine.job_record import Claim
from rushes.errors import NotCancellable
from rushes.jobs.store import JobStore
from rushes.money.usage import DAY_MS, ModelUsage, Usage, UsageStore
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import fresh_sqlite
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import stored_video

DAY_S = 86_400


class Ledger:
    """Jobs that can be accepted and ended, and what is counted of them."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.database = fresh_sqlite(path, self.clock)
        self.jobs = JobStore(self.database)
        self.leases = ClaimStore(self.database, "worker_1")
        self.usage = UsageStore(self.database)

    async def begin(self, number: int, **given: Any) -> Claim:
        await self.jobs.create(new_job(number, **given))
        await self.leases.beat(10 * DAY_S)
        (claimed,) = await self.leases.claim(1)
        await self.leases.record(claimed).intend(attempt_id=f"att_{number}", part=0, n=1)
        return claimed

    async def complete(self, claimed: Claim) -> None:
        await self.leases.record(claimed).begin_storing()
        await self.leases.record(claimed).succeed([stored_video()], "stored")

    async def total(self, since_ms: int = 0) -> Usage:
        return sum((item.usage for item in await self.usage.read(ACCOUNT, since_ms=since_ms)), Usage())


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "rushes.db")
    yield ledger
    await ledger.database.close()


async def test_an_accepted_job_counts_and_costs_nothing_yet(ledger: Ledger) -> None:
    await ledger.jobs.create(new_job(1))
    total = await ledger.total()
    assert total == Usage(jobs=1)
    assert total.open == 1


async def test_a_completed_job_costs_its_price(ledger: Ledger) -> None:
    await ledger.complete(await ledger.begin(1, cost_usd=Decimal("3.20")))
    assert await ledger.total() == Usage(jobs=1, completed=1, cost_usd=Decimal("3.20"))


async def test_costs_add_up_exactly(ledger: Ledger) -> None:
    for number in range(10):
        await ledger.complete(await ledger.begin(number, cost_usd=Decimal("0.1")))
    assert (await ledger.total()).cost_usd == Decimal(1)


async def test_a_completed_job_of_unknown_price_is_said_to_be_missing(ledger: Ledger) -> None:
    await ledger.complete(await ledger.begin(1, cost_usd=None))
    assert await ledger.total() == Usage(jobs=1, completed=1, unpriced=1)


@pytest.mark.parametrize("state", [State.FAILED, State.EXPIRED])
async def test_a_failed_job_costs_nothing(ledger: Ledger, state: State) -> None:
    await ledger.leases.record(await ledger.begin(1)).fail(state, Problem("provider_rejected", "No."))
    assert await ledger.total() == Usage(jobs=1, failed=1)


async def test_a_cancelled_job_costs_nothing_and_counts_once(ledger: Ledger) -> None:
    await ledger.jobs.create(new_job(1))
    for _ in range(2):
        await ledger.jobs.cancel(ACCOUNT, "job_1")
    assert await ledger.total() == Usage(jobs=1, failed=1)


async def test_a_refused_cancellation_counts_nothing(ledger: Ledger) -> None:
    await ledger.begin(1)
    with pytest.raises(NotCancellable):
        await ledger.jobs.cancel(ACCOUNT, "job_1")
    assert await ledger.total() == Usage(jobs=1)


async def test_each_model_is_counted_as_it_was_asked_for(ledger: Ledger) -> None:
    await ledger.jobs.create(new_job(1, provider="google", model="veo"))
    await ledger.jobs.create(new_job(2))
    assert await ledger.usage.read(ACCOUNT) == [
        ModelUsage("google", "veo", Usage(jobs=1)),
        ModelUsage("scripted", "clip", Usage(jobs=1)),
    ]


async def test_another_accounts_jobs_are_not_counted(ledger: Ledger) -> None:
    await ledger.jobs.create(new_job(1, account_id="acct_2"))
    assert await ledger.total() == Usage()


async def test_a_job_counts_on_the_day_it_was_accepted(ledger: Ledger) -> None:
    day_ms = ledger.clock.now_ms() // DAY_MS * DAY_MS
    claimed = await ledger.begin(1)
    ledger.clock.advance(DAY_S)
    await ledger.complete(claimed)
    assert (await ledger.total(since_ms=day_ms)).completed == 1
    assert await ledger.total(since_ms=day_ms + DAY_MS) == Usage()


async def test_the_operator_sees_all_accounts_together(ledger: Ledger) -> None:
    await ledger.jobs.create(new_job(1))
    await ledger.jobs.create(new_job(2, account_id="acct_2"))
    await ledger.jobs.create(new_job(3, model="film"))
    now_ms = ledger.clock.now_ms()
    assert await ledger.usage.read_all(since_ms=now_ms) == [
        ModelUsage("scripted", "clip", Usage(jobs=2)),
        ModelUsage("scripted", "film", Usage(jobs=1)),
    ]
    assert await ledger.usage.read_all(since_ms=now_ms + DAY_MS) == []
