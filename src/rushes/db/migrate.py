"""Brings a database's schema up to date, and refuses one that a newer rushes has written.

Alembic and SQLAlchemy cost a quarter of a second and 25 MB to import, so they are loaded only when a step is due.
"""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

from rushes.errors import StartupError


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
    _upgrade(f"sqlite:///{path}")


def _version_of(path: Path) -> str | None:
    if not path.exists():
        return None
    connection = sqlite3.connect(path)
    try:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if found else None
    finally:
        connection.close()
    return str(row[0]) if row else None


def _upgrade(url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", "rushes.db:migrations")
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as exc:
        raise StartupError(f"the database could not be brought up to date: {exc.__cause__ or exc}") from exc
    finally:
        engine.dispose()
