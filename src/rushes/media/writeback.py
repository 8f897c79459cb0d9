"""Letting the disk begin with a file while the rest of it arrives, so that the sync at its end has little to do."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE: begin writing what is not being written yet, and wait for nothing. It promises nothing either,
and takes no error away from the fsync that does."""


def begin_writing_back(descriptor: int, start: int, size_bytes: int) -> None:
    """Let the disk begin with these bytes of an open file, without waiting; does nothing where it cannot be asked to.

    Python offers no such call, and posix_fadvise would drop the bytes from memory, from where they are soon read.
    """
    sync_file_range = _sync_file_range()
    if sync_file_range is not None:
        sync_file_range(descriptor, start, size_bytes, _WRITE)


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    function.restype = ctypes.c_int
    call: Callable[[int, int, int, int], int] = function
    return call
