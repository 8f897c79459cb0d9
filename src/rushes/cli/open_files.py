"""Raises the limit of open files and connections."""

from __future__ import annotations

import resource

MOST_OPEN_FILES = 65_536
"""Enough for a connection of every job of a worker, and for callers."""


def allow_many_open_files() -> None:
    """Raise the limit of the process as far as the system allows.

    The default is often 1,024. A provider that accepts connections and never answers would use all of them, and then
    callers could not connect.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
