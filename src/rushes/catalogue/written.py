"""Where in a catalogue file something is written, so that errors name the file, the line, the model and the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rushes.errors import StartupError

_HEADER = re.compile(r"\s*\[\[\s*models\s*\]\]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a catalogue is written; with its text, errors name the line too."""

    name: str
    text: str | None = None

    def wrong(
        self, message: str, field: str | None = None, *, index: int | None = None, model: str = ""
    ) -> StartupError:
        """The error about a field, of the model with this index where it is one's."""
        parts = [self.name]
        line = None if self.text is None else _line_of(self.text, index, field)
        if index is not None:
            parts.append(f"model '{model}'")
        if field is not None:
            parts.append(f"field '{field}'")
        at = "" if line is None else f" (line {line})"
        return StartupError(f"{', '.join(parts)}{at}: {message}")


@dataclass(frozen=True, slots=True)
class Written:
    """One model's table, and where it stands."""

    place: Place
    index: int
    table: Mapping[str, Any]

    def wrong(self, field: str | None, message: str) -> StartupError:
        """The error about a field of it."""
        return self.place.wrong(message, field, index=self.index, model=str(self.table.get("id", "?")))


def _line_of(text: str, index: int | None, field: str | None) -> int | None:
    """The line, from 1, where a field is written; else where its model begins. None if there is no such model."""
    lines = text.splitlines()
    headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    if index is None:
        start, end = 0, headers[0] if headers else len(lines)
    elif index < len(headers):
        start, end = headers[index], [*headers, len(lines)][index + 1]
    else:
        return None
    name = re.escape((field or "").partition(".")[0])
    stands = re.compile(rf"""\s*(?:\[\[?\s*models\.)?["']?{name}["']?\s*[=.\]]""")
    for number in range(start, end):
        if field and stands.match(lines[number]):
            return number + 1
    return None if index is None else start + 1
