"""Headers of every answer, also of a problem, no matter which code makes it.

They are noted with the request and added at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

_NAME = "response_headers"


def add_response_headers(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> None:
    """Note headers for the answer to this request."""
    noted = scope.setdefault("state", {}).setdefault(_NAME, [])
    noted.extend((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items())


def noted_response_headers(scope: Mapping[str, Any]) -> Iterable[tuple[bytes, bytes]]:
    """What was noted."""
    noted: list[tuple[bytes, bytes]] = scope.get("state", {}).get(_NAME, [])
    return noted
