"""Templates, and how values are written in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rushes import __version__
from rushes.console.icons import icon
from rushes.console.statics import Statics


class Templates:
    """The templates of this package. What is put into one is escaped unless it is markup of ours."""

    def __init__(self, statics: Statics, *, sections: frozenset[str]) -> None:
        self._environment = Environment(
            loader=PackageLoader("rushes.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            usd=usd, moment=moment, day=day, size=size, seconds=seconds, number=number, json=pretty, ago=ago,
            sentence=sentence,
        )  # fmt: skip
        self._environment.globals.update(icon=icon, static=statics.path, version=__version__, sections=sections)

    def render(self, template: str, **context: Any) -> str:
        """The text of a template."""
        return self._environment.get_template(template).render(**context)


def usd(amount: Decimal | float | None) -> str:
    """A price with as many decimals as it needs, two at least; an unknown one is said to be unknown."""
    if amount is None:
        return "unknown"
    exact = Decimal(str(amount)).normalize()
    exponent = exact.as_tuple().exponent
    decimals = max(2, -exponent if isinstance(exponent, int) else 2)
    return f"${exact:,.{min(decimals, 6)}f}"


def moment(milliseconds: int) -> Markup:
    """A time, written in UTC; a script of ours rewrites it in the reader's zone."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%d %b %Y, %H:%M UTC")
    )


def ago(milliseconds: int, now_ms: int) -> Markup:
    """How long ago a time was; a tooltip shows the time itself."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%d %b %Y, %H:%M:%S UTC"), since(now_ms - milliseconds)
    )


def since(milliseconds: int) -> str:
    """A span of time in its largest unit."""
    span_s = max(0, milliseconds // 1000)
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if span_s >= size_s:
            return f"{span_s // size_s} {unit} ago"
    return "just now" if span_s < 10 else f"{span_s} s ago"


def day(milliseconds: int) -> str:
    """The UTC day of a time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%d %b %Y")


def size(size_bytes: int) -> str:
    """A number of bytes in the unit that suits it."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def seconds(span_s: float) -> str:
    """A span of time as minutes and seconds."""
    if span_s < 60:
        return f"{span_s:g} s"
    minutes, rest = divmod(round(span_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"


def number(amount: int) -> str:
    """A count with its thousands divided."""
    return f"{amount:,}"


def sentence(text: str) -> str:
    """A message of ours, which begins in lower case, as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def pretty(content: object) -> str:
    """JSON to be read by people."""
    return json.dumps(content, indent=2, ensure_ascii=False)
