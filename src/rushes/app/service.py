"""The whole service, wired: API, worker, storage and cleaners in one process."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from rushes import secret_keys
from rushes.accounts.limits import Limits, LimitStore
from rushes.accounts.rate import RateLimiter
from rushes.accounts.roster import Roster
from rushes.accounts.store import AccountStore
from rushes.accounts.tokens import TokenSigner
from rushes.api.http import build_http
from rushes.api.links import Links
from rushes.api.native.schemas import view_of
from rushes.api.services import Services
from rushes.app.aliases import model_aliases
from rushes.app.bootstrap import ensure_bootstrap_key
from rushes.app.credentials import configured_keys, credential_of
from rushes.app.databases import opened_for_service
from rushes.app.discovery import Discovery
from rushes.app.own_servers import assumed, discovering, own_servers, with_own_servers
from rushes.app.storage import opened_storage
from rushes.catalogue.load import load
from rushes.clock import SystemClock
from rushes.data_directory import DataDirectory
from rushes.db.database import Database
from rushes.db.observed import ObservedDatabase
from rushes.errors import NoCredentials, RushesError, StartupError
from rushes.ids import new_id
from rushes.jobs.allowances import Allowances
from rushes.jobs.breaker import Breakers, Circuit, CircuitHealth
from rushes.jobs.history import HistoryStore
from rushes.jobs.job import Job
from rushes.jobs.moving import MOVES_CHANNEL
from rushes.jobs.recovery import RecoveryStore
from rushes.jobs.retention import Cleaner, RetentionStore
from rushes.jobs.service import JobService, Policy
from rushes.jobs.serving import OnRetired, Servers
from rushes.jobs.spending import SpendingStore
from rushes.jobs.store import JobStore
from rushes.jobs.tools import Tools
from rushes.jobs.transactions import TransactionStore
from rushes.jobs.usage import UsageStore
from rushes.jobs.watching import Watching, WatchLimits
from rushes.jobs.worker import Worker, WorkerLimits
from rushes.media.cleaner import InputCleaner
from rushes.media.custody import Custody
from rushes.media.inputs import Inputs, Terms
from rushes.media.inspection import Inspector
from rushes.media.links import LinkSigner
from rushes.media.poster import Posters
from rushes.media.storage import Storage
from rushes.media.store import InputStore
from rushes.net.client import HttpClient, Sink
from rushes.offload import Offload
from rushes.providers.registry import open_providers
from rushes.sealing import Sealer
from rushes.settings import Settings
from rushes.telemetry.leases import ObservedLeases
from rushes.telemetry.loop import watch_loop
from rushes.telemetry.metrics import Metrics
from rushes.telemetry.moves import Moves
from rushes.telemetry.providers import ObservedClock, ObservedProvider
from rushes.telemetry.scrape import Scrape
from rushes.telemetry.spans import NoSpans, Spans
from rushes.telemetry.store import TelemetryStore
from rushes.telemetry.webhooks import ObservedSender
from rushes.webhooks.cleaner import DeliveryCleaner
from rushes.webhooks.dispatch import Dispatcher
from rushes.webhooks.outbox import Outbox, before_deletion
from rushes.webhooks.service import WebhookService
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import WebhookStore

LEAST_FREE_BYTES = 64 * 1024**2
STOPPING = "the service is stopping; its unfinished jobs go on at its next start"


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs: its HTTP side, and how to put it down before that is closed.

    `drain` takes no new jobs up, sends away whoever waits for one, waits for answers to submits under way and gives the
    jobs back; from its call on the service says that it is not ready. `hurry` ends the waiting.
    """

    http: ASGIApp
    drain: Callable[[], Awaitable[None]]
    hurry: Callable[[], None]


