"""What short commands work with, on a database whose service may or may not be running."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rushes.accounts.account_settings import AccountSettingStore
from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.limits import LimitStore
from rushes.accounts.sessions import SessionStore
from rushes.app.databases import has_database, opened_for_command
from rushes.audit.store import AuditStore
from rushes.catalogue.load import Catalogue
from rushes.clock import SystemClock
from rushes.data_directory import DataDirectory
from rushes.jobs.guardrail.store import GuardStore
from rushes.money.spend_limits import SpendingStore
from rushes.money.usage import UsageStore
from rushes.operations.abort import AbortStore
from rushes.operations.decisions import Decisions
from rushes.operations.needs_operator import NeedsOperatorStore
from rushes.operations.recovery import Recovery, RecoveryStore
from rushes.operations.settlement import SettlementStore
from rushes.settings import Settings


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[KeyStore]:
    """The API keys: before, beside or after a running service. Raises StartupError."""
    async with opened_for_command(settings, DataDirectory(settings.data_dir), SystemClock()) as database:
        yield KeyStore(database)


@asynccontextmanager
async def opened_console_access(settings: Settings) -> AsyncIterator[tuple[KeyStore, SessionStore]]:
    """The API keys and the sign-in links of the console, also beside a running service. Raises StartupError."""
    async with opened_for_command(settings, DataDirectory(settings.data_dir), SystemClock()) as database:
        yield KeyStore(database), SessionStore(database)


@dataclass(frozen=True, slots=True)
class Administration:
    """What an operator governs accounts with."""

    accounts: AccountStore
    keys: KeyStore
    limits: LimitStore
    settings: AccountSettingStore
    models: Callable[[], Catalogue]
    """The catalogue; reading it takes a while, so only when it is asked for."""


@asynccontextmanager
async def opened_administration(settings: Settings) -> AsyncIterator[Administration]:
    """Accounts, keys and limits: before, beside or after a running service. Raises StartupError."""
    async with opened_for_command(settings, DataDirectory(settings.data_dir), SystemClock()) as database:
        yield Administration(
            AccountStore(database),
            KeyStore(database),
            LimitStore(database),
            AccountSettingStore(database),
            lambda: _catalogue(settings),
        )


def _catalogue(settings: Settings) -> Catalogue:
    from rushes.app.providers import configured_providers

    return configured_providers(settings, SystemClock()).catalogue


@asynccontextmanager
async def opened_audit(settings: Settings) -> AsyncIterator[AuditStore]:
    """The audit log, also beside a running service. Raises StartupError."""
    async with opened_for_command(settings, DataDirectory(settings.data_dir), SystemClock()) as database:
        yield AuditStore(database)


@asynccontextmanager
async def opened_guardrail_records(settings: Settings) -> AsyncIterator[GuardStore]:
    """What the guardrail has blocked and rewritten, also beside a running service. Raises StartupError."""
    async with opened_for_command(settings, DataDirectory(settings.data_dir), SystemClock()) as database:
        yield GuardStore(database)


@asynccontextmanager
async def opened_recovery(settings: Settings) -> AsyncIterator[Recovery]:
    """What an operator can do for failed jobs, also beside a running service. Raises StartupError."""
    from rushes.app.providers import configured_providers
    from rushes.net.client import HttpClient
    from rushes.providers.declaration import Parts

    directory = DataDirectory(settings.data_dir)
    async with opened_for_command(settings, directory, SystemClock()) as database:
        clock = SystemClock()
        parts = Parts(client=HttpClient(), clock=clock, scratch=directory.scratch)
        adapters = configured_providers(settings, clock).open(parts)
        yield Recovery(RecoveryStore(database), adapters)


@asynccontextmanager
async def opened_decisions(settings: Settings) -> AsyncIterator[Decisions]:
    """The jobs that need an operator, and what can be decided on them. Raises StartupError."""
    from rushes.app.providers import configured_providers
    from rushes.net.client import HttpClient
    from rushes.providers.declaration import Parts

    directory = DataDirectory(settings.data_dir)
    async with opened_for_command(settings, directory, SystemClock()) as database:
        clock = SystemClock()
        parts = Parts(client=HttpClient(), clock=clock, scratch=directory.scratch)
        adapters = configured_providers(settings, clock).open(parts)
        yield Decisions(
            NeedsOperatorStore(database),
            Recovery(RecoveryStore(database), adapters),
            SettlementStore(database),
            AbortStore(database),
        )


@asynccontextmanager
async def opened_aborting(settings: Settings) -> AsyncIterator[tuple[AbortStore, bool]]:
    """Where an operator ends jobs, and whether a service runs that will act on it. Raises StartupError."""
    directory = DataDirectory(settings.data_dir)
    async with opened_for_command(settings, directory, SystemClock()) as database:
        aborting = AbortStore(database)
        # A directory that several services share tells nothing of what runs on the database.
        is_served = directory.is_locked() if settings.database_url is None else await aborting.has_worker()
        yield aborting, is_served


@asynccontextmanager
async def opened_limits(settings: Settings) -> AsyncIterator[tuple[LimitStore, SpendingStore]]:
    """The limits, and how they stand; also beside a running service. Raises StartupError."""
    async with opened_for_command(settings, DataDirectory(settings.data_dir), SystemClock()) as database:
        yield LimitStore(database), SpendingStore(database)


@asynccontextmanager
async def opened_settlement(settings: Settings) -> AsyncIterator[SettlementStore]:
    """The operator's side of the ledger, also beside a running service. Raises StartupError."""
    async with opened_for_command(settings, DataDirectory(settings.data_dir), SystemClock()) as database:
        yield SettlementStore(database)


@asynccontextmanager
async def opened_usage(settings: Settings) -> AsyncIterator[UsageStore | None]:
    """What the accounts have used, also beside a running service; None where there is no database yet."""
    directory = DataDirectory(settings.data_dir)
    if not has_database(settings, directory):
        yield None
        return
    async with opened_for_command(settings, directory, SystemClock()) as database:
        yield UsageStore(database)
