"""Who acts in the world: callers, those who start and stop processes, an operator, and misfortune."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rushes.domain.fallbacks import Fallbacks
from rushes.domain.job import Job, State, Status
from rushes.domain.request import VideoRequest
from rushes.errors import (
    DatabaseUnavailable,
    IdempotencyMismatch,
    JobNotFinished,
    JobNotFound,
    NotAbortable,
    NotCancellable,
    NotRecoverable,
    Overloaded,
)
from rushes.jobs.idempotency import Once, Replay
from rushes.jobs.new_job import NewJob
from rushes.jobs.store import JobStore
from rushes.operations.abort import AbortStore
from rushes.operations.needs_operator import Action, NeedsOperatorStore
from rushes.operations.recovery import RecoveryStore
from rushes.operations.settlement import SettlementStore
from rushes.webhooks.outbox import before_deletion
from tests.fixtures.new_jobs import fallback, new_job
from tests.simulation.faults import Fault
from tests.simulation.process import Lost, Process
from tests.simulation.upstream import KINDS, Kind

if TYPE_CHECKING:
    from tests.simulation.world import World

ACCOUNTS = ("acct_1", "acct_2")
DEADLINES_S = (150.0, 150.0, 30.0)
TRY_AGAIN = (Lost, DatabaseUnavailable, Overloaded)


class Caller:
    """Asks for one job, watches it, and changes their mind now and then."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._chance = world.chance
        self.number = number
        self._account_id = self._chance.pick(ACCOUNTS)

    async def run(self) -> None:
        await asyncio.sleep(self._chance.between(0, self._world.storm_s * 0.8))
        job_id = await self._create()
        if self._chance.happens(0.3):
            await asyncio.sleep(self._chance.between(0, 3))
            await self._cancel(job_id)
        status = await self._watch(job_id)
        if status in (Status.COMPLETED, Status.FAILED) and self._chance.happens(0.25):
            await asyncio.sleep(self._chance.between(0, 60))
            await self._delete(job_id)

    async def _create(self) -> str:
        """The job, however often it must be asked for; sometimes asked for by several at once."""
        new = self._new_job()
        once = Once("create", f"key {self.number}", "hash", lambda job: job.id)
        asking = self._chance.pick([1, 1, 1, 2, 3])
        answers = await asyncio.gather(*(self._create_surely(new, once, copy) for copy in range(asking)))
        if len(set(answers)) > 1:
            self._world.ledger.breaks(f"one idempotency key made {sorted(set(answers))}")
        return answers[0]

    async def _create_surely(self, new: NewJob, once: Once, copy: int) -> str:
        tries = 0
        while True:
            tries += 1
            # Each try of each copy would make a job of its own, if the key did not hold.
            own = functools.partial(_create_once, replace(new, id=f"{new.id}_{copy}_{tries}"), once)
            try:
                made = await self._ask(own)
            except TRY_AGAIN:
                await asyncio.sleep(self._chance.between(0.1, 4))
                continue
            except IdempotencyMismatch:
                self._world.ledger.breaks("an idempotency key was refused to its own request")
                raise
            if self._chance.happens(0.7):
                self._world.wake()
            job_id = made.answer if isinstance(made, Replay) else made.id
            if new.asked.webhook is not None:
                self._world.receivers.listened.add(job_id)
            return job_id

    def _new_job(self) -> NewJob:
        kinds = self._chance.random.sample(sorted(KINDS), k=3)
        if self._chance.happens(0.4):
            kinds = [kinds[0] if kinds[0] != "slow" else "finding", "slow", kinds[1]]
        main, *others = (KINDS[name] for name in kinds)
        instead = others[: self._chance.pick([0, 1, 1, 2])]
        n = self._chance.pick([1, 1, 1, 2, 3])
        listens = self._chance.happens(0.4)
        return new_job(
            self.number,
            webhook=self._world.receivers.job_webhook(self._account_id, self.number) if listens else None,
            account_id=self._account_id,
            request=VideoRequest(prompt=f"scene {self.number}", n=n),
            hold_s=self._chance.pick([0, 0, 1, 5]),
            sealed_secret=self._chance.pick([None, None, None, "sealed"]),
            fallbacks=Fallbacks(
                tuple(
                    fallback(
                        name=f"{kind.name}/clip",
                        provider=kind.name,
                        lane=_lane(kind),
                        credential="of_operator",
                        lane_capacity=kind.model.concurrency,
                        usual_s=kind.model.usual_s,
                        deadline_s=self._chance.pick(DEADLINES_S[1:]),
                        reports_progress=kind.model.reports_progress,
                    )
                    for kind in instead
                )
            ),
            deadline_s=self._chance.pick(DEADLINES_S),
            **_served_by(main),
        )

    async def _cancel(self, job_id: str) -> None:
        while True:
            try:
                await self._ask(lambda jobs: jobs.cancel(self._account_id, job_id))
            except TRY_AGAIN:
                await asyncio.sleep(self._chance.between(0.1, 2))
                continue
            except NotCancellable:
                return
            if self._world.ledger.history[job_id][-1] is not State.CANCELLED:
                self._world.ledger.breaks(f"{job_id} was said to be cancelled, and is not")
            return

    async def _watch(self, job_id: str) -> Status:
        while True:
            try:
                job: Job = await self._ask(lambda jobs: jobs.get(self._account_id, job_id))
            except TRY_AGAIN:
                await asyncio.sleep(self._chance.between(0.1, 4))
                continue
            if job.status in (Status.COMPLETED, Status.FAILED):
                return job.status
            await asyncio.sleep(self._chance.between(1, 15))

    async def _delete(self, job_id: str) -> None:
        while True:
            try:
                await self._ask(lambda jobs: jobs.delete(self._account_id, job_id))
            except TRY_AGAIN:
                await asyncio.sleep(self._chance.between(0.1, 4))
            except (JobNotFinished, JobNotFound):
                return
            else:
                return

    async def _ask(self, question: Any) -> Any:
        """What the service answers. A job is looked at in the moment that it is read."""
        world = self._world
        front = world.front
        if front is None:
            raise Lost

        async def answer() -> Any:
            return await question(JobStore(world.database_of(front), deleting=before_deletion))

        result = await front.answer(answer())
        if hasattr(result, "percent"):
            world.ledger.read(result, front.now_ms(), clocks_agree=world.clocks_agree)
        return result


