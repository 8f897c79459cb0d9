"""Lengths of time as people write them: 12h, 30d or 8w."""

from __future__ import annotations

import re

UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
EXAMPLES = "12h, 30d or 8w"
_LENGTH = re.compile(rf"([1-9][0-9]{{0,5}})([{''.join(UNITS_S)}])")


def length_s(text: str) -> float | None:
    """The length in seconds; None if the text is not one."""
    match = _LENGTH.fullmatch(text)
    return None if match is None else float(int(match[1]) * UNITS_S[match[2]])


def length_text(span_s: float) -> str:
    """The length in days or hours where it is whole in these, else in minutes; seconds where it is none of them.

    What ends in `s` is for people alone: `length_s` does not take it.
    """
    for unit in ("d", "h", "m"):
        amount = span_s / UNITS_S[unit]
        if amount.is_integer():
            return f"{int(amount)}{unit}"
    return f"{span_s:g}s"
