"""What short commands work with, on a data directory whose service may or may not be running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rushes.accounts.limits import LimitStore
from rushes.accounts.roster import Roster
from rushes.accounts.store import AccountStore
from rushes.clock import SystemClock
from rushes.data_directory import DataDirectory
from rushes.db.migrate import is_current, migrate_sqlite
from rushes.db.sqlite import SqliteDatabase
from rushes.errors import StartupError
from rushes.jobs.aborting import AbortStore
from rushes.jobs.recovery import Recovery, RecoveryStore
from rushes.jobs.settling import SettlementStore
from rushes.jobs.spending import SpendingStore
from rushes.jobs.usage import UsageStore
from rushes.offload import Offload
from rushes.settings import Settings

MIGRATION_WAIT_S = 10.0


@asynccontextmanager
async def opened_accounts(settings: Settings) -> AsyncIterator[AccountStore]:
    """The accounts: before, beside or after a running service. Raises StartupError."""
    async with _opened_database(DataDirectory(settings.data_dir)) as database:
        yield AccountStore(database)


@dataclass(frozen=True, slots=True)
class Administration:
    """What an operator governs accounts with."""

    roster: Roster
    keys: AccountStore
    limits: LimitStore


@asynccontextmanager
async def opened_administration(settings: Settings) -> AsyncIterator[Administration]:
    """Accounts, keys and limits: before, beside or after a running service. Raises StartupError."""
    async with _opened_database(DataDirectory(settings.data_dir)) as database:
        yield Administration(Roster(database), AccountStore(database), LimitStore(database))


@asynccontextmanager
async def opened_recovery(settings: Settings) -> AsyncIterator[Recovery]:
    """What an operator can do for failed jobs, also beside a running service. Raises StartupError."""
    from rushes.app.own_servers import own_servers
    from rushes.catalogue.load import load
    from rushes.net.client import HttpClient
    from rushes.providers.registry import open_providers

    directory = DataDirectory(settings.data_dir)
    async with _opened_database(directory) as database:
        adapters = open_providers(
            offload=Offload(1),
            scratch=directory.scratch,
            clock=SystemClock(),
            client=HttpClient(),
            base_url=settings.base_url,
            options=settings.provider_options,
            servers=own_servers(settings, load()),
        )
        yield Recovery(RecoveryStore(database), adapters)


@asynccontextmanager
async def opened_aborting(settings: Settings) -> AsyncIterator[tuple[AbortStore, bool]]:
    """Where an operator ends jobs, and whether a service runs that will act on it. Raises StartupError."""
    directory = DataDirectory(settings.data_dir)
    async with _opened_database(directory) as database:
        yield AbortStore(database), directory.is_locked()


@asynccontextmanager
async def opened_limits(settings: Settings) -> AsyncIterator[tuple[LimitStore, SpendingStore]]:
    """The limits, and how they stand; also beside a running service. Raises StartupError."""
    async with _opened_database(DataDirectory(settings.data_dir)) as database:
        yield LimitStore(database), SpendingStore(database)


@asynccontextmanager
async def opened_settlement(settings: Settings) -> AsyncIterator[SettlementStore]:
    """The operator's side of the ledger, also beside a running service. Raises StartupError."""
    async with _opened_database(DataDirectory(settings.data_dir)) as database:
        yield SettlementStore(database)


@asynccontextmanager
async def opened_usage(settings: Settings) -> AsyncIterator[UsageStore | None]:
    """What the accounts have used, also beside a running service; None where there is no data directory yet."""
    directory = DataDirectory(settings.data_dir)
    if not directory.database.exists():
        yield None
        return
    async with _opened_database(directory) as database:
        yield UsageStore(database)


@asynccontextmanager
async def _opened_database(directory: DataDirectory) -> AsyncIterator[SqliteDatabase]:
    directory.create()
    _bring_up_to_date(directory)
    database = SqliteDatabase(directory.database, SystemClock())
    try:
        yield database
    finally:
        await database.close()


def _bring_up_to_date(directory: DataDirectory) -> None:
    """Migrate unless that was done; never under a running service, which may be of another release."""
    if is_current(directory.database):
        return
    try:
        with directory.lock(wait_s=MIGRATION_WAIT_S):
            migrate_sqlite(directory.database)
    except StartupError:
        # A service that has just started and holds the lock may have migrated meanwhile.
        if not is_current(directory.database):
            raise
