"""Proof that all processes on one database keep their files in the same folder.

Else one would store videos that another looks for in vain, and says are gone. The folder has a file with a mark, and
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
            draft.write_text(f"{secrets.token_hex(16)}\n", "ascii")
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise StartupError(
            f"the file '{path}', by which folders are told apart, cannot be read or made: {exc}"
        ) from exc
