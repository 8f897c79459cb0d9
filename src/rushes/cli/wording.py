"""Times, sizes and prices for display."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta


def printable(text: str) -> str:
    """The text on one line, without control characters: prompts, names and errors come from other people."""
    return " ".join("".join(one if one.isprintable() or one == "\u200d" else " " for one in text).split())


def ago(moment: datetime, now: datetime) -> str:
    """The age in at most nine characters for three months; then the date."""
    # The clock of another host can be ahead.
    elapsed = max(now - moment, timedelta())
    seconds = int(elapsed.total_seconds())
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} m ago"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h ago"
    if elapsed.days <= 90:
        return f"{elapsed.days} d ago"
    return moment.astimezone().date().isoformat()


def at(moment: datetime, now: datetime) -> str:
    """The local time to the second, and its age."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S} ({ago(moment, now)})"


def length(seconds: float) -> str:
    """A length of time: `8 s`, `2 m 05 s`, `1 h 02 m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} m"


def size(size_bytes: int) -> str:
    """The size of a file in decimal units, as browsers show it."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    scaled, unit = size_bytes / 1000, "kB"
    for larger in ("MB", "GB"):
        if scaled >= 999.5:
            scaled, unit = scaled / 1000, larger
    return f"{scaled:.1f} {unit}" if scaled < 10 else f"{scaled:.0f} {unit}"


def money(usd: float | None) -> str:
    """A price in cents, or in more digits for small prices."""
    if usd is None:
        return "price unknown"
    if usd == 0:
        return "free"
    return f"${usd:.2f}" if usd >= 0.1 else f"${usd:.2g}"


def span(values: Sequence[int]) -> str:
    """Whole numbers in short: `4 6 8`, `1-60`."""
    numbers = sorted(values)
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    return " ".join(str(number) for number in numbers)
