"""Headers that tell browsers to be strict with our answers, in one place for all of them."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = b"content-security-policy"
NOTHING_LOADS: Final = b"default-src 'none'; frame-ancestors 'none'"
"""For answers that are data: a browser that shows one loads nothing and runs nothing for it."""

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (POLICY, NOTHING_LOADS),
)


class SecurityHeaders:
    """Adds each header that the answer does not have already: a page has a policy of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                names = {name.lower() for name, _ in headers}
                message["headers"] = [*headers, *(header for header in HEADERS if header[0] not in names)]
            await send(message)

        await self._app(scope, receive, send_with_headers)
