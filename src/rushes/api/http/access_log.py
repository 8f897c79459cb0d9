"""Around every request: its id, one log line, and no exception that leaves without an answer. Pure ASGI."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from rushes import origin
from rushes.accounts.keys import Caller
from rushes.accounts.turns import end_turn, note_held
from rushes.api.errors import Refusal, problem_of
from rushes.api.http.response_headers import noted_response_headers
from rushes.api.http.route_names import method_of, route_of
from rushes.ids import new_id
from rushes.net.redact import scrub_path
from rushes.pace import metered
from rushes.shared_places import Holding, SharedPlaces

log = structlog.get_logger(__name__)

CLIENT_LEFT = 499
"""Shown for a request whose client left before it was answered; nginx uses this number too."""
LONGEST_PATH = 2048
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


Answered = Callable[[str, str, int, float], None]
"""Receives the method, the route's template, the status and the seconds of each request that has ended."""


class Access:
    """Gives each request an id (`X-Request-Id`), logs it when it ends, and turns a stray exception into a 500."""

    def __init__(
        self,
        app: ASGIApp,
        refusal: Refusal = problem_of,
        *,
        logs_requests: bool = True,
        answered: Answered | None = None,
        places: SharedPlaces | None = None,
    ) -> None:
        self._app = app
        self._refusal = refusal
        self._logs_requests = logs_requests
        self._answered = answered
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = new_id("req")
        holdings: list[Holding] = []
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["began"] = began
        if self._places is not None:
            state["places"] = self._places
            state["holdings"] = holdings
        origin.current.set(origin.Origin(request_id, scope["headers"]))
        bind_contextvars(request_id=request_id)
        status = 0
        whole = False

        async def send_with_id(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                end_turn(state)
                late = noted_response_headers(scope)
                message["headers"] = [*message["headers"], *late, (b"x-request-id", request_id.encode())]
                await send(message)
                return
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await metered(self._app(scope, receive, send_with_id), functools.partial(note_held, state))
        except Exception as error:
            if _is_disconnect(error):
                # The framework may have answered already, but the client did not receive that answer.
                status = CLIENT_LEFT
                return
            log.exception("request_failed", request_id=request_id, path=shown_path(scope))
            if status and not whole:
                # The answer has begun; cutting it off is the only honest sign that it is not whole.
                raise
            if not status:
                await self._refusal(Request(scope), error)(scope, receive, send_with_id)
        finally:
            end_turn(state)
            for holding in holdings:
                holding.release()
            duration_s = time.perf_counter() - began
            if self._answered is not None:
                self._answered(method_of(scope), route_of(scope), status, duration_s)
            if self._logs_requests and scope["path"] not in QUIET_PATHS:
                caller: Caller | None = state.get("caller")
                who = {} if caller is None else {"account_id": caller.account_id, "key_id": caller.key_id}
                # The query is left out: the signature of a link is a secret. So is a key that stands in place of an id.
                log.info(
                    "request",
                    request_id=request_id,
                    method=scope["method"],
                    path=shown_path(scope),
                    status=status,
                    duration_ms=round(duration_s * 1000, 1),
                    **who,
                )


def shown_path(scope: Scope) -> str:
    """The path for a log line: short, and without what is shaped like a key."""
    path: str = scope["path"]
    return scrub_path(path) if len(path) <= LONGEST_PATH else f"{scrub_path(path[:LONGEST_PATH])}..."


def _is_disconnect(error: BaseException) -> bool:
    """Whether it only says that the client left, alone or as every part of a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_disconnect(part) for part in error.exceptions)
    return isinstance(error, ClientDisconnect)
