"""A shorter way to the one answer that everybody who waits for a video asks for again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rushes.api.errors import problem_of
from rushes.errors import RushesError


class Direct:
    """Takes `GET prefix/NAME` straight to `answer`, and everything else, the documentation too, to the framework.

    Its layers, routes and dependencies would cost more than the answer. The route is declared there all the same.
    """

    def __init__(self, api: FastAPI, prefix: str, answer: Callable[[Request, str], Awaitable[Response]]) -> None:
        self._api = api
        self._prefix = f"{prefix}/"
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = self._name_in(scope)
        if name is None:
            await self._api(scope, receive, send)
            return
        scope["app"] = self._api
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request, name)
        except RushesError as error:
            response = problem_of(request, error)
        await response(scope, receive, send)

    def _name_in(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._prefix):
            return None
        name: str = scope["path"][len(self._prefix) :]
        return name if name and "/" not in name else None
