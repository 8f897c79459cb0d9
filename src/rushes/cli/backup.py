"""`rushes backup`: copy the data directory of an embedded service, also while it runs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import DataDir
from rushes.errors import StartupError

if TYPE_CHECKING:
    from rushes.data_directory import DataDirectory


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="The directory to create; it must not exist.")],
    data_dir: DataDir = None,
) -> None:
    """Copy the data directory, also while a service uses it. `rushes serve --data-dir TO` can run on the copy."""
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
            raise StartupError(f"'{path}' exists; name a new directory, or remove it")
    try:
        files = _copy(directory, unfinished)
        unfinished.rename(to)
    except OSError as exc:
        raise StartupError(f"the backup was not made: {exc}; remove '{unfinished}' before you try again") from exc
    print(f"'{to}' holds the database and {files} files", file=sys.stderr)
    if settings.storage_url is not None:
        print("The files in S3 are not in it.", file=sys.stderr)
    if settings.secret_keys is not None:
        print("RUSHES_SECRET_KEYS is not in it. Keep it too: sealed secrets need it.", file=sys.stderr)


def _copy(directory: DataDirectory, to: Path) -> int:
    from rushes.db.snapshot import snapshot_sqlite
    from rushes.media.copies import copy_files

    to.mkdir(mode=0o700, parents=True)
    # The database first: a video is stored before the database names it, so each video of the copy is copied too.
    snapshot_sqlite(directory.database, to / directory.database.name)
    if directory.secret_key.exists():
        shutil.copy2(directory.secret_key, to / directory.secret_key.name)
    files = copy_files(directory.storage, to / directory.storage.name)
    os.sync()
    return files
