"""Copies of all stored files, made beside a running service."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from rushes.media.local import stored_files


def copy_files(root: Path, to: Path) -> int:
    """Have every file that is stored below `root` below `to` as well, and say how many there are.

    On one file system they are hard links, which take no time and no room: a stored file is never changed, only
    removed. What is removed meanwhile is left out, and so is what has not arrived whole. Raises OSError.
    """
    to.mkdir(mode=0o700)
    copied = 0
    for path in stored_files(root):
        target = to / path.relative_to(root)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            _link_or_copy(path, target)
            copied += 1
    return copied


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, target)
