"""Brings a database's schema up to date, and refuses one that a newer rushes has moved beyond this one.

A release may run on the schema of a later one, as long as no step after its own took anything away that it needs.
The database says so itself: its `schema_floor` is the oldest version that a process must know to run on it. A step
raises it by declaring `floor` beside its `revision` (docs/design/upgrades.md).

Alembic and SQLAlchemy cost a third of a second and 25 MB to import, so they are loaded only when a step is due; a new
file is made from `migrations/sqlite.sql`, the schema that all steps together make (`make docs` writes it, a test
compares the two).
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rushes.db.database import Database
from rushes.errors import StartupError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

MIGRATION_LOCK = 0x72757368
"""Which of the database's advisory locks says that a process migrates: a number of our own, "rush" in ASCII."""

LOCK_S = 1.0
"""How long a step waits for a table that others use. Later requests wait behind it, so it gives way soon."""
LOCK_PAUSE_S = 0.5
LOCK_TRIES = 40

LOCKED_OUT = frozenset({"55P03", "40P01"})
"""Postgres: a lock was not had in time, or two waited for each other."""

SNAPSHOT = resources.files("rushes.db") / "migrations" / "sqlite.sql"

READ_FLOOR = "SELECT version FROM schema_floor"


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database says of its schema.

    `version` None: it has none yet; `floor` None: no older release may run on it.
    """

    version: str | None = None
    floor: str | None = None

    @property
    def is_from_the_future(self) -> bool:
        """Whether a newer release has written it."""
        return self.version is not None and self.version not in known_versions()

    @property
    def due(self) -> Sequence[str]:
        """The steps that it lacks, oldest first, by name."""
        return () if self.is_from_the_future else [name for name in _steps_known() if name[:4] > (self.version or "")]


@dataclass(frozen=True, slots=True)
class Migrated:
    """From which version to which a schema was brought; None: it had no schema."""

    before: str | None
    after: str


def known_versions() -> list[str]:
    """The versions that this release knows, oldest first: the numbers that the files in `migrations/versions` carry."""
    return [name[:4] for name in _steps_known()]


@functools.cache
def _steps_known() -> tuple[str, ...]:
    folder = resources.files("rushes.db") / "migrations" / "versions"
    return tuple(sorted(entry.name.removesuffix(".py") for entry in folder.iterdir() if entry.name.endswith(".py")))


def check_current(schema: Schema, what: str) -> None:
    """Raises StartupError if steps are due in `what`."""
    if not schema.due:
        return
    newest = known_versions()[-1]
    found = (
        f"has the schema of an older rushes ({schema.version}, this one needs {newest})"
        if schema.version is not None
        else f"has no schema yet (this rushes needs {newest})"
    )
    raise StartupError(f"{what} {found}; run `rushes migrate` of this release first")


def check_of_this_release(schema: Schema, what: str) -> None:
    """Raises StartupError if `what` is older or newer than this release, which knows all of its columns only then."""
    check_current(schema, what)
    if schema.is_from_the_future:
        raise StartupError(
            f"{what} has the schema of a newer rushes ({schema.version}, this one knows up to {known_versions()[-1]}); "
            "run the command of that release"
        )


async def outgrown(database: Database) -> str | None:
    """Why this release may work on the database no more, if a newer one has moved on while we ran; else None.

    Raises DatabaseUnavailable.
    """
    rows = await database.read(READ_FLOOR)
    newest = known_versions()[-1]
    if not rows or rows[0]["version"] <= newest:
        return None
    return f"the database was upgraded for schema {rows[0]['version']} or newer, and this rushes knows up to {newest}"


def is_current(path: Path) -> bool:
    """Whether the database at `path` exists, and this release can work on it as it is."""
    try:
        return not read_sqlite(path).due
    except StartupError:
        return False


def read_sqlite(path: Path) -> Schema:
    """The schema of the database at `path`, which need not be there.

    Raises StartupError if it is no database, or beyond this release.
    """
    if not path.exists():
        return Schema()
    try:
        with closing(sqlite3.connect(path)) as connection:
            tables = "SELECT name FROM sqlite_master WHERE name IN ('alembic_version', 'schema_floor')"
            found = {row[0] for row in connection.execute(tables)}
            version = _first(connection, "SELECT version_num FROM alembic_version", "alembic_version" in found)
            schema = Schema(version, _first(connection, READ_FLOOR, "schema_floor" in found))
    except sqlite3.Error as exc:
        raise StartupError(f"'{path}' cannot be read as a rushes database: {exc}") from exc
    _refuse_outgrown(schema, f"'{path}'", "data directory")
    return schema


def _first(connection: sqlite3.Connection, query: str, is_there: bool) -> str | None:
    row = connection.execute(query).fetchone() if is_there else None
    return None if row is None else str(row[0])


def migrate_sqlite(path: Path) -> Migrated:
    """Create or upgrade the database at `path`. Call it holding the data directory's lock.

    Raises StartupError if the file belongs to a newer release, or cannot be read or written.
    """
    schema = read_sqlite(path)
    if schema.due:
        if schema.version is None:
            _create(path)
        else:
            upgrade_sqlite(path)
    return Migrated(schema.version, _version(read_sqlite(path)))


def schema_of(path: Path) -> str:
    """Everything in the database's schema as one script, which also marks it with its version and floor."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        statements = [row[0] for row in rows]
    schema = read_sqlite(path)
    marks = [
        f"INSERT INTO schema_floor (version) VALUES ('{schema.floor}')",  # noqa: S608 - our own number
        f"INSERT INTO alembic_version (version_num) VALUES ('{schema.version}')",  # noqa: S608 - likewise
    ]
    kept = [statement for statement in statements if "sqlite_sequence" not in statement]
    return "".join(f"{statement};\n" for statement in [*kept, *marks])


