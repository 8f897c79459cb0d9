"""Lengths of time as people write them: 12h, 30d or 8w."""

from __future__ import annotations

import re

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_S = 5_000 * 366 * 86_400
"""What ends before Python's calendar does. What a length is for may allow less."""
EXAMPLES = "12h, 30d or 8w"
_LENGTH = re.compile(r"([0-9]{1,12})([smhdw])|([0-9]{1,12}\.[0-9]{1,3})(s)")


def length_s(text: str) -> float | None:
    """The length in seconds; None if the text says no length above 0 and up to `LONGEST_S`."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        return None
    length = float(match[1] or match[3]) * UNITS_S[match[2] or match[4]]
    return length if 0 < length <= LONGEST_S else None


def length_text(span_s: float) -> str:
    """The length in days, hours or minutes where it is whole in these, else in seconds; `length_s` reads it again."""
    for unit in ("d", "h", "m"):
        amount = span_s / UNITS_S[unit]
        if amount.is_integer():
            return f"{int(amount)}{unit}"
    return f"{span_s:.3f}".rstrip("0").rstrip(".") + "s"
