"""The inputs of fal's endpoints as its JavaScript client types them: `dist/.../endpoints.d.ts` of @fal-ai/client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.oracles.sdk_process import NODE

PACKAGE = NODE / "node_modules" / "@fal-ai" / "client"
FIELD = re.compile(r"^\s{2,4}(\w+)(\?)?:\s*(.+?);$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Field:
    """One field of an input: whether it must be given, its literal values (as JSON writes them), its other types."""

    is_required: bool
    literals: frozenset[str]
    kinds: frozenset[str]


def file() -> Path | None:
    """The file of types; None if the package is not installed."""
    return next(iter(sorted(PACKAGE.glob("**/endpoints.d.ts"))), None)


@cache
def inputs() -> dict[str, str]:
    """The name of each endpoint's type of input."""
    text = _text()
    table = text[text.index("EndpointTypeMap") :]
    return {found[1]: found[2] for found in re.finditer(r'"([^"]+)": \{\s*input: (\w+);', table)}


@cache
def fields(type_name: str) -> dict[str, Field]:
    """The fields of a type, wherever its alias leads."""
    text = _text()
    for _ in range(8):
        alias = re.search(rf"export type {type_name} =\s*(\w+);", text)
        if alias is None:
            break
        type_name = alias[1]
    body = re.search(rf"export (?:type|interface) {type_name}\b[^{{;]*\{{(.*?)\n\}}", text, re.DOTALL)
    assert body is not None, type_name
    written = re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    return {found[1]: _field(found[2] is None, found[3]) for found in FIELD.finditer(written)}


def _field(is_required: bool, written: str) -> Field:
    parts = [part.strip() for part in written.replace("\n", " ").split("|")]
    literals = {part for part in parts if re.fullmatch(r'"[^"]*"|[0-9.]+', part)}
    return Field(is_required, frozenset(literals), frozenset(part for part in parts if part and part not in literals))


@cache
def _text() -> str:
    found = file()
    assert found is not None
    return found.read_text("utf-8")