def _create(path: Path) -> None:
    script = SNAPSHOT.read_text(encoding="utf-8")
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}COMMIT;")
    except sqlite3.Error as exc:
        raise StartupError(f"the database could not be brought up to date: {exc}") from exc


def upgrade_sqlite(path: Path) -> None:
    """Run every step that the database lacks, all in one transaction. Raises StartupError."""
    from alembic import command
    from sqlalchemy import URL, create_engine, event
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    # Left to itself, the driver commits each CREATE TABLE by itself, and a crash between two leaves a file that
    # no later start can finish.
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            command.upgrade(_steps(connection), "head")
    except SQLAlchemyError as exc:
        raise StartupError(f"the database could not be brought up to date: {exc.__cause__ or exc}") from exc
    finally:
        engine.dispose()


async def read_postgres(url: str) -> Schema:
    """The schema of the database at `url`.

    Raises StartupError if it is beyond this release, DatabaseUnavailable if it cannot be had.
    """
    from rushes.db.postgres import connect
    from rushes.db.postgres_connect import check_sessions

    await check_sessions(url)
    connection = await connect(url, name="rushes migration")
    try:
        version = await _value(connection, "alembic_version", "SELECT version_num FROM alembic_version")
        schema = Schema(version, await _value(connection, "schema_floor", READ_FLOOR))
    finally:
        await connection.close()
    _refuse_outgrown(schema, "the database", "database")
    return schema


async def migrate_postgres(url: str) -> Migrated:
    """Create or upgrade the schema of the database at `url`, which other processes may be using or migrating.

    Raises StartupError if it belongs to a newer release or cannot be changed, DatabaseUnavailable if it cannot be had.
    """
    schema = await read_postgres(url)
    if schema.due:
        await _upgrade_postgres(url)
    # Read again: a newer release may have been faster, and have gone further.
    return Migrated(schema.version, _version(await read_postgres(url)))


async def _value(connection: Any, table: str, query: str) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return None
    found = await connection.fetchval(query)
    return None if found is None else str(found)


async def _upgrade_postgres(url: str) -> None:
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    from rushes.db.postgres import connect

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(url, name="rushes migration"), poolclass=NullPool
    )
    try:
        for _ in range(LOCK_TRIES):
            try:
                async with engine.begin() as connection:
                    # Held until the steps are committed: of processes that start at once, one does them, others wait.
                    await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
                    await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_S * 1000:.0f}")
                    await connection.run_sync(_upgrade)
                    return
            except SQLAlchemyError as exc:
                cause = getattr(exc, "orig", None) or exc
                if getattr(cause, "sqlstate", None) not in LOCKED_OUT:
                    raise StartupError(f"the database could not be brought up to date: {cause}") from exc
            await asyncio.sleep(LOCK_PAUSE_S)
    finally:
        await engine.dispose()
    raise StartupError(
        "the database could not be brought up to date, because others keep its tables locked (say, a backup or a long "
        "query); nothing was changed, so try again when they are done"
    )


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    # Read again, for the process that had the lock before may have been of another release.
    version = MigrationContext.configure(connection).get_current_revision()
    if not Schema(version).is_from_the_future:
        command.upgrade(_steps(connection), "head")


def _steps(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "rushes.db:migrations")
    config.attributes["connection"] = connection
    return config


def _version(schema: Schema) -> str:
    assert schema.version is not None, "a schema that was migrated has a version"
    return schema.version


def _refuse_outgrown(schema: Schema, what: str, instead: str) -> None:
    newest = known_versions()[-1]
    if schema.is_from_the_future and (schema.floor is None or schema.floor > newest):
        raise StartupError(
            f"{what} was written by a newer version of rushes (schema {schema.version}, this one knows up to {newest})"
            f"; upgrade rushes, or use another {instead}"
        )
