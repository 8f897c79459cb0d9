"""Reading on for a moment after a request was refused in the middle of its body.

A connection closed while the client still sends is reset, and the client may lose the answer that says why. So the
answer goes out whole, what is still coming is thrown away for a moment, and only then the connection closes.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_S = 2.0
LINGER_BYTES = 128 * 1024**2


class LingeringClose:
    """Bounded in time and bytes, so that an endless body ends all the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # No route of ours reads the body of a GET, so nothing of one is still to come.
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return

        async def send_and_linger(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not is_last or not _is_coming(scope):
                await send(message)
                return
            await send({**message, "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await _throw_away(receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, receive, send_and_linger)


def _is_coming(scope: Scope) -> bool:
    """Whether more of the body is on its way. A client that asked first (Expect) has its answer, and sends nothing."""
    asked_first = any(name == b"expect" for name, _ in scope["headers"])
    return bool(scope.get("state", {}).get("body_unread", False)) and not asked_first


async def _throw_away(receive: Receive) -> None:
    size_bytes = 0
    while size_bytes < LINGER_BYTES:
        message = await receive()
        size_bytes += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
