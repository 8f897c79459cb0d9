"""What a tool is given: known names, right types, sizes within bounds. Each refusal names the argument."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rushes.api.mcp.tools import BY_NAME, LONGEST_ARGUMENT, Tool
from rushes.catalogue.wording import listed, shown
from rushes.errors import FieldError, InvalidRequest
from rushes.intake.body import invalid_fields, refuse_unknown, whole_as_int
from rushes.jobs.idempotency import LONGEST_KEY

MOST_USD = 1_000_000


class Arguments:
    """The arguments of one call; null counts as not given."""

    def __init__(self, tool: Tool, given: Mapping[str, Any]) -> None:
        """Raises UnknownField, or InvalidRequest if one is missing that the tool needs."""
        refuse_unknown(given, tool.arguments["properties"], "argument")
        self._given = {name: value for name, value in given.items() if value is not None}
        for name in tool.arguments.get("required", ()):
            if name not in self._given:
                raise wrong(name, f"is required by {tool.name}")

    def rest(self, *without: str) -> dict[str, Any]:
        """All of them but these, for who checks them himself."""
        return {name: value for name, value in self._given.items() if name not in without}

    def text(self, name: str, most: int = LONGEST_ARGUMENT) -> str | None:
        """A text of at most so many characters. Raises InvalidRequest."""
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise wrong(name, "must be a text")
        if not 1 <= len(value) <= most:
            raise wrong(name, f"must have 1 to {most} characters, not {len(value)}")
        return value

    def needed_text(self, name: str) -> str:
        """The same for an argument that the tool needs."""
        value = self.text(name)
        if value is None:
            raise wrong(name, "is required")
        return value

    def whole(self, name: str, least: int, most: int, otherwise: int) -> int:
        """A whole number within bounds. Raises InvalidRequest."""
        value = whole_as_int(self._given.get(name, otherwise))
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong(name, f"must be a whole number from {least} to {most}, not {shown(value)}")
        return value

    def usd(self, name: str) -> Decimal | None:
        """An amount of money. Raises InvalidRequest."""
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MOST_USD:
            raise wrong(name, f"must be a number of USD from 0 to {MOST_USD}, not {shown(value)}")
        # As it was written, not as the nearest double.
        return Decimal(str(value))

    def one_of(self, name: str, values: list[str]) -> str | None:
        """One of these values. Raises InvalidRequest."""
        value = self._given.get(name)
        if value is not None and value not in values:
            raise wrong(name, f"must be one of {listed(values)}, not {shown(value)}")
        return value

    def idempotency_key(self) -> str | None:
        """The key under which the call may be repeated. Raises InvalidRequest."""
        key = self.text("idempotency_key", LONGEST_KEY)
        if key is not None and not key.isprintable():
            raise wrong("idempotency_key", "must hold printable characters only")
        return key


def tool_named(name: str) -> Tool:
    """The tool of this name. Raises UnknownField with those that come near."""
    refuse_unknown([name], BY_NAME, "tool")
    return BY_NAME[name]


def wrong(name: str, message: str) -> InvalidRequest:
    """The refusal of one argument."""
    return invalid_fields([FieldError(name, message)])
