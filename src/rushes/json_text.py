"""Contents as JSON text, written as JavaScript writes it.

Receivers of webhooks verify a signature over `JSON.stringify(JSON.parse(body))`. That holds only if every number is
spelled as ECMAScript spells it (ECMA-262, Number::toString), so `8.0` is written `8`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic_core import to_json

_SUSPECT = re.compile(rb"(?:^|[:\[,])-?[0-9]++(?:\.0(?![0-9])|(?:\.[0-9]++)?[eE])")
"""What may be a number in another spelling; most contents have none, and the digits of a hash are in quotes."""
_SPELLED_OTHERWISE = re.compile(
    rb'(?:[^"0-9-]++|"(?:[^"\\]++|\\.)*+"|-?[0-9]++(?:(?![.eE])|\.[0-9]++(?<!0)(?![eE])))++|(-?[0-9][-+.0-9eE]*)',
    re.DOTALL,
)
"""A number that ends in a zero or has an exponent, or as much other text as possible: a call for each token is slow."""


def json_bytes(content: Any) -> bytes:
    """A model, dataclass, mapping or list as JSON in UTF-8."""
    text = _written(content)
    return text if _SUSPECT.search(text) is None else _SPELLED_OTHERWISE.sub(_respelled, text)


def json_str(content: Any) -> str:
    """The same as text."""
    return json_bytes(content).decode()


def whole(number: float) -> float:
    """The number, as an integer if it is whole: cheaper than to respell it in the text."""
    return int(number) if float(number).is_integer() else number


def _written(content: Any) -> bytes:
    if isinstance(content, BaseModel):
        return to_json(content)
    try:
        return orjson.dumps(content)
    except TypeError:
        # It knows no whole number beyond 64 bits, and a provider's own options may hold one.
        return to_json(content)


def _respelled(token: re.Match[bytes]) -> bytes:
    number: bytes | None = token[1]
    return token[0] if number is None else _spelled(float(number)).encode()


def _spelled(number: float) -> str:
    if number == 0:
        return "0"
    decimal = Decimal(repr(number))
    if 1e-6 <= abs(number) < 1e21:
        plain = format(decimal, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    sign, digits, _ = decimal.as_tuple()
    shortest = "".join(str(digit) for digit in digits).rstrip("0") or "0"
    exponent = decimal.adjusted()
    mantissa = shortest[0] + (f".{shortest[1:]}" if len(shortest) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
