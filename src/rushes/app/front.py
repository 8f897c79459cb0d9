"""The half of the service that answers: what the HTTP surfaces delegate to."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp

from rushes.accounts.account_settings import AccountSettingStore
from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.limits import LimitStore
from rushes.accounts.people import PeopleStore
from rushes.accounts.rate import RateLimiter
from rushes.accounts.revocations import Revocations
from rushes.accounts.tokens import TokenSigner
from rushes.accounts.user_rate import UserRates
from rushes.api.application import build_http
from rushes.api.mcp.endpoint import Endpoint
from rushes.api.mcp.hosts import KnownHosts
from rushes.api.process_status import ProcessStatus
from rushes.api.services import Services
from rushes.app.aliases import model_aliases
from rushes.app.bootstrap import ensure_bootstrap_key
from rushes.app.console import console_of, media_origin_of
from rushes.app.discovery import Discovery
from rushes.app.foundation import Foundation
from rushes.app.guardrail import gate_of
from rushes.app.identity import identity_of
from rushes.app.live_models import ListReading
from rushes.app.own_servers import discovering
from rushes.audit.store import AuditStore
from rushes.jobs.admission import Allowances
from rushes.jobs.events.waiters import Watching
from rushes.jobs.guardrail.store import GuardStore
from rushes.jobs.routing import OnRetired, Router
from rushes.jobs.service import JobService, Policy
from rushes.media.links import LinkSigner
from rushes.media.poster import Posters
from rushes.media.upload_links import UploadLinks
from rushes.money.spend_limits import SpendingStore
from rushes.money.statement import StatementStore
from rushes.money.usage import UsageStore
from rushes.operations.abort import AbortStore
from rushes.operations.decisions import Decisions
from rushes.operations.job_list import JobListStore
from rushes.operations.needs_operator import NeedsOperatorStore
from rushes.operations.recovery import Recovery, RecoveryStore
from rushes.operations.settlement import SettlementStore
from rushes.shared_places import STREAMS, WEBHOOK_TESTS
from rushes.views.signed_links import Links
from rushes.webhooks.service import WebhookService


class Front:
    """One a process, on the foundation that it shares with the engine, if that is in this process too."""

    def __init__(self, base: Foundation, links: Links) -> None:
        self._base = base
        self._asked = discovering(base.own)
        self._keys = KeyStore(base.database)
        self._revocations = Revocations(self._keys, base.clock)
        self.watching = Watching(
            base.history,
            base.clock,
            base.places[STREAMS],
        )
        self._services = self._build(links)
        settings = base.settings
        self._mcp = Endpoint(KnownHosts(settings.public_url, settings.trusted_hosts, settings.cors_origins))
        self._media_origin: str | None = None

    @property
    def gauges(self) -> Mapping[tuple[str, str], Callable[[], float]]:
        """Numbers of this process, by name and meaning."""
        return {
            ("rushes_streams", "Event streams and waiting requests that are open"): lambda: self.watching.watchers,
        }

    def http(self, process_status: ProcessStatus) -> ASGIApp:
        """The whole API, and the console beside it."""
        settings = self._base.settings
        console = None
        if settings.console:
            console = console_of(self._base, self._services, process_status, self._media_origin)
        return build_http(
            self._services,
            process_status,
            self._base.metrics.answered,
            self._mcp,
            logs_requests=settings.log_requests,
            cors_origins=settings.cors_origins,
            keyless_per_minute=settings.keyless_requests_per_minute,
            console=console,
        )

    async def prepare(self) -> None:
        """What callers need before the first is answered. Raises StartupError."""
        await ensure_bootstrap_key(self._base.settings, self._keys, self._base.clock.now_ms())
        self._media_origin = await media_origin_of(self._base.storage)

    def loops(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What runs for as long as callers are answered."""
        base = self._base
        return (
            Discovery(base.catalogue, self._asked, base.adapters, base.keyring, base.clock).run(),
            ListReading(base.providers, base.adapters, base.clock).run(),
            self.watching.run(),
            self._revocations.run(),
            self._mcp.run(),
        )

    def _build(self, links: Links) -> Services:
        base, settings = self._base, self._base.settings
        router = Router(
            base.catalogue,
            base.keyring,
            apis=base.adapters.keys(),
            setting_names=base.providers.setting_names,
            on_retired=OnRetired(settings.on_retired),
        )
        spending = SpendingStore(base.database)
        account_settings = AccountSettingStore(base.database)
        recovery = Recovery(RecoveryStore(base.database), base.adapters)
        return Services(
            keys=self._keys,
            accounts=AccountStore(base.database),
            limits=LimitStore(base.database),
            settings=account_settings,
            audit=AuditStore(base.database),
            guardrail_records=GuardStore(base.database),
            people=PeopleStore(base.database),
            identity=identity_of(base),
            default_limits=base.default_limits,
            allowances=Allowances(base.database, base.default_limits),
            spending=spending,
            rates=RateLimiter(base.database, base.clock, base.default_limits),
            tokens=TokenSigner(base.keys.derive("tokens")),
            jobs=JobService(
                base.jobs,
                base.catalogue,
                router,
                base.inputs,
                spending,
                account_settings,
                UserRates(base.database),
                sealer=base.sealer,
                clock=base.clock,
                policy=Policy(
                    hold_s=settings.hold_s,
                    test_hold_s=settings.test_hold_s,
                    unpriced_allowed=settings.on_unpriced == "allow",
                    retention_s=settings.retention_s,
                ),
                tracing=base.spans.accepting,
                gate=gate_of(base, links),
            ),
            history=base.history,
            watching=self.watching,
            revocations=self._revocations,
            recovery=recovery,
            decisions=Decisions(
                NeedsOperatorStore(base.database),
                recovery,
                SettlementStore(base.database),
                AbortStore(base.database),
            ),
            job_list=JobListStore(base.database),
            inputs=base.inputs,
            upload_links=UploadLinks(base.database, LinkSigner(base.keys.derive("upload links"))),
            usage=UsageStore(base.database),
            webhooks=WebhookService(
                base.webhooks,
                base.signing_secrets,
                base.sender,
                base.client,
                base.clock,
                https_only=settings.webhook_https_only,
                tests=base.places[WEBHOOK_TESTS],
            ),
            statement=StatementStore(base.database),
            catalogue=base.catalogue,
            served_apis=router.apis_in_use(),
            model_aliases=model_aliases(settings, base.catalogue, self._asked),
            storage=base.storage,
            links=links,
            posters=Posters(base.storage, base.decoder),
            clock=base.clock,
            places=base.places,
        )
