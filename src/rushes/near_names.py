"""Names that come near one that does not exist, for "did you mean"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

COMPARED_CHARS = 64
"""Comparing takes time that grows with the square of the length, and no name of ours is longer."""
NEAR = 0.75
MOST = 3


def near_names(name: str, names: Iterable[str], *, most: int = MOST) -> list[str]:
    """Up to `most` of the names that are a slip away from `name`, or have all its words; the nearest first."""
    if len(name) > COMPARED_CHARS:
        return []
    known = list(names)
    near = difflib.get_close_matches(name.lower(), known, n=most, cutoff=NEAR)
    words = _words(name)
    longer = [one for one in known if words and words < _words(one)]
    return list(dict.fromkeys([*near, *longer]))[:most]


def _words(name: str) -> frozenset[str]:
    return frozenset(word for word in name.lower().replace("-", "_").split("_") if len(word) > 2)
