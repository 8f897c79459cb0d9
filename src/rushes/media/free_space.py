"""The part of a disk that input files leave free, so that no account's uploads stop results or the database."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from rushes.errors import StorageUnavailable

MOST_KEPT_BYTES: Final = 1024**3
KEPT_PART: Final = 20
"""A twentieth of the disk is kept free, where that is less."""
RETRY_AFTER_S: Final = 60.0


class FreeSpace:
    """The disk that input files are stored on; `folder` is anywhere on it, None for a bucket."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    async def check(self, size_bytes: int = 0) -> None:
        """Raise StorageUnavailable if a file of this size would take of what is kept free."""
        if self._folder is None:
            return
        # In a thread: a network disk may not answer.
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._folder)
        except OSError:
            # A disk that cannot say will refuse the file by itself.
            return
        if usage.free - size_bytes < min(MOST_KEPT_BYTES, usage.total // KEPT_PART):
            raise StorageUnavailable(
                "The disk is nearly full, and what is left is kept for videos; try again later",
                retry_after_s=RETRY_AFTER_S,
            )
