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

from rushes.errors import StartupError

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
    if version is not None and version not in known:
        raise StartupError(
            f"'{path}' was written by a newer version of rushes (schema {version}, this one knows up to {known[-1]}); "
            "upgrade rushes, or use another data directory"
        )
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
    from alembic.config import Config
    from sqlalchemy import URL, create_engine, event
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", "rushes.db:migrations")
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    # Left to itself, the driver commits each CREATE TABLE by itself, and a crash between two leaves a file that
    # no later start can finish.
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as exc:
        raise StartupError(f"the database could not be brought up to date: {exc.__cause__ or exc}") from exc
    finally:
        engine.dispose()