class Operator:
    """Takes up what failed and may have been paid for; mistypes an id now and then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance
        self._done: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._chance.between(20, 80))
            command = self._world.process("operator")
            try:
                await command.answer(self._look(command))
            except (*TRY_AGAIN, NotRecoverable, JobNotFound):
                pass
            command.die("ends")

    async def _look(self, command: Process) -> None:
        database = self._world.database_of(command)
        store, settlement = RecoveryStore(database), SettlementStore(database)
        for entry in await NeedsOperatorStore(database).list(3):
            # Every job gets a few tries, so that the world comes to rest.
            tries = self._done[entry.job_id] = self._done.get(entry.job_id, 0) + 1
            generations = self._world.ledger.generations_of(entry.job_id)
            if Action.ABORT in entry.actions:
                continue
            # A generation that never ends takes an hour of recovery each time.
            most = 1 if entry.reason == "expired" else 3
            if tries <= most and Action.RECOVER in entry.actions:
                await store.recover(entry.job_id)
            elif tries <= most and generations and Action.RECONCILE in entry.actions:
                name = generations[0].id if self._chance.happens(0.7) else "gen_0"
                await store.reconcile(entry.job_id, {"name": name}, name)
            elif Action.WRITE_OFF in entry.actions:
                await store.write_off(entry.job_id)
            else:
                await settlement.settle(entry.job_id, Decimal(self._chance.pick(["0", "1.50"])))
            self._world.wake()


class Impatience:
    """Another operator, who ends jobs: in the queue, under way, or just ended."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._chance.between(5, 40))
            if self._chance.is_calm:
                return
            if not self._world.ledger.history:
                continue
            job_id = self._chance.pick(list(self._world.ledger.history))
            command = self._world.process("abort")
            try:
                await command.answer(self._abort(command, job_id))
            except (*TRY_AGAIN, NotAbortable, JobNotFound):
                pass
            command.die("ends")
            self._world.wake()

    async def _abort(self, command: Process, job_id: str) -> None:
        await AbortStore(self._world.database_of(command)).request(job_id)


