"""Which database the settings name, opened and up to date: a file in the data directory, or a Postgres server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from rushes.audit.actor import act_as_operator
from rushes.clock import Clock
from rushes.data_directory import DataDirectory
from rushes.db.database import Database
from rushes.db.migrate import (
    Migrated,
    Schema,
    check_current,
    check_of_this_release,
    is_current,
    migrate_postgres,
    migrate_sqlite,
    read_postgres,
    read_sqlite,
)
from rushes.db.transfer import services_on, unfinished_from
from rushes.errors import DatabaseUnavailable, StartupError
from rushes.settings import Settings
from rushes.shared_places import SharedPlace

LOCK_WAIT_S = 2.0
MIGRATION_WAIT_S = 10.0
TRANSFER_STATEMENT_S = 120.0
"""How long one page of a transfer may take: nothing else waits for the database meanwhile."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database. `pulse` is a way to it that never waits behind the rest.

    `shared` says that other processes may be working on its jobs.
    """

    database: Database
    pulse: Database
    shared: bool


@asynccontextmanager
async def opened_for_service(
    settings: Settings, directory: DataDirectory, clock: Clock, place: SharedPlace | None = None
) -> AsyncIterator[Opened]:
    """The database of a service, brought up to date unless the settings leave that to `rushes migrate`.

    An embedded one belongs to this process alone. At the connections to a server, accounts take turns in `place`.

    Raises StartupError.
    """
    directory.create()
    url = _url(settings)
    # Processes on Postgres may share the directory's files, but not with one that has its database there.
    with directory.lock(wait_s=LOCK_WAIT_S, shared=url is not None):
        if url is None:
            from rushes.db.sqlite import SqliteDatabase

            if settings.migrate_on_start:
                migrate_sqlite(directory.database)
            else:
                _check_sqlite(directory)
            embedded = SqliteDatabase(directory.database, clock)
            opened = Opened(embedded, embedded, shared=False)
        else:
            from rushes.db.postgres import PULSE, PULSE_NAME, PostgresDatabase

            await (_migrate_postgres(url) if settings.migrate_on_start else _check_postgres(url))
            database = _postgres(settings, url, place)
            pulse = PostgresDatabase(url, PULSE, name=PULSE_NAME)
            pulse.guard()
            opened = Opened(database, pulse, shared=True)
        try:
            await _check_whole(opened.database)
            yield opened
        finally:
            await opened.database.close()
            await opened.pulse.close()


@asynccontextmanager
async def opened_for_command(settings: Settings, directory: DataDirectory, clock: Clock) -> AsyncIterator[Database]:
    """The database for a short command: before, beside or after a running service. Raises StartupError."""
    database: Database
    url = _url(settings)
    if url is not None:
        # Not upgraded: that is for services and `rushes migrate`. An empty one has no service that it could disturb.
        if (await _read_postgres(url)).version is None:
            await _migrate_postgres(url)
        else:
            await _check_postgres(url)
        database = _postgres(settings, url)
    else:
        from rushes.db.sqlite import SqliteDatabase

        directory.create()
        _bring_up_to_date(settings, directory)
        database = SqliteDatabase(directory.database, clock)
    try:
        await _check_whole(database)
        act_as_operator()
        yield database
    finally:
        await database.close()


async def _check_whole(database: Database) -> None:
    """Raises StartupError for a database into which `rushes move` has not copied everything yet."""
    source = await unfinished_from(database)
    if source is not None:
        raise StartupError(f"the move of {source} into this database is not finished; run the same `rushes move` again")


@asynccontextmanager
async def opened_as_source(settings: Settings, directory: DataDirectory, clock: Clock) -> AsyncIterator[Database]:
    """The database that `rushes move` reads, while no service uses it. Nothing in it is changed.

    Raises StartupError.
    """
    url = _url(settings)
    if url is None:
        if not directory.database.exists():
            raise StartupError(f"there is no database in '{directory.root}'; name its directory with --data-dir")
        from rushes.db.sqlite import SqliteDatabase

        with directory.lock(wait_s=LOCK_WAIT_S):
            check_of_this_release(read_sqlite(directory.database), f"the source, '{directory.database}',")
            database: Database = SqliteDatabase(directory.database, clock)
            try:
                await _check_whole(database)
                yield database
            finally:
                await database.close()
        return
    check_of_this_release(await _read_postgres(url), "the source")
    database = _postgres_for_transfer(url)
    try:
        await _check_unused(database, url)
        await _check_whole(database)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened_as_target(settings: Settings, directory: DataDirectory, clock: Clock) -> AsyncIterator[Database]:
    """The database that `rushes move` fills, with the schema of this release, while no service uses it.

    Raises StartupError.
    """
    url = _url(settings)
    if url is None:
        from rushes.db.sqlite import SqliteDatabase

        directory.create()
        with directory.lock(wait_s=LOCK_WAIT_S):
            migrate_sqlite(directory.database)
            check_of_this_release(read_sqlite(directory.database), f"the target, '{directory.database}',")
            database: Database = SqliteDatabase(directory.database, clock)
            try:
                yield database
            finally:
                await database.close()
        return
    await _migrate_postgres(url)
    check_of_this_release(await _read_postgres(url), "the target")
    database = _postgres_for_transfer(url)
    try:
        await _check_unused(database, url)
        yield database
    finally:
        await database.close()


async def check_as_target(settings: Settings, directory: DataDirectory) -> None:
    """Raise StartupError if a move could not fill this database. Nothing is changed."""
    schema = await schema_found(settings, directory)
    if not schema.due:
        check_of_this_release(schema, "the target")


def place_of_database(settings: Settings, directory: DataDirectory) -> str:
    """Where the database is, without what is secret in its address. Raises StartupError."""
    from rushes.db.postgres_connect import place_of

    url = _url(settings)
    return f"'{directory.database}'" if url is None else place_of(url)


def _postgres_for_transfer(url: str) -> Database:
    from rushes.db.postgres import PoolLimits, PostgresDatabase

    limits = PoolLimits(connections=2, wait_s=TRANSFER_STATEMENT_S, statement_s=TRANSFER_STATEMENT_S)
    return PostgresDatabase(url, limits, name="rushes move")


async def _check_unused(database: Database, url: str) -> None:
    services = await services_on(database)
    if services:
        from rushes.db.postgres_connect import place_of

        raise StartupError(f"a service uses the database at {place_of(url)}; stop all of its processes first")


def has_database(settings: Settings, directory: DataDirectory) -> bool:
    """Whether there is one to open, or a server, which has one."""
    return settings.database_url is not None or directory.database.exists()


async def migrated(settings: Settings, directory: DataDirectory) -> Migrated:
    """Bring the database up to date now; an embedded one only while nothing else uses it. Raises StartupError."""
    url = _url(settings)
    if url is not None:
        return await _migrate_postgres(url)
    directory.create()
    with directory.lock(wait_s=LOCK_WAIT_S):
        return migrate_sqlite(directory.database)


async def schema_found(settings: Settings, directory: DataDirectory) -> Schema:
    """The schema that the database has now; nothing is changed. Raises StartupError."""
    url = _url(settings)
    return read_sqlite(directory.database) if url is None else await _read_postgres(url)


async def _migrate_postgres(url: str) -> Migrated:
    with _place_named(url):
        return await migrate_postgres(url)


async def _read_postgres(url: str) -> Schema:
    with _place_named(url):
        return await read_postgres(url)


async def _check_postgres(url: str) -> None:
    check_current(await _read_postgres(url), "the database")


def _check_sqlite(directory: DataDirectory) -> None:
    check_current(read_sqlite(directory.database), f"'{directory.database}'")


@contextmanager
def _place_named(url: str) -> Iterator[None]:
    """Name the database in the error when a start fails because of it."""
    from rushes.db.postgres_connect import place_of

    try:
        yield
    except DatabaseUnavailable as exc:
        raise StartupError(f"{exc.message} ({place_of(url)})") from exc


def _postgres(settings: Settings, url: str, place: SharedPlace | None = None) -> Database:
    from rushes.db.postgres import PoolLimits, PostgresDatabase

    limits = PoolLimits(
        connections=settings.database_connections,
        wait_s=settings.database_wait_s,
        statement_s=settings.database_statement_s,
    )
    return PostgresDatabase(url, limits, place=place)


def _url(settings: Settings) -> str | None:
    if settings.database_url is None:
        return None
    from rushes.db.postgres import check_url

    url = settings.database_url.get_secret_value()
    check_url(url)
    return url


def _bring_up_to_date(settings: Settings, directory: DataDirectory) -> None:
    """Migrate unless that was done; never under a running service, which may be of another release."""
    if is_current(directory.database):
        return
    if not settings.migrate_on_start and directory.database.exists():
        _check_sqlite(directory)
    try:
        with directory.lock(wait_s=MIGRATION_WAIT_S):
            migrate_sqlite(directory.database)
    except StartupError:
        # A service that has just started and holds the lock may have migrated meanwhile.
        if not is_current(directory.database):
            raise
