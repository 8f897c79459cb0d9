"""Sends requests for the console's paths to the console, and all others to the API."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/console"


class WithConsole:
    """An ASGI application of two. Neither knows of the other."""

    def __init__(self, api: ASGIApp, console: ASGIApp) -> None:
        self._api = api
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        is_console = scope["type"] == "http" and (path == PATH or path.startswith(f"{PATH}/"))
        await (self._console if is_console else self._api)(scope, receive, send)
