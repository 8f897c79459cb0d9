"""Which requests are for this surface, where they bring their key, and what separates them from OpenAI's.

Google serves its newer clients under `/v1`, where OpenAI's API is. Their paths differ but for the list of models. There
the key decides: Google's clients send it as `x-goog-api-key` or `?key=`, OpenAI's as a bearer.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Receive, Scope, Send

KEY_HEADER: Final = "x-goog-api-key"

GEMINI: Final = "/v1beta"
VERTEX: Final = "/v1beta1"
SHARED: Final = "/v1"

_IN_QUERY: Final = re.compile(r"(?:^|&)key=([^&]*)")
_MODELS: Final = f"{SHARED}/models"
_OURS: Final = re.compile(
    r"""
      /v1beta1? (?:/.*)?
    | /v1/ (?: projects | publishers | interactions | files ) (?:[/:].*)?
    | /v1/models/.+ (?: :predictLongRunning | /operations/[^/]* )
    """,
    re.VERBOSE | re.DOTALL,
)
_INTERACTIONS: Final = re.compile(r"/v1(?:beta1?)?(?:/projects/[^/]+/locations/[^/]+)?/interactions(?:/.*)?", re.DOTALL)


def is_ours(path: str) -> bool:
    """Whether an address belongs to this surface, also where there is nothing."""
    return _OURS.fullmatch(path) is not None


def speaks_interactions(path: str) -> bool:
    """Whether an address is of the Interactions API, which has an error format of its own."""
    return _INTERACTIONS.fullmatch(path) is not None


def google_keys(scope: Scope) -> list[str]:
    """The keys that the request brings where only Google's clients send one."""
    name = KEY_HEADER.encode()
    headers = [value.decode("latin-1").strip() for header, value in scope["headers"] if header == name]
    given = [unquote_plus(value) for value in _IN_QUERY.findall(scope.get("query_string", b"").decode("latin-1"))]
    return [key for key in (*headers, *given) if key]


class GoogleModels:
    """Leads Google's clients from `/v1/models`, which OpenAI's API has too, to their own list."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_MODELS):
            path: str = scope["path"]
            is_models = path == _MODELS or path.startswith(f"{_MODELS}/")
            if is_models and not is_ours(path) and google_keys(scope):
                scope["path"] = f"{GEMINI}{path.removeprefix(SHARED)}"
                scope["raw_path"] = GEMINI.encode() + scope["raw_path"].removeprefix(SHARED.encode())
        await self._app(scope, receive, send)
