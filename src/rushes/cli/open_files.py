"""How many files and connections the process may have open."""

from __future__ import annotations

import resource

MOST_OPEN_FILES = 65_536
"""Enough for every job that a worker carries to hold a connection, and for callers besides."""


def allow_many_open_files() -> None:
    """Raise the process's limit as far as the system lets us.

    It is often 1,024 for programs that ask for no more. A provider that takes connections and never answers would use
    them all, and then nobody could call us.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
