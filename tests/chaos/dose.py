"""How much of a thing a chaos test does: a little among all tests, all of it in `make chaos`."""

from __future__ import annotations

import os


def dose(small: int, full: int) -> int:
    """`full` if RUSHES_CHAOS is 1, else `small`."""
    return full if os.environ.get("RUSHES_CHAOS") == "1" else small
