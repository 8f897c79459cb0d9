"""One world from one seed: the real stores, worker, output store and cleaner among things that break."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from structlog.testing import capture_logs

from rushes import ids
from rushes.app.credentials import JobCredentials
from rushes.domain.job import Job, State
from rushes.domain.request import InputMedia
from rushes.engine import claims
from rushes.engine.claims import ClaimStore
from rushes.engine.job_resources import JobResources
from rushes.engine.storage_health import StorageHealth
from rushes.engine.worker import Worker, WorkerLimits
from rushes.errors import NoCredentials, RushesError
from rushes.jobs.retention import Cleaner, RetentionStore
from rushes.jobs.store import JobStore
from rushes.media.output_store import OutputStore
from rushes.operations import recovery
from rushes.providers.base import Credential, Provider
from rushes.providers.credentials import Keyring, KeyTerms, Pinned, api_key
from rushes.providers.registry import ProviderApi
from rushes.sealing import Sealer
from rushes.webhooks import outbox
from rushes.webhooks.outbox import OWED, before_deletion
from tests.simulation.actors import ACCOUNTS, Caller, Impatience, Misfortune, Operator, Supervisor
from tests.simulation.database import ProcessDatabase, SimulatedDatabase
from tests.simulation.faults import Chance, Fault
from tests.simulation.ledger import Broken, Ledger
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Host, Process, adopt_task
from tests.simulation.receivers import Receivers, dispatcher
from tests.simulation.storage import SimulatedDecoder, SimulatedStorage
from tests.simulation.upstream import KINDS, SimulatedProvider, Upstream

LEASE_S = 15.0
RECOVERY_DEADLINE_MS = 600 * 1000
"""What a recovery has here: long beside all that a job does, and short beside the real hour, of which each idle second
is work for the machine that plays it."""
REST_LIMIT_S = 4 * 3600
"""An operator takes a job up three times, and a generation that never ends lasts each time for as long as a recovery
has, and for as long as its provider would keep an output."""
LOOK_EVERY_S = 25.0

POOLS = {
    "forgetful": {"only": KeyTerms()},
    "finding": {"first": KeyTerms(weight=2), "second": KeyTerms(in_flight=1)},
    "repeatable": {"first": KeyTerms(), "second": KeyTerms()},
    "prompt": {"only": KeyTerms()},
    "slow": {"first": KeyTerms(), "second": KeyTerms(requests_per_minute=30), "spare": KeyTerms(weight=0)},
}
"""The operator's keys at each kind of provider, with their terms; each key's secret says whose it is."""

KEYRING = Keyring(
    {name: (api_key(),) for name in POOLS},
    {
        provider: [
            Pinned(Credential(kind="api_key", secret=f"{provider}-{name}"), None, name, terms)
            for name, terms in pool.items()
        ]
        for provider, pool in POOLS.items()
    },
)

UNFORESEEN = ("job_set_back", "claim_failed", "heartbeat_failed", "webhooks_delayed", "webhook_not_sent")
"""What the engine logs with a traceback when it meets something that nobody has thought of."""


@dataclass(slots=True)
class Outcome:
    """What became of one world."""

    seed: int
    trace: list[str]
    faults: Counter[Fault]
    moves: Counter[tuple[State, State]]
    jobs: int
    generations: int
    virtual_s: float
    late_submits: int
    broken: Broken | None
    ends: Counter[str] = field(default_factory=Counter)


def simulate(seed: int, only: Collection[Fault] = ()) -> Outcome:
    """Let the world of this seed run until it has come to rest; with `only` these faults, if any are named."""
    before = random.getstate()
    chance = Chance(seed, only)
    random.seed(seed)
    loop = VirtualLoop(adopt_task)
    try:
        with ExitStack() as stack:
            logged = stack.enter_context(capture_logs())
            # Ids and tokens order files by their keys, and so have to follow from the seed too.
            source = random.Random(seed)
            tokens = SimpleNamespace(token_hex=lambda size: source.randbytes(size).hex())
            stack.enter_context(mock.patch.object(ids, "os", SimpleNamespace(urandom=source.randbytes)))
            stack.enter_context(mock.patch.object(claims, "secrets", tokens))
            stack.enter_context(mock.patch.object(outbox, "secrets", tokens))
            stack.enter_context(mock.patch.object(recovery, "RECOVERY_DEADLINE_MS", RECOVERY_DEADLINE_MS))
            world = World(seed, chance, logged)
            return loop.run_until_complete(world.run())
    finally:
        loop.close()
        random.setstate(before)


class World:
    """Everything there is."""

    def __init__(self, seed: int, chance: Chance, logged: list[Any]) -> None:
        self.seed = seed
        self.chance = chance
        self.trace: list[str] = []
        self.storm_s = chance.between(60, 240)
        self.embedded = chance.happens(0.4)
        self.clocks_agree = True
        self.missing_credential: str | None = None
        self.front: Process | None = None
        self.hosts = [Host()]
        self.database = SimulatedDatabase(self.hosts[0])
        self.files: dict[str, bytes] = {}
        self.retention_s = chance.pick([None, None, 120.0])
        self.ledger = Ledger(self.database, self.note)
        self.database.committed = self.ledger.committed
        self.receivers = Receivers(self.ledger)
        self.upstream = Upstream(chance, self._real_ms, self.ledger.accepted)
        self._services: list[Service] = []
        self._logged = logged
        self._logged_until = 0

    @property
    def time_s(self) -> float:
        """Seconds since the world began."""
        return asyncio.get_running_loop().time()

    def note(self, who: str, what: str) -> None:
        """A line of the trace."""
        self.trace.append(f"{self.time_s:10.3f}  {who:<14}  {what}")

    async def run(self) -> Outcome:
        """The storm, then the calm in which everything must end."""
        if self.chance.happens(0.3):
            await self.receivers.register(self.database, self.chance.pick(ACCOUNTS))
        actors: list[Coroutine[Any, Any, None]] = []
        if self.embedded:
            actors.append(Supervisor(self, "serve", works=True, serves=True).run())
        else:
            actors.append(Supervisor(self, "front", works=False, serves=True).run())
            workers = self.chance.pick([1, 2, 3])
            names = [f"worker_{number}" for number in range(1, workers + 1)]
            actors.extend(Supervisor(self, name, works=True, serves=False).run() for name in names)
        actors.append(Operator(self).run())
        if self.chance.happens(0.5):
            actors.append(Impatience(self).run())
        actors.append(Misfortune(self).run())
        callers = [Caller(self, number) for number in range(1, self.chance.random.randint(3, 12))]
        background = [asyncio.ensure_future(actor) for actor in actors]
        foreground = [asyncio.ensure_future(caller.run()) for caller in callers]
        try:
            await asyncio.sleep(self.storm_s)
            self._calm_down()
            await self._come_to_rest(foreground, background)
        finally:
            for task in (*background, *foreground):
                task.cancel()
            for service in self._services:
                service.process.die("ends with the world")
            await asyncio.gather(*background, *foreground, return_exceptions=True)
            await asyncio.sleep(0)
        self._look_at_the_log()
        return Outcome(
            seed=self.seed,
            trace=self.trace,
            faults=self.chance.happened,
            moves=self.ledger.moves,
            jobs=len(self.ledger.history),
            generations=len(self.upstream.generations),
            virtual_s=self.time_s,
            late_submits=len(self.ledger.late),
            broken=self.ledger.broken,
            ends=Counter(states[-1].value for states in self.ledger.history.values()),
        )

    def _calm_down(self) -> None:
        self.note("world", "calms down")
        self.upstream.out.clear()
        self.chance.calm_down()
        self.missing_credential = None
        self.database.clear_disk()
        self.database.locked_until_ms = 0

    async def _come_to_rest(
        self, callers: Sequence[asyncio.Future[None]], background: Sequence[asyncio.Future[None]]
    ) -> None:
        end_s = self.time_s + REST_LIMIT_S
        while self.ledger.broken is None:
            await asyncio.sleep(LOOK_EVERY_S)
            for task in (*background, *callers):
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            if all(caller.done() for caller in callers) and not self._is_busy():
                break
            if self.time_s > end_s:
                self.ledger.breaks("the world did not come to rest")
        if self.ledger.broken is None:
            await self.ledger.check_rest(self.files, [self.receivers.check_rest])

    def _is_busy(self) -> bool:
        open_jobs = "SELECT 1 FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'expired') LIMIT 1"
        doomed = "SELECT 1 FROM doomed_files LIMIT 1"
        return any(self.database.run(statement) for statement in (open_jobs, doomed, OWED))

    def _look_at_the_log(self) -> None:
        for entry in self._logged:
            if entry.get("exc_info") and entry["event"] in UNFORESEEN:
                self.ledger.breaks(f"the engine met something that it did not foresee: {entry['event']}")

    def _real_ms(self) -> int:
        return round(self.time_s * 1000)

    # Processes.

    def process(self, name: str, host: Host | None = None) -> Process:
        """A new process."""
        return Process(name, self.hosts[0] if host is None else host, self.chance, self.note)

    def database_of(self, process: Process) -> ProcessDatabase:
        """The database as the process has it."""
        return ProcessDatabase(self.database, process, self.chance)

    def start_service(self, name: str, *, works: bool, serves: bool) -> Service:
        """Start a process that works, serves, or does both."""
        if self.embedded:
            host = self.hosts[0]
        else:
            host = Host()
            self.hosts = [*self.hosts, host][-6:] if self.hosts[0] is self.database.clock else self.hosts
        service = Service(self, self.process(name, host))
        self._services = [old for old in self._services if not old.process.dead] + [service]
        if serves:
            self.front = service.process
        service.start(works=works, serves=serves)
        return service

    def wake(self) -> None:
        """Tell whoever works that there is something to do."""
        for service in self._services:
            service.wake()


class Service:
    """What runs in one process."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self.process = process
        self._database = world.database_of(process)
        self._leases = ClaimStore(self._database, process.name, clock=process)
        self._storage = SimulatedStorage(world.files, process, world.chance)
        self._outputs = OutputStore(self._storage, SimulatedDecoder(self._storage, world.files, process, world.chance))
        self._storage_health = StorageHealth()
        self._jobs = JobStore(self._database, deleting=before_deletion)
        self._delivering: asyncio.Task[None] | None = None
        providers: dict[ProviderApi, Provider] = {(name, None): self._provider(name) for name in KINDS}
        self._credentials = JobCredentials(self._jobs, KEYRING, _OPEN, providers)
        self._worker: Worker | None = None
        self._works = False

    def _provider(self, name: str) -> SimulatedProvider:
        provider = SimulatedProvider(KINDS[name], self._world.upstream, self.process, self._world.chance)
        provider.on_submit = lambda attempt_id: self._world.ledger.submitted(self.process.name, attempt_id)
        provider.on_other_key = self._world.ledger.breaks
        return provider

    def start(self, *, works: bool, serves: bool) -> None:
        """Begin."""
        self._world.note(self.process.name, "starts")
        if works:
            self.process.spawn(self._work())
        if serves:
            cleaner = Cleaner(RetentionStore(self._database), self._storage, self.process)
            self.process.spawn(cleaner.run())
        # Every process of a service with several may deliver.
        world = self._world
        delivering = dispatcher(
            self._database,
            world.receivers,
            self.process,
            world.chance,
            jobs=self._jobs,
            alone=world.embedded,
        )
        self._delivering = self.process.spawn(delivering.run())

    async def _work(self) -> None:
        limits = WorkerLimits(most_in_flight=20, lease_s=LEASE_S)
        worker = Worker(
            self._leases,
            self._resources_for,
            self.process,
            limits,
            storage_health=self._storage_health,
            check_storage=self._check_storage,
        )
        try:
            await worker.start(alone=self._world.embedded)
        except RushesError:
            self.process.die("cannot start")
            return
        self._worker = worker

    async def _check_storage(self) -> None:
        await self._storage.put("probes/storage", _probe(), max_bytes=10)
        await self._storage.delete("probes/storage")

    async def stop(self) -> None:
        """Stop in good order."""
        if self._delivering is None or self.process.dead:
            return
        self._world.note(self.process.name, "is told to stop")
        self._delivering.cancel()
        stopping = [self._delivering]
        if self._worker is not None:
            stopping.append(self.process.spawn(self._worker.stop()))
        await asyncio.wait(stopping, timeout=60)
        self.process.die("has stopped")

    def wake(self) -> None:
        """There may be something to do."""
        if self._worker is not None and not self.process.dead and not self.process.is_frozen:
            self._worker.wake()

    async def _resources_for(self, job: Job) -> JobResources:
        name = job.served_provider
        if name == self._world.missing_credential:
            self._world.note(self.process.name, f"has no credential for {job.id}")
            raise NoCredentials(f"Model '{name}/clip' can no longer be served")
        access = await self._credentials.of(job, KINDS[name].model, lambda _, adapter: adapter)
        return JobResources(
            provider=access.provider,
            model=KINDS[name].model,
            credential=access.credential,
            read_media=_no_media,
            outputs=self._outputs,
            clock=self.process,
            breaker=access.breaker,
            keys=access.keys,
            storage_health=self._storage_health,
            retention_s=self._world.retention_s,
        )


class _Open(Sealer):
    """The keys of callers are not sealed here."""

    def __init__(self) -> None:
        pass

    def open(self, sealed: str, context: str) -> str:
        return sealed


_OPEN = _Open()


async def _probe() -> AsyncIterator[bytes]:
    yield b"probe"


async def _no_media(_: InputMedia) -> bytes:
    raise NotImplementedError("no job here has media")
