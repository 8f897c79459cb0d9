"""What the routes delegate to, wired in app/front.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from rushes.accounts.account_settings import AccountSettingStore
from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.limits import Limits, LimitStore
from rushes.accounts.people import PeopleStore
from rushes.accounts.rate import RateLimiter
from rushes.accounts.revocations import Revocations
from rushes.accounts.tokens import TokenSigner
from rushes.audit.store import AuditStore
from rushes.catalogue.load import Catalogue
from rushes.clock import Clock
from rushes.identity.provider import IdentityProvider
from rushes.jobs.admission import Allowances
from rushes.jobs.events.store import HistoryStore
from rushes.jobs.events.waiters import Watching
from rushes.jobs.guardrail.store import GuardStore
from rushes.jobs.service import JobService
from rushes.media.inputs import Inputs
from rushes.media.poster import Posters
from rushes.media.storage import Storage
from rushes.media.upload_links import UploadLinks
from rushes.money.spend_limits import SpendingStore
from rushes.money.statement import StatementStore
from rushes.money.usage import UsageStore
from rushes.operations.decisions import Decisions
from rushes.operations.job_list import JobListStore
from rushes.operations.recovery import Recovery
from rushes.shared_places import SharedPlaces
from rushes.views.signed_links import Links
from rushes.webhooks.service import WebhookService


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an HTTP surface may use.

    `served_apis` has the providers that we hold credentials for, and which of a provider's APIs is in use; None
    where it has only one. `model_aliases` are the operator's own names for models, each with the `provider/ID`
    it means; OpenAI's and Google's APIs know them.
    """

    keys: KeyStore
    accounts: AccountStore
    limits: LimitStore
    settings: AccountSettingStore
    audit: AuditStore
    guardrail_records: GuardStore
    people: PeopleStore
    identity: IdentityProvider | None
    default_limits: Limits
    allowances: Allowances
    spending: SpendingStore
    rates: RateLimiter
    tokens: TokenSigner
    jobs: JobService
    history: HistoryStore
    watching: Watching
    revocations: Revocations
    recovery: Recovery
    decisions: Decisions
    job_list: JobListStore
    inputs: Inputs
    upload_links: UploadLinks
    usage: UsageStore
    webhooks: WebhookService
    statement: StatementStore
    catalogue: Catalogue
    served_apis: Mapping[str, str | None]
    model_aliases: Mapping[str, str]
    storage: Storage
    links: Links
    posters: Posters
    clock: Clock
    places: SharedPlaces


def services_of(connection: HTTPConnection) -> Services:
    """The services behind this request."""
    services: Services = connection.app.state.services
    return services
