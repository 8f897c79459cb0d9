"""Lengths of time as people write them: 12h, 30d or 8w."""

from __future__ import annotations

import re

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
EXAMPLES = "12h, 30d or 8w"
_LENGTH = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,3}})?)([{''.join(UNITS_S)}])")


def length_s(text: str) -> float | None:
    """The length in seconds; None if the text says no length, or none above 0."""
    match = _LENGTH.fullmatch(text)
    return None if match is None else float(match[1]) * UNITS_S[match[2]] or None


def length_text(span_s: float) -> str:
    """The length in days, hours or minutes where it is whole in these, else in seconds; `length_s` reads it again."""
    for unit in ("d", "h", "m"):
        amount = span_s / UNITS_S[unit]
        if amount.is_integer():
            return f"{int(amount)}{unit}"
    return f"{span_s:.3f}".rstrip("0").rstrip(".") + "s"
