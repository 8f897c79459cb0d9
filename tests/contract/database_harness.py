"""The databases that the stores' contract suites run on. A new one adds one harness to HARNESSES."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from rushes.db.database import Database
from rushes.db.postgres import PostgresDatabase
from rushes.db.sqlite import SqliteDatabase
from rushes.domain.job import Job
from rushes.engine.claims import ClaimStore
from rushes.engine.job_record import Claim
from rushes.jobs.store import JobStore
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import fresh_sqlite
from tests.fixtures.new_jobs import ACCOUNT
from tests.fixtures.postgres import shared_server

LEASE_S = 15.0


class Harness(Protocol):
    """One kind of database, migrated and empty, whose clock the test moves."""

    @property
    def database(self) -> Database:
        """The database under test."""
        ...

    def now_ms(self) -> int:
        """The database's time."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Let the database's time pass."""
        ...

    async def restart(self) -> None:
        """Close the database and open it again."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class SqliteHarness:
    """A file."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "rushes.db"
        self._clock = ManualClock()
        self.database = fresh_sqlite(self._path, self._clock)

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    async def restart(self) -> None:
        await self.database.close()
        self.database = SqliteDatabase(self._path, self._clock)

    async def close(self) -> None:
        await self.database.close()


class PostgresHarness:
    """A database of a real server."""

    def __init__(self, directory: Path) -> None:
        self.url = shared_server().fresh()
        self.clock = ManualClock()
        self.database = PostgresDatabase(self.url, clock=self.clock)

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def restart(self) -> None:
        await self.database.close()
        self.database = PostgresDatabase(self.url, clock=self.clock)

    async def close(self) -> None:
        await self.database.close()
        shared_server().done_with(self.url)


HARNESSES: list[Callable[[Path], Harness]] = [SqliteHarness, PostgresHarness]


def play_on(make: Callable[[Path], Harness], play: Callable[[Harness], Coroutine[Any, Any, None]]) -> None:
    """One example of a property, on a database of its own."""

    async def run(folder: Path) -> None:
        harness = make(folder)
        try:
            await play(harness)
        finally:
            await harness.close()

    with tempfile.TemporaryDirectory(prefix="rushes-example-") as folder:
        asyncio.run(run(Path(folder)))


class Desk:
    """The stores over one harness, and looks behind them."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    @property
    def jobs(self) -> JobStore:
        """The callers' half."""
        return JobStore(self.harness.database)

    def leases(self, worker_id: str = "worker_1") -> ClaimStore:
        """One worker's half."""
        return ClaimStore(self.harness.database, worker_id)

    async def claim(self, most: int = 100, worker_id: str = "worker_1") -> dict[str, Claim]:
        """What a living worker can claim now, by the job's id."""
        leases = self.leases(worker_id)
        await leases.beat(LEASE_S)
        return {claimed.job.id: claimed for claimed in await leases.claim(most)}

    async def claim_one(self, worker_id: str = "worker_1") -> Claim:
        """The only job that can be claimed."""
        (claimed,) = (await self.claim(worker_id=worker_id)).values()
        return claimed

    async def job(self, job_id: str = "job_1") -> Job:
        """A job as its owner sees it."""
        return await self.jobs.get(ACCOUNT, job_id)

    async def rows(self, sql: str) -> list[dict[str, object]]:
        """Rows of the database."""
        return [dict(row) for row in await self.harness.database.read(sql)]

    async def everything(self) -> dict[str, list[dict[str, object]]]:
        """The whole content of the tables that jobs use, to show that nothing has changed."""
        tables = ("jobs", "attempts", "job_events", "job_counts", "lanes")
        return {table: await self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}

    async def check_books(self) -> None:
        """What is kept beside the jobs agrees with the jobs."""
        kept = await self.rows("SELECT account_id, status, jobs FROM job_counts WHERE jobs <> 0 ORDER BY 1, 2")
        real = await self.rows("SELECT account_id, status, COUNT(*) AS jobs FROM jobs GROUP BY 1, 2 ORDER BY 1, 2")
        assert kept == real
        lanes = await self.rows("SELECT lane, ready, in_use FROM lanes WHERE ready <> 0 OR in_use <> 0 ORDER BY lane")
        waiting = "SUM(CASE WHEN state IN ('queued', 'rerouted') AND lease IS NULL THEN 1 ELSE 0 END) AS ready"
        holding = (
            "SUM(CASE WHEN state IN ('submitting', 'running') "
            "OR (state IN ('queued', 'rerouted') AND lease IS NOT NULL) THEN 1 ELSE 0 END) AS in_use"
        )
        counted = f"SELECT lane, {waiting}, {holding} FROM jobs GROUP BY lane"
        assert lanes == await self.rows(f"SELECT * FROM ({counted}) AS l WHERE ready <> 0 OR in_use <> 0 ORDER BY lane")
        assert await self.rows("SELECT lane FROM lanes WHERE in_use > capacity") == []
        finals = "('succeeded', 'failed', 'cancelled', 'expired')"
        assert await self.rows(f"SELECT id FROM jobs WHERE state IN {finals} AND lease IS NOT NULL") == []
        await self.check_money()
        cancelled = "SELECT a.id FROM attempts a JOIN jobs j ON j.id = a.job_id WHERE j.state = 'cancelled'"
        assert await self.rows(cancelled) == []

    async def check_money(self) -> None:
        """Every cent is in the ledger once, and all that is kept beside it agrees with it."""
        lines = await self.rows("SELECT * FROM ledger ORDER BY seq")
        balances: dict[tuple[object, ...], list[int]] = {}
        jobs: dict[object, list[int]] = {}
        usage: dict[tuple[object, ...], int] = {}
        for line in lines:
            change = (int(str(line["reserved_microusd"])), int(str(line["spent_microusd"])))
            accepted = datetime.fromtimestamp(int(str(line["accepted_at"])) / 1000, UTC).isoformat()
            for key_id in ("", line["key_id"]):
                for period in (accepted[:10], accepted[:7], "ever"):
                    _add(balances.setdefault((line["account_id"], key_id, period), [0, 0]), change)
            _add(jobs.setdefault(line["job_id"], [0, 0]), change)
            total = balances[line["account_id"], "", "ever"]
            assert [line["total_reserved_microusd"], line["total_spent_microusd"]] == total
            place = (line["account_id"], int(str(line["accepted_at"])) // 86_400_000, line["provider"], line["model"])
            usage[place] = usage.get(place, 0) + change[1]
        sums = "reserved_microusd AS reserved, spent_microusd AS spent"
        kept = await self.rows(f"SELECT account_id, key_id, period, {sums} FROM balances")
        assert {(row["account_id"], row["key_id"], row["period"]): [row["reserved"], row["spent"]] for row in kept} == (
            balances
        )
        told = await self.rows(f"SELECT id, status, {sums} FROM jobs")
        for job in told:
            assert [job["reserved"], job["spent"] or 0] == jobs.get(job["id"], [0, 0]), job
        here = {job["id"] for job in told}
        assert all(spent >= 0 and reserved >= 0 for reserved, spent in jobs.values())
        waiting = {
            row["job_id"]: row["reserved"]
            for row in await self.rows(f"SELECT job_id, {sums} FROM unsettled_jobs WHERE reserved_microusd > 0")
        }
        ended = {job["id"] for job in told if job["status"] in ("completed", "failed")}
        assert waiting == {
            job_id: books[0] for job_id, books in jobs.items() if books[0] and (job_id in ended or job_id not in here)
        }
        listed = await self.rows("SELECT job_id FROM unsettled_jobs WHERE reserved_microusd = 0")
        possible = await self.rows(
            "SELECT id FROM jobs WHERE state IN ('failed', 'expired', 'recovering') AND spent_microusd IS NULL"
        )
        assert {row["job_id"] for row in listed} <= {row["id"] for row in possible}
        rolled = await self.rows(
            "SELECT account_id, day, provider, model, cost_microusd AS cost FROM usage_rollups WHERE cost_microusd <> 0"
        )
        assert {(row["account_id"], row["day"], row["provider"], row["model"]): row["cost"] for row in rolled} == {
            place: cost for place, cost in usage.items() if cost
        }


def _add(books: list[int], change: tuple[int, int]) -> None:
    books[0] += change[0]
    books[1] += change[1]


async def together(*calls: object) -> list[object]:
    """The outcomes of calls made at once: answers, or errors."""
    return list(await asyncio.gather(*calls, return_exceptions=True))  # type: ignore[call-overload]
