"""How much of a hostile test is played: a little on every run, all of it where somebody asks (RUSHES_CHAOS=1)."""

from __future__ import annotations

import os


def dose(small: int, full: int) -> int:
    """`full` if the environment asks for all of it, else `small`."""
    return full if os.environ.get("RUSHES_CHAOS") == "1" else small
