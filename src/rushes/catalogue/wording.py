"""How our sentences show values, so that a refusal reads alike everywhere and odd input cannot disfigure it."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN_CHARS = 80


def shown(value: object) -> str:
    """A value as a caller wrote it: text quoted, printable and cut at 80 characters; true and false as in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    # Lone surrogates, which JSON can carry and UTF-8 cannot, are unprintable too.
    short = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:SHOWN_CHARS])
    if len(text) > SHOWN_CHARS:
        short += "…"
    return f"'{short}'" if isinstance(value, str) else short


def listed(values: Iterable[object]) -> str:
    """Values one after the other, for "it offers ..."."""
    return ", ".join(shown(value) for value in values)
