"""What every process of the service stands on, whatever its part: database, storage, catalogue, providers, keys."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from rushes import secret_keys
from rushes.accounts.limits import Limits
from rushes.app.databases import opened_for_service
from rushes.app.providers import Providers, configured_providers
from rushes.app.role import Role
from rushes.app.shared_folder import check_folder_is_shared
from rushes.app.storage import opened_storage
from rushes.catalogue.load import Catalogue
from rushes.clock import SystemClock
from rushes.data_directory import DataDirectory
from rushes.db.database import Database
from rushes.db.observed import ObservedDatabase
from rushes.db.write_probe import WriteProbe
from rushes.decoding.box import Box
from rushes.errors import StartupError
from rushes.jobs.events.store import HistoryStore
from rushes.jobs.store import JobStore
from rushes.media.decoder import Decoder
from rushes.media.free_space import FreeSpace
from rushes.media.input_store import InputStore
from rushes.media.inputs import Inputs, Terms
from rushes.media.storage import Storage
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Provider
from rushes.providers.credentials import Keyring
from rushes.providers.declaration import Parts
from rushes.providers.own_server import OwnServer
from rushes.providers.registry import ProviderApi
from rushes.sealing import Sealer
from rushes.secret_keys import SecretKeys
from rushes.settings import Settings
from rushes.shared_places import (
    CONNECTIONS,
    DATABASE,
    DRAWINGS,
    INPUT_CONNECTIONS,
    LOOKUPS,
    REQUESTS,
    STREAMS,
    SharedPlaces,
)
from rushes.telemetry.metrics import UNDELIVERED_CODES, Metrics
from rushes.telemetry.moves import Moves
from rushes.telemetry.spans import NoSpans, Spans
from rushes.telemetry.webhooks import ObservedSender
from rushes.webhooks.outbox import before_deletion
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import WebhookStore


@dataclass(frozen=True, slots=True)
class Foundation:
    """Opened once a process. `pulse` is a way to the database that never waits behind the rest.

    `shared` says that other processes may be working on the same jobs.
    """

    settings: Settings
    directory: DataDirectory
    clock: SystemClock
    keys: SecretKeys
    database: ObservedDatabase
    pulse: Database
    write_probe: WriteProbe
    shared: bool
    metrics: Metrics
    spans: Spans
    moves: Moves
    client: HttpClient
    box: Box
    decoder: Decoder
    storage: Storage
    input_store: InputStore
    inputs: Inputs
    providers: Providers
    adapters: Mapping[ProviderApi, Provider]
    sealer: Sealer
    default_limits: Limits
    jobs: JobStore
    history: HistoryStore
    webhooks: WebhookStore
    signing_secrets: SigningSecrets
    sender: ObservedSender
    places: SharedPlaces

    @property
    def catalogue(self) -> Catalogue:
        """Every model, also those of the operator's own servers."""
        return self.providers.catalogue

    @property
    def keyring(self) -> Keyring:
        """The operator's credentials."""
        return self.providers.keyring

    @property
    def own(self) -> Sequence[OwnServer]:
        """The operator's own servers."""
        return self.providers.own


