"""Brings a database's schema up to date, and refuses one that a newer rushes has written.

Alembic and SQLAlchemy cost a third of a second and 25 MB to import, so they are loaded only when a step is due; a new
file is made from `migrations/sqlite.sql`, the schema that all steps together make (`make docs` writes it, a test
compares the two).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rushes.errors import StartupError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

MIGRATION_LOCK = 0x72757368
"""Which of the database's advisory locks says that somebody migrates: a number of our own, "rush" in ASCII."""

SNAPSHOT = resources.files("rushes.db") / "migrations" / "sqlite.sql"


def known_versions() -> list[str]:
    """The versions that this release knows, oldest first: the numbers that the files in `migrations/versions` carry."""
    folder = resources.files("rushes.db") / "migrations" / "versions"
    return sorted(entry.name[:4] for entry in folder.iterdir() if entry.name.endswith(".py"))


def is_current(path: Path) -> bool:
    """Whether the database at `path` exists and needs no migration by this release."""
    try:
        return _version_of(path) == known_versions()[-1]
    except sqlite3.Error:
        return False


def migrate_sqlite(path: Path) -> None:
    """Create or upgrade the database at `path`. Call it holding the data directory's lock.

    Raises StartupError if the file belongs to a newer release, or cannot be read or written.
    """
    known = known_versions()
    try:
        version = _version_of(path)
    except sqlite3.Error as exc:
        raise StartupError(f"'{path}' cannot be read as a rushes database: {exc}") from exc
    if version == known[-1]:
        return
    _refuse_newer(version, f"'{path}'", "data directory")
    if version is None:
        _create(path)
    else:
        upgrade_sqlite(path)


def schema_of(path: Path) -> str:
    """Everything in the database's schema as one script, which also marks it with its version."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        statements = [row[0] for row in rows]
        version = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    mark = f"INSERT INTO alembic_version (version_num) VALUES ('{version}')"  # noqa: S608 - our own number
    kept = [statement for statement in statements if "sqlite_sequence" not in statement]
    return "".join(f"{statement};\n" for statement in [*kept, mark])


def _create(path: Path) -> None:
    script = SNAPSHOT.read_text(encoding="utf-8")
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}COMMIT;")
    except sqlite3.Error as exc:
        raise StartupError(f"the database could not be brought up to date: {exc}") from exc


def _version_of(path: Path) -> str | None:
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if found else None
    return str(row[0]) if row else None


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


async def migrate_postgres(url: str, *, upgrade: bool = True) -> None:
    """Create or upgrade the schema of the database at `url`, which other processes may be doing at the same time.

    Without `upgrade` a schema of an older release is refused, and only an empty database gets one. Raises StartupError
    if it belongs to a newer release or cannot be changed, DatabaseUnavailable if it cannot be had.
    """
    from rushes.db.postgres import connect

    connection = await connect(url, name="rushes migration")
    try:
        version = await _version_on(connection)
    finally:
        await connection.close()
    if version == known_versions()[-1]:
        return
    _refuse_newer(version, "the database", "database")
    if version is not None and not upgrade:
        raise StartupError(
            f"the database has the schema of an older rushes ({version}, this one needs {known_versions()[-1]}); "
            "start `rushes serve` of this release to upgrade it, or use this command of the older one"
        )
    await _upgrade_postgres(url)


async def _version_on(connection: Any) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found = await connection.fetchval("SELECT version_num FROM alembic_version")
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
        async with engine.begin() as connection:
            # Held until the steps are committed: of processes that start at once, one does them and the others wait.
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            await connection.run_sync(_upgrade)
    except SQLAlchemyError as exc:
        cause = getattr(exc, "orig", None) or exc
        raise StartupError(f"the database could not be brought up to date: {cause}") from exc
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    # Read again, for whoever had the lock before us may have been of another release.
    _refuse_newer(MigrationContext.configure(connection).get_current_revision(), "the database", "database")
    command.upgrade(_steps(connection), "head")


def _steps(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "rushes.db:migrations")
    config.attributes["connection"] = connection
    return config


def _refuse_newer(version: str | None, what: str, instead: str) -> None:
    known = known_versions()
    if version is not None and version not in known:
        raise StartupError(
            f"{what} was written by a newer version of rushes (schema {version}, this one knows up to {known[-1]}); "
            f"upgrade rushes, or use another {instead}"
        )
