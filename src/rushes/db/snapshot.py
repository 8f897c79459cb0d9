"""A consistent copy of the embedded database, made beside a running service."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from rushes.errors import StartupError


def snapshot_sqlite(path: Path, copy: Path) -> None:
    """Write the database at `path`, as it is at one moment, to `copy`, a new file. A service goes on writing meanwhile.

    The copy is on the disk only after a sync. Raises StartupError.
    """
    try:
        # One statement, and so one view of the database: copying page by page begins anew with every write of others.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as exc:
        raise StartupError(f"the database '{path}' could not be copied to '{copy}': {exc}") from exc