class Misfortune:
    """What happens to hosts, to the database and to the configuration."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance

    async def run(self) -> None:
        chance, world = self._chance, self._world
        if chance.strikes(Fault.NO_CREDENTIALS, 0.35):
            world.missing_credential = chance.pick(sorted(KINDS))
        while True:
            await asyncio.sleep(chance.between(3, 20))
            await world.ledger.check_books()
            if chance.is_calm:
                return
            for fault, sign in ((Fault.CLOCK_FORWARD, 1), (Fault.CLOCK_BACK, -1)):
                if chance.strikes(fault, 0.03):
                    host = chance.pick(world.hosts)
                    jump_s = sign * chance.pick([2.0, 20.0, 90.0, 400.0])
                    host.skew_ms += round(jump_s * 1000)
                    world.clocks_agree = False
                    world.note("world", f"the clock of a host jumps by {jump_s:.0f} s")
            if chance.strikes(Fault.LOCKED, 0.05):
                locked_s = chance.pick([1.0, 5.0, 30.0])
                world.note("world", f"the database is locked for {locked_s:.0f} s")
                world.database.locked_until_ms = round((world.time_s + locked_s) * 1000)
            if chance.strikes(Fault.DISK_FULL, 0.05):
                full_s = chance.pick([2.0, 20.0])
                world.note("world", f"the database's disk is full for {full_s:.0f} s")
                world.database.fill_disk()
                asyncio.get_running_loop().call_later(full_s, world.database.clear_disk)
            if chance.strikes(Fault.NO_CREDENTIALS, 0.04):
                world.missing_credential = chance.pick(sorted(KINDS))
                world.note("world", f"the credential of {world.missing_credential} is missing")
            elif world.missing_credential is not None and chance.happens(0.15):
                world.missing_credential = None


class Supervisor:
    """Keeps one process running: starts it, and starts it again however it ended."""

    def __init__(self, world: World, name: str, *, works: bool, serves: bool) -> None:
        self._world = world
        self._name = name
        self._works = works
        self._serves = serves
        self._starts = 0

    async def run(self) -> None:
        world, chance = self._world, self._world.chance
        while True:
            self._starts += 1
            service = world.start_service(f"{self._name}.{self._starts}", works=self._works, serves=self._serves)
            ended = asyncio.ensure_future(service.process.ended.wait())
            await asyncio.wait({ended}, timeout=chance.between(10, 90) if not chance.is_calm else None)
            while not ended.done():
                await self._trouble(service)
                await asyncio.wait({ended}, timeout=chance.between(10, 90) if not chance.is_calm else None)
            await asyncio.sleep(chance.between(0, 8))

    async def _trouble(self, service: Any) -> None:
        chance = self._world.chance
        match chance.one_of([(Fault.CRASH, 0.15), (Fault.FREEZE, 0.1), (Fault.STOP, 0.15)]):
            case Fault.CRASH:
                service.process.die("is killed")
            case Fault.FREEZE:
                service.process.freeze(chance.between(5, 60))
            case Fault.STOP:
                await service.stop()
            case _:
                pass


async def _create_once(new: NewJob, once: Once, jobs: JobStore) -> Job | Replay:
    return await jobs.create_once(new, once)


def _lane(kind: Kind) -> str:
    return f"{kind.name}/clip"


def _served_by(kind: Kind) -> dict[str, Any]:
    return {
        "provider": kind.name,
        "served_provider": kind.name,
        "usual_s": kind.model.usual_s,
        "reports_progress": kind.model.reports_progress,
        "lane": _lane(kind),
        "credential": "of_operator",
        "lane_capacity": kind.model.concurrency,
    }
