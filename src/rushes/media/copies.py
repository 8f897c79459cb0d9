"""Copies of all stored files, made beside a running service."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rushes.media.local import INCOMING


def copy_files(root: Path, to: Path) -> int:
    """Have every file that is stored below `root` below `to` as well, and say how many there are.

    On one file system they are hard links, which take no time and no room: a stored file is never changed, only
    removed. What is removed meanwhile is left out, and so is what has not arrived whole. Raises OSError.
    """
    to.mkdir(mode=0o700)
    copied = 0
    for path in _files(root):
        target = to / path.relative_to(root)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            _link_or_copy(path, target)
            copied += 1
    return copied


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, onerror=_refuse):
        if INCOMING in folders:
            folders.remove(INCOMING)
        yield from (Path(folder) / name for name in names)


def _refuse(error: OSError) -> None:
    # A folder that cannot be read would be left out in silence. One that was just removed does not belong in the copy.
    if not isinstance(error, FileNotFoundError):
        raise error


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, target)
