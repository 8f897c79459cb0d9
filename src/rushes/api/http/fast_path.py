"""A shorter way to the answers that every client polls while it waits for a video."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import signature

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rushes.api.errors import Refusal, problem_of
from rushes.errors import RushesError

Answer = Callable[[Request, str], Awaitable[Response]]


class FastPath:
    """Takes `GET prefix/NAME` straight to the prefix's answer, and everything else, the documentation too, to what
    leads to the framework `otherwise`.

    Its layers, routes and dependencies would cost more than the answer. The route is declared there all the same.
    """

    def __init__(
        self, api: FastAPI, otherwise: ASGIApp, answers: Mapping[str, Answer], refusal: Refusal = problem_of
    ) -> None:
        self._api = api
        self._otherwise = otherwise
        self._answers = answers
        self._templates = {
            answer: f"{prefix}/{{{list(signature(answer).parameters)[1]}}}" for prefix, answer in answers.items()
        }
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._found(scope)
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        answer, name = found
        scope["app"] = self._api
        scope.setdefault("state", {})["route"] = self._templates[answer]
        request = Request(scope, receive, send)
        try:
            response = await answer(request, name)
        except RushesError as error:
            response = self._refusal(request, error)
        await response(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[Answer, str] | None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        prefix, _, name = scope["path"].rpartition("/")
        answer = self._answers.get(prefix)
        return None if answer is None or not name else (answer, name)
