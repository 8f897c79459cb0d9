"""A shorter way to the routes that most requests are for: starting a job, and reading it while its video is made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from rushes.accounts.keys import Caller
from rushes.api.errors import Refusal, problem_of
from rushes.errors import RushesError

Answer = Callable[..., Awaitable[Response]]
CallerOf = Callable[[Request, object], Awaitable[Caller]]
"""Finds who calls, as the framework would; the second argument is for its documentation alone."""

_MARK = "caller_of"
_TAKEN_APART = ("request", "caller")


def directly(caller_of: CallerOf) -> Callable[[Answer], Answer]:
    """Mark the function of a declared route: it is called past the framework, with who `caller_of` finds.

    It takes `request`, `caller` and parameters of its path, all text. A request with a query goes the usual way if the
    function takes parameters of the query too.
    """

    def mark(answer: Answer) -> Answer:
        setattr(answer, _MARK, caller_of)
        return answer

    return mark


class FastPath:
    """Takes requests for the marked routes of these routers, each under its prefix, straight to their functions.

    Everything else goes to what leads to the framework `otherwise`. Its layers, routes and dependencies would cost more
    than the answer. The routes are declared there alone, and of two that fit an address the first one counts.
    """

    def __init__(
        self,
        api: FastAPI,
        otherwise: ASGIApp,
        routers: Iterable[tuple[str, APIRouter]],
        refusal: Refusal = problem_of,
    ) -> None:
        self._api = api
        self._otherwise = otherwise
        self._refusal = refusal
        self._exact: dict[tuple[str, str], _Route] = {}
        """Routes without a parameter, by method and address."""
        self._routes: dict[str, list[_Route]] = {}
        for prefix, router in routers:
            for method, route in _marked(prefix, router):
                if route.beginning == route.template:
                    self._exact.setdefault((method, route.template), route)
                else:
                    self._routes.setdefault(method, []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._found(scope) if scope["type"] == "http" else None
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        route, parameters = found
        scope["app"] = self._api
        scope.setdefault("state", {})["route"] = route.template
        request = Request(scope, receive, send)
        try:
            caller = await route.caller_of(request, None)
            response = await route.answer(request=request, caller=caller, **parameters)
        except RushesError as error:
            response = self._refusal(request, error)
        await response(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[_Route, dict[str, str]] | None:
        path: str = scope["path"]
        exact = self._exact.get((scope["method"], path))
        if exact is not None:
            return None if exact.takes_query and scope["query_string"] else (exact, {})
        for route in self._routes.get(scope["method"], ()):
            if not path.startswith(route.beginning):
                continue
            fitting = route.pattern.fullmatch(path)
            if fitting is not None:
                if route.takes_query and scope["query_string"]:
                    return None
                return route, {name: fitting[name] for name in route.parameters}
        return None


@dataclass(frozen=True, slots=True)
class _Route:
    """One marked route under one prefix."""

    template: str
    beginning: str
    """What its addresses begin with; cheaper to compare than the pattern."""
    pattern: re.Pattern[str]
    parameters: tuple[str, ...]
    """Those of the path that the function takes."""
    takes_query: bool
    answer: Answer
    caller_of: CallerOf


def _marked(prefix: str, router: APIRouter) -> Iterator[tuple[str, _Route]]:
    """The marked routes of a router, each with its method."""
    for route in router.routes:
        if not isinstance(route, APIRoute) or not hasattr(route.endpoint, _MARK):
            continue
        template = prefix + route.path
        pattern, _, converters = compile_path(template)
        named: dict[str, Any] = dict(signature(route.endpoint).parameters)
        of_query = [name for name in named if name not in (*_TAKEN_APART, *converters)]
        made = _Route(
            template=template,
            beginning=template.partition("{")[0],
            pattern=pattern,
            parameters=tuple(name for name in converters if name in named),
            takes_query=bool(of_query),
            answer=route.endpoint,
            caller_of=getattr(route.endpoint, _MARK),
        )
        for method in route.methods or ():
            yield method, made