@asynccontextmanager
async def opened_foundation(settings: Settings, role: Role) -> AsyncIterator[Foundation]:
    """All of it, closed on leaving. Raises StartupError."""
    async with AsyncExitStack() as closing:
        directory = DataDirectory(settings.data_dir)
        clock = SystemClock()
        if settings.database_url is not None and settings.secret_keys is None:
            raise StartupError(
                f"{secret_keys.SETTING} is not set; on Postgres it must be, and be the same for every process that "
                "shares the database (`openssl rand -hex 32` makes a key)"
            )
        places = SharedPlaces(
            # One drawing more than one account may have, so that another account's begins at once. What waits for a job
            # is a request too, so more of these are more requests.
            {
                STREAMS.name: settings.most_watchers,
                CONNECTIONS.name: _most_connections(),
                REQUESTS.name: REQUESTS.most + max(0, settings.most_watchers - STREAMS.most),
                DRAWINGS.name: settings.child_processes + 1,
                DATABASE.name: settings.database_connections,
            },
            {
                STREAMS.name: settings.most_watchers_per_account,
                REQUESTS.name: REQUESTS.share + max(0, settings.most_watchers_per_account - STREAMS.share),
                DRAWINGS.name: settings.child_processes,
                DATABASE.name: max(1, settings.database_connections * DATABASE.share // DATABASE.most),
            },
        )
        opened = await closing.enter_async_context(opened_for_service(settings, directory, clock, places[DATABASE]))
        keys = _secret_keys(settings, directory)
        providers = configured_providers(settings, clock)

        metrics = Metrics(role=role.value, works=role.works)
        metrics.expect(_usable(providers))
        # The others may run on callers' own keys; their first job begins the rest of their series.
        metrics.expect(((model.provider, model.id) for model in providers.catalogue.models()), UNDELIVERED_CODES)
        spans = _spans(settings)
        closing.push_async_callback(spans.close)
        moves = Moves(metrics, spans)
        write_probe = WriteProbe(opened.pulse, clock, has_server=opened.shared)
        database = ObservedDatabase(opened.database, moves.moved, metrics.writes.observe, write_probe.ended)
        client = HttpClient(
            allow={sink: getattr(settings.net_allow, sink.value) for sink in Sink}, lookups=places[LOOKUPS]
        )
        closing.push_async_callback(client.close)
        box = Box()
        closing.callback(box.close)

        storage = await closing.enter_async_context(
            opened_storage(settings, directory.storage, directory.scratch, clock)
        )
        if opened.shared and settings.storage_url is None:
            await check_folder_is_shared(directory.storage, database)
        decoder = Decoder(storage, box, places)
        input_store = InputStore(database)
        terms = Terms(
            quota_bytes=settings.input_quota_bytes, grace_s=settings.input_grace_s, upload_s=settings.upload_keep_s
        )
        adapters = providers.open(
            Parts(client=client, clock=clock, box=box, drawings=places[DRAWINGS], scratch=directory.scratch)
        )
        for adapter in adapters.values():
            closing.push_async_callback(adapter.close)
        default_limits = Limits(**settings.limits.model_dump())
        webhooks = WebhookStore(database)
        yield Foundation(
            settings=settings,
            directory=directory,
            clock=clock,
            keys=keys,
            database=database,
            pulse=opened.pulse,
            write_probe=write_probe,
            shared=opened.shared,
            metrics=metrics,
            spans=spans,
            moves=moves,
            client=client,
            box=box,
            decoder=decoder,
            storage=storage,
            input_store=input_store,
            inputs=Inputs(
                input_store,
                storage,
                client,
                decoder,
                terms,
                places[INPUT_CONNECTIONS],
                FreeSpace(directory.storage if settings.storage_url is None else None),
            ),
            providers=providers,
            adapters=adapters,
            sealer=Sealer(keys.derive("byok")),
            default_limits=default_limits,
            jobs=JobStore(database, default_limits, deleting=before_deletion),
            history=HistoryStore(database),
            webhooks=webhooks,
            signing_secrets=SigningSecrets(webhooks, Sealer(keys.derive("webhooks")), clock),
            sender=ObservedSender(client, clock, metrics, spans, attempt_s=settings.webhook_timeout_s),
            places=places,
        )


def _secret_keys(settings: Settings, directory: DataDirectory) -> SecretKeys:
    if settings.secret_keys is not None:
        return secret_keys.parse(settings.secret_keys.get_secret_value())
    return secret_keys.load_or_create(directory.secret_key)


def _spans(settings: Settings) -> Spans:
    if not settings.tracing:
        return NoSpans()
    # Imported only here: it is an extra, and takes a tenth of a second.
    from rushes.telemetry.opentelemetry import OpenTelemetrySpans

    return OpenTelemetrySpans()


def _usable(providers: Providers) -> Sequence[tuple[str, str]]:
    """The provider and id of each model that the operator's credentials reach."""
    return [
        (model.provider, model.id)
        for model in providers.catalogue.models()
        if providers.keyring.of(model.provider) or not providers.keyring.needs_key(model.provider)
    ]


def _most_connections() -> int:
    """What is declared, or less where the system allows the process few open files: outgoing ones need some too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS.most if soft == resource.RLIM_INFINITY else min(CONNECTIONS.most, soft * 3 // 4)
