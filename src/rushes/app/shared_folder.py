"""Proof that all processes on one database keep their files in the same folder.

Otherwise one would store videos that another cannot find and reports as gone. The folder has a file with a mark, and
the database has the mark of the folder that its first process used.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from rushes.db.database import Database
from rushes.db.marks import agreed_mark
from rushes.errors import StartupError

FILE: Final = ".folder"
NAME: Final = "storage_folder"


async def check_folder_is_shared(folder: Path, database: Database) -> None:
    """Raises StartupError if the other processes on this database use another folder."""
    path = folder / FILE
    mine = _mark_in(path)
    agreed = await agreed_mark(database, NAME, mine)
    if mine != agreed:
        raise StartupError(
            f"'{folder}' is not the folder that other processes on this database keep videos in; mount the same one "
            "for all, or keep them in a bucket (RUSHES_STORAGE_URL). If it replaces one that is lost, write "
            f"{agreed} into '{path}'"
        )


def _mark_in(path: Path) -> str:
    """The folder's mark; a new one, if it has none yet."""
    try:
        if not path.exists():
            # Written under another name and then linked: of processes that start at once the first one's stays.
            draft = path.with_name(f"{FILE}-{secrets.token_hex(8)}")
            _write_durably(draft, f"{secrets.token_hex(16)}\n")
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(draft, path)
            except OSError:
                # A share without links: its own file then. A process that reads it too early starts again.
                with contextlib.suppress(FileExistsError):
                    _write_durably(path, draft.read_text("ascii"))
            draft.unlink()
            _sync(path.parent)
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise StartupError(f"the file '{path}', which identifies the folder, cannot be read or made: {exc}") from exc


def _write_durably(path: Path, text: str) -> None:
    with path.open("x", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    # The database will name the mark for good, so a crash must not take it away here.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
