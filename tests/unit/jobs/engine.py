"""The engine around one scripted provider: a real SQLite store, a manual clock, and workers as a test needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rushes.catalogue.model import Model
from rushes.jobs.breaker import Breaker
from rushes.jobs.carrying import Carrying
from rushes.jobs.job import Job
from rushes.jobs.leases import LeaseStore
from rushes.jobs.steps import Claimed
from rushes.jobs.store import JobStore
from rushes.jobs.tools import Tools
from rushes.jobs.worker import Worker, WorkerLimits
from rushes.providers.base import NO_CREDENTIAL
from rushes.video.request import InputMedia, VideoRequest
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import WatchedDatabase, fresh_sqlite
from tests.fixtures.new_jobs import ACCOUNT, clip_model, new_job
from tests.fixtures.scripted_provider import FakeCustody, ScriptedProvider

LEASE_S = 15.0


async def _no_media(_: InputMedia) -> bytes:
    return b"image"


class Engine:
    """Everything that a job needs to be carried out, each part open to the test."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(lambda: self.database.busy)
        self.database = WatchedDatabase(fresh_sqlite(path, self.clock))
        self.jobs = JobStore(self.database)
        self.provider = ScriptedProvider()
        self.custody = FakeCustody()
        self.model = clip_model()
        self.breaker = Breaker()
        self.read_media: Callable[[InputMedia], Awaitable[bytes]] = _no_media
        self.workers: list[Worker] = []

    async def close(self) -> None:
        """Stop what still runs."""
        self.database.down = False
        for worker in self.workers:
            await self.clock.run(worker.stop())
        await self.database.close()

    def leases(self, worker_id: str = "worker_1") -> LeaseStore:
        """What a worker of this id would do."""
        return LeaseStore(self.database, worker_id)

    async def create(self, number: int | str = 1, *, n: int = 1, **given: Any) -> Job:
        """A queued job for `n` videos."""
        given = {
            "request": VideoRequest(prompt="A dog", n=n),
            "reports_progress": self.model.reports_progress,
            "lane_capacity": self.model.concurrency,
            "deadline_s": self.model.deadline_s,
            **given,
        }
        return await self.jobs.create(new_job(number, **given))

    async def claim(self, worker_id: str = "worker_1") -> Claimed:
        """The one job that can be claimed."""
        leases = self.leases(worker_id)
        await leases.beat(LEASE_S)
        (claimed,) = await leases.claim(10)
        return claimed

    async def take_over(self, worker_id: str = "worker_2") -> Claimed:
        """The job as another worker finds it after the first has died."""
        await self.leases(worker_id).release_dead(all_workers=True)
        return await self.claim(worker_id)

    def tools(self, model: Model | None = None) -> Tools:
        """Tools with the engine's parts, for the engine's model if no other is given."""
        return Tools(
            leases=self.leases(),
            provider=self.provider,
            model=self.model if model is None else model,
            credential=NO_CREDENTIAL,
            read_media=self.read_media,
            custody=self.custody,
            clock=self.clock,
            breaker=self.breaker,
        )

    async def carry(self, claimed: Claimed) -> Job:
        """The job after it was carried to its end."""
        await self.clock.run(Carrying(claimed, self.tools()).to_its_end())
        return await self.job(claimed.job.id)

    async def create_and_carry(self, *, n: int = 1, **given: Any) -> Job:
        """A new job, carried to its end."""
        await self.create(n=n, **given)
        return await self.carry(await self.claim())

    async def crash_when(self, condition: Callable[[], bool], *, n: int = 1) -> None:
        """Create and carry a job, and die when `condition` holds, leaving what was recorded until then."""
        await self.create(n=n)
        await self.crash_carrying(await self.claim(), condition)

    async def crash_carrying(self, claimed: Claimed, condition: Callable[[], bool]) -> None:
        """Carry a claimed job, and die when `condition` holds."""
        leases = LeaseStore(DeadAfter(self.database, condition), "worker_1")
        carrying = Carrying(claimed, _with_leases(self.tools(), leases))
        task = asyncio.ensure_future(carrying.to_its_end())
        await self.clock.run_until(condition)
        task.cancel()
        await self.clock.run(_ended(task))

    async def job(self, job_id: str = "job_1") -> Job:
        """The job as callers see it."""
        return await self.jobs.get(ACCOUNT, job_id)

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of the database, to look behind the stores."""
        return [dict(row) for row in await self.database.read(sql, **parameters)]

    async def states(self, job_id: str = "job_1") -> list[str]:
        """The states that a job has gone through."""
        rows = await self.rows("SELECT state FROM job_events WHERE job_id = :id ORDER BY seq", id=job_id)
        return [row["state"] for row in rows]

    async def attempts(self) -> list[dict[str, Any]]:
        """Every attempt, oldest first."""
        return await self.rows("SELECT * FROM attempts ORDER BY rowid")

    def worker(self, worker_id: str = "worker_1", *, most_in_flight: int = 100) -> Worker:
        """A worker that is stopped when the test ends."""

        async def tools_for(job: Job) -> Tools:
            return _with_leases(self.tools(), self.leases(worker_id))

        return self.worker_with(tools_for, worker_id, most_in_flight=most_in_flight)

    def worker_with(
        self,
        tools_for: Callable[[Job], Awaitable[Tools]],
        worker_id: str = "worker_1",
        *,
        most_in_flight: int = 100,
    ) -> Worker:
        """A worker with its own idea of what a job needs."""
        limits = WorkerLimits(most_in_flight=most_in_flight, lease_s=LEASE_S)
        worker = Worker(self.leases(worker_id), tools_for, self.clock, limits)
        self.workers.append(worker)
        return worker

    async def statuses(self) -> Sequence[str]:
        """The state of each job, oldest first."""
        return [row["state"] for row in await self.rows("SELECT state FROM jobs ORDER BY seq")]


class DeadAfter:
    """`Database` of a process that dies when `condition` holds: nothing more of it is written."""

    def __init__(self, inner: WatchedDatabase, condition: Callable[[], bool]) -> None:
        self._inner = inner
        self._condition = condition

    async def read(self, sql: str, **parameters: object) -> Any:
        return await self._inner.read(sql, **parameters)

    def version(self) -> int | None:
        return self._inner.version()

    async def write(self, body: Any) -> Any:
        if self._condition():
            await asyncio.get_running_loop().create_future()
        return await self._inner.write(body)

    def listen(self, channel: str, heard: Callable[[str], None]) -> Callable[[], None]:
        return self._inner.listen(channel, heard)

    async def close(self) -> None:
        raise AssertionError("a dead process closes nothing")


def _with_leases(tools: Tools, leases: LeaseStore) -> Tools:
    return replace(tools, leases=leases)


async def _ended(task: asyncio.Future[None]) -> None:
    await asyncio.wait({task})