@asynccontextmanager
async def running_service(settings: Settings, *, own_url: str = "") -> AsyncIterator[Running]:
    """The whole service in this process; `own_url` is where it listens.

    It works on one data directory and the database that the settings name.

    Raises StartupError if it cannot start. On leaving, unfinished jobs stay resumable.
    """
    async with AsyncExitStack() as closing:
        directory = DataDirectory(settings.data_dir)
        clock = SystemClock()
        if settings.database_url is not None and settings.secret_keys is None:
            raise StartupError(
                f"{secret_keys.SETTING} is not set; on Postgres it must be, and be the same for every process that "
                "shares the database (`openssl rand -hex 32` makes a key)"
            )
        opened = await closing.enter_async_context(opened_for_service(settings, directory, clock))
        keys = _secret_keys(settings, directory)
        shipped = load()
        own = own_servers(settings, shipped)
        catalogue = with_own_servers(shipped, own, settings, clock)

        metrics = Metrics()
        spans = _spans(settings)
        closing.push_async_callback(spans.close)
        moves = Moves(metrics, spans)
        database = ObservedDatabase(opened.database, MOVES_CHANNEL, moves.heard, metrics.writes.observe)
        client = HttpClient(allow={sink: getattr(settings.net_allow, sink.value) for sink in Sink})
        closing.push_async_callback(client.close)
        drawing = Offload(settings.child_processes)
        closing.callback(drawing.close)
        # Of its own, so that measuring a finished video does not queue behind drawings that take minutes.
        measuring = Offload(1)
        closing.callback(measuring.close)
        inspector = Inspector()
        closing.callback(inspector.close)

        storage = await closing.enter_async_context(
            opened_storage(settings, directory.storage, directory.scratch, clock)
        )
        custody = Custody(storage, measuring)
        input_store = InputStore(database)
        inputs = Inputs(
            input_store,
            storage,
            client,
            inspector,
            Terms(
                quota_bytes=settings.input_quota_bytes, grace_s=settings.input_grace_s, upload_s=settings.upload_keep_s
            ),
        )
        adapters = open_providers(
            offload=drawing,
            scratch=directory.scratch,
            clock=clock,
            client=client,
            base_url=settings.base_url,
            options=settings.provider_options,
            servers=own,
        )
        for adapter in adapters.values():
            closing.push_async_callback(adapter.close)
        keyring = configured_keys(settings, catalogue)
        sealer = Sealer(keys.derive("byok"))
        servers = Servers(
            catalogue,
            keyring,
            surfaces=adapters.keys(),
            setting_names=settings.credential_variables,
            on_retired=OnRetired(settings.on_retired),
        )
        accounts = AccountStore(database)
        await ensure_bootstrap_key(settings, accounts, clock.now_ms())
        spending = SpendingStore(database)
        default_limits = Limits(**settings.limits.model_dump())
        jobs = JobStore(database, default_limits, deleting=before_deletion)
        leases = ObservedLeases(
            database,
            new_id("worker"),
            metrics,
            pulse=opened.pulse,
            jobs_in_flight=default_limits.jobs_in_flight,
        )
        breakers = Breakers()
        waiting_clock = ObservedClock(clock, metrics)

        async def tools_for(job: Job) -> Tools:
            adapter = adapters.get((job.served_provider, job.surface))
            # An own server may not have answered since we started; the job goes on all the same.
            model = catalogue.find(job.served_provider, job.served_model) or assumed(
                own, job.served_provider, job.served_model, clock
            )
            credential = await credential_of(job, jobs, keyring, sealer)
            if adapter is None or model is None or credential is None:
                raise NoCredentials(f"Model '{job.served_provider}/{job.served_model}' cannot be served any more")
            return Tools(
                leases=leases,
                provider=ObservedProvider(adapter, job, metrics, spans),
                model=model,
                credential=credential,
                read_media=inputs.read,
                custody=custody,
                clock=waiting_clock,
                breaker=breakers.of(Circuit(job.served_provider, job.surface, job.credential, job.byok)),
                poll_interval_s=settings.poll_interval_s,
                retention_s=settings.retention_s,
            )

        worker = Worker(
            leases,
            tools_for,
            clock,
            WorkerLimits(
                most_in_flight=settings.most_in_flight, lease_s=settings.lease_s, last_answer_s=settings.drain_s
            ),
        )
        history = HistoryStore(database)
        watching = Watching(
            history,
            clock,
            WatchLimits(most=settings.most_watchers, most_per_account=settings.most_watchers_per_account),
        )
        links = Links(
            LinkSigner(keys.derive("links")),
            clock,
            ttl_s=settings.link_ttl_s,
            public_url=settings.public_url,
            own_url=own_url,
        )
        webhooks = WebhookStore(database)
        signing_secrets = SigningSecrets(webhooks, Sealer(keys.derive("webhooks")), clock)
        sender = ObservedSender(client, clock, metrics, spans, try_s=settings.webhook_timeout_s)
        dispatcher = Dispatcher(
            database,
            jobs,
            sender,
            signing_secrets,
            lambda job, kept: asdict(view_of(job, links, None, clock.now_ms(), deleted=not kept)),
            clock,
            retries_s=settings.webhook_retries_s,
            alone=not opened.shared,
        )
        draining = asyncio.Event()

        async def drain() -> None:
            draining.set()
            watching.close()
            await worker.stop()

        async def trouble() -> str | None:
            return STOPPING if draining.is_set() else await _trouble(opened.pulse, storage, directory.root)

        def breakers_now() -> Mapping[Circuit, CircuitHealth]:
            return breakers.snapshot(clock.steady_ms())

        services = Services(
            accounts=accounts,
            roster=Roster(database),
            limits=LimitStore(database),
            default_limits=default_limits,
            allowances=Allowances(database, default_limits),
            spending=spending,
            rates=RateLimiter(database, clock, default_limits),
            tokens=TokenSigner(keys.derive("tokens")),
            jobs=JobService(
                jobs,
                catalogue,
                servers,
                inputs,
                spending,
                sealer=sealer,
                clock=clock,
                policy=Policy(
                    hold_s=settings.hold_s,
                    test_hold_s=settings.test_hold_s,
                    unpriced_allowed=settings.on_unpriced == "allow",
                ),
                tracing=spans.accepting,
            ),
            history=history,
            watching=watching,
            recovery=RecoveryStore(database),
            inputs=inputs,
            usage=UsageStore(database),
            webhooks=WebhookService(
                webhooks, signing_secrets, sender, client, clock, https_only=settings.webhook_https_only
            ),
            transactions=TransactionStore(database),
            catalogue=catalogue,
            served_surfaces=servers.surfaces_in_use(),
            model_aliases=model_aliases(settings, catalogue, discovering(own, settings)),
            storage=storage,
            links=links,
            posters=Posters(storage, measuring),
            clock=clock,
            ready=trouble,
            breakers=breakers_now,
            metrics=metrics,
            scrape=Scrape(
                metrics,
                TelemetryStore(database),
                breakers_now,
                {
                    ("rushes_jobs_in_flight", "Jobs that this process carries out"): lambda: worker.in_flight,
                    ("rushes_streams", "Event streams and waiting requests that are open"): lambda: watching.watchers,
                    ("rushes_webhooks_in_flight", "Messages that are being tried"): lambda: dispatcher.under_way,
                    ("rushes_database_writes_waiting", "Writes not yet on the disk"): lambda: database.waiting,
                },
            ),
            metrics_token=None if settings.metrics_token is None else settings.metrics_token.get_secret_value(),
        )
        closing.push_async_callback(worker.stop)
        await worker.start(alone=not opened.shared)
        await closing.enter_async_context(
            _in_background(
                Cleaner(RetentionStore(database), storage, clock).run(),
                InputCleaner(input_store, storage, clock, grace_s=settings.input_grace_s).run(),
                dispatcher.run(),
                DeliveryCleaner(Outbox(database), clock).run(),
                Discovery(catalogue, discovering(own, settings), adapters, keyring, clock).run(),
                watching.run(),
                moves.run(history),
                watch_loop(metrics),
            )
        )
        http = build_http(services, logs_requests=settings.log_requests, cors_origins=settings.cors_origins)
        yield Running(http, drain, worker.hurry)


@asynccontextmanager
async def _in_background(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless loops until this is left."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _secret_keys(settings: Settings, directory: DataDirectory) -> secret_keys.SecretKeys:
    if settings.secret_keys is not None:
        return secret_keys.parse(settings.secret_keys.get_secret_value())
    return secret_keys.load_or_create(directory.secret_key)


def _spans(settings: Settings) -> Spans:
    if not settings.tracing:
        return NoSpans()
    # Imported only here: it is an extra, and takes a tenth of a second.
    from rushes.telemetry.opentelemetry import OpenTelemetrySpans

    return OpenTelemetrySpans()


async def _trouble(database: Database, storage: Storage, root: Path) -> str | None:
    """What keeps the service from taking jobs, or None."""
    try:
        await database.read("SELECT 1")
        await storage.check()
    except RushesError as error:
        return error.message
    if not os.access(root, os.W_OK):
        return "the data directory cannot be written"
    free_bytes = (await asyncio.to_thread(shutil.disk_usage, root)).free
    if free_bytes < LEAST_FREE_BYTES:
        return f"the disk of the data directory has only {free_bytes // 1024**2} MiB left"
    return None
