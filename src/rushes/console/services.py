"""What the console's pages use, wired in app/."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from rushes.accounts.account_settings import AccountSettingStore
from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.limits import Limits, LimitStore
from rushes.accounts.people import PeopleStore
from rushes.accounts.rate import RateLimiter
from rushes.accounts.revocations import Revocations
from rushes.accounts.sessions import SessionStore
from rushes.audit.store import AuditStore
from rushes.catalogue.load import Catalogue
from rushes.clock import Clock
from rushes.engine.breaker import Circuit, CircuitHealth
from rushes.engine.credential_pool import CredentialHealth
from rushes.identity.provider import IdentityProvider
from rushes.jobs.admission import Allowances
from rushes.jobs.events.store import HistoryStore
from rushes.jobs.events.waiters import Watching
from rushes.jobs.service import JobService
from rushes.media.inputs import Inputs
from rushes.media.storage import Storage
from rushes.money.spend_limits import SpendingStore
from rushes.money.usage import UsageStore
from rushes.operations.decisions import Decisions
from rushes.operations.needs_operator import NeedsOperatorStore
from rushes.sealing import Sealer
from rushes.telemetry.store import TelemetryStore
from rushes.views.signed_links import Links
from rushes.webhooks.service import WebhookService


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """`session_s` is how long a session lasts. `media_origin` is the other origin that links to videos lead to, if any.

    `ready` answers None, or one sentence on what is wrong with this process; `breakers` are the circuits of this
    process that have seen trouble, `credentials` the operator's own as this process has met them.
    """

    sessions: SessionStore
    keys: KeyStore
    accounts: AccountStore
    limits: LimitStore
    settings: AccountSettingStore
    audit: AuditStore
    people: PeopleStore
    identity: IdentityProvider | None
    sign_in_sealer: Sealer
    default_limits: Limits
    allowances: Allowances
    spending: SpendingStore
    rates: RateLimiter
    jobs: JobService
    history: HistoryStore
    watching: Watching
    revocations: Revocations
    inputs: Inputs
    storage: Storage
    usage: UsageStore
    webhooks: WebhookService
    catalogue: Catalogue
    served_apis: Mapping[str, str | None]
    links: Links
    needs_operator: NeedsOperatorStore
    decisions: Decisions
    telemetry: TelemetryStore
    breakers: Callable[[], Mapping[Circuit, CircuitHealth]]
    credentials: Callable[[], Sequence[CredentialHealth]]
    ready: Callable[[], Awaitable[str | None]]
    clock: Clock
    session_s: float
    media_origin: str | None
