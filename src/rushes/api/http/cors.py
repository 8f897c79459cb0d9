"""Lets pages of named websites call us from a browser. Pure ASGI; without an origin it does nothing.

Never with credentials: we take keys in a header that a page must set, and read no cookie.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rushes.api.http.response_headers import add_response_headers

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
SENT = (
    "Authorization, Content-Type, Idempotency-Key, If-Range, Last-Event-ID, Mcp-Method, Mcp-Name, "
    "Mcp-Protocol-Version, Prefer, Range, X-API-Key, X-Goog-Api-Key, X-Goog-Api-Client"
)
EXPOSED = (
    "X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, Location, Idempotent-Replayed, Preference-Applied, "
    "Deprecation, Sunset, Content-Disposition, Content-Range, ETag, openai-poll-after-ms"
)
PREFLIGHT_KEPT_S = 600
ANY = "*"


class Cors:
    """Answers preflights of the allowed origins, and says in every answer to them that the page may read it."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins:
            await self._app(scope, receive, send)
            return
        # A cache must not give one origin's answer to another.
        if ANY not in self._origins:
            add_response_headers(scope, {"Vary": "Origin"})
        headers = Headers(scope=scope)
        allowed = self._allowed(headers.get("origin"))
        if allowed is None:
            await self._app(scope, receive, send)
            return
        add_response_headers(scope, {"Access-Control-Allow-Origin": allowed})
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            add_response_headers(
                scope,
                {
                    "Access-Control-Allow-Methods": METHODS,
                    "Access-Control-Allow-Headers": SENT,
                    "Access-Control-Max-Age": str(PREFLIGHT_KEPT_S),
                },
            )
            await Response(status_code=204)(scope, receive, send)
            return
        add_response_headers(scope, {"Access-Control-Expose-Headers": EXPOSED})
        await self._app(scope, receive, send)

    def _allowed(self, origin: str | None) -> str | None:
        if origin is None:
            return None
        if ANY in self._origins:
            return ANY
        return origin if origin.lower() in self._origins else None
