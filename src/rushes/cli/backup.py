"""`rushes backup`: a copy of an embedded service's data directory, made beside the running service."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import DataDir
from rushes.errors import StartupError

if TYPE_CHECKING:
    from rushes.data_directory import DataDirectory


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="The directory to make; it must not be there yet.")],
    data_dir: DataDir = None,
) -> None:
    """Copy the data directory, also while a service uses it. The copy is whole: `--data-dir TO` can serve it."""
    from rushes.data_directory import DataDirectory
    from rushes.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    directory = DataDirectory(settings.data_dir)
    if settings.database_url is not None:
        raise StartupError(
            "RUSHES_DATABASE_URL names a Postgres server: back that up by pg_dump, and then the files "
            "(docs/operating/backup.md)"
        )
    if not directory.database.exists():
        raise StartupError(f"there is no database in '{settings.data_dir}'; name its directory with --data-dir")
    unfinished = to.with_name(f"{to.name}.unfinished")
    for path in (to, unfinished):
        if path.exists():
            raise StartupError(f"'{path}' is there already; name a new directory, or remove it")
    try:
        files = _copy(directory, unfinished)
        unfinished.rename(to)
    except OSError as exc:
        raise StartupError(f"the backup was not made: {exc}; remove '{unfinished}' before the next try") from exc
    typer.echo(f"'{to}' holds the database and {files} files", err=True)
    if settings.storage_url is not None:
        typer.echo("What is stored in S3 is not in it.", err=True)
    if settings.secret_keys is not None:
        typer.echo("RUSHES_SECRET_KEYS is not in it, and without it nothing secret can be read: keep it too.", err=True)


def _copy(directory: DataDirectory, to: Path) -> int:
    from rushes.db.snapshot import snapshot_sqlite
    from rushes.media.copies import copy_files

    to.mkdir(mode=0o700, parents=True)
    # First the database: what it names was stored before it was named, so every video of the copy is copied too.
    snapshot_sqlite(directory.database, to / directory.database.name)
    if directory.secret_key.exists():
        shutil.copy2(directory.secret_key, to / directory.secret_key.name)
    files = copy_files(directory.storage, to / directory.storage.name)
    os.sync()
    return files
