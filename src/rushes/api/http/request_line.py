"""What a request line can say in two ways: HEAD is GET without the body, and a slash at the end means nothing."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rushes.api.errors import Refusal, problem_of
from rushes.errors import FieldError, InvalidRequest

MOST_PARAMETERS: Final = 256
"""Of a query. The framework parses all of them before it looks at one."""


class RequestLine:
    """Lets the application answer HEAD as GET, and an address with a slash at its end as the one without.

    RFC 9110 (section 9.1) has every server support HEAD. A redirect to the address without the slash would name the
    scheme and path that a proxy in front of us has replaced. A query of more than MOST_PARAMETERS is refused.
    """

    def __init__(self, app: ASGIApp, refusal: Refusal = problem_of) -> None:
        self._app = app
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.endswith("/") and path != "/":
            scope["path"] = path.rstrip("/") or "/"
            scope["raw_path"] = scope["raw_path"].rstrip(b"/") or b"/"
        if scope["query_string"].count(b"&") >= MOST_PARAMETERS:
            trouble = f"has more than {MOST_PARAMETERS} parameters"
            error = InvalidRequest(f"The query {trouble}", [FieldError("query", trouble)])
            await self._refusal(Request(scope), error)(scope, receive, send)
        elif scope["method"] == "HEAD":
            await _without_body(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_head(scope: Scope) -> bool:
    """Whether only the headers of the answer will be sent. The method says GET if `RequestLine` has changed it."""
    return bool(scope["method"] == "HEAD" or scope.get("state", {}).get("is_head"))


async def _without_body(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    # A copy: the server looks at the method of its own to leave the body out.
    as_get = {**scope, "method": "GET"}
    scope["state"]["is_head"] = True
    has_ended = False

    async def send_head(message: Message) -> None:
        nonlocal has_ended
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            has_ended = True

    async def receive_end() -> Message:
        # What streams an answer stops when the client has left.
        return {"type": "http.disconnect"} if has_ended else await receive()

    try:
        await app(as_get, receive_end, send_head)
    finally:
        if "route" in as_get:
            scope["route"] = as_get["route"]
