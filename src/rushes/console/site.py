"""Around each page of the console: its session, the checks of its forms, its errors and its headers."""

from __future__ import annotations

import secrets
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rushes.accounts.keys import Mode
from rushes.accounts.turns import take_turn
from rushes.console.errors import answer_to
from rushes.console.pages.index import all_pages
from rushes.console.rendering import Templates
from rushes.console.routes import Page, Routes
from rushes.console.security import CSRF_FIELD, CSRF_HEADER, ForeignForm, check_form, check_origin, page_headers
from rushes.console.services import ConsoleServices
from rushes.console.sign_in.cookies import FORM_COOKIE, SESSION_COOKIE, keep_form_secret
from rushes.console.sign_in.resume import form_to_send_again, sign_in_first
from rushes.console.statics import Statics
from rushes.console.visit import BOTH_MODES, HOME, Visit, read_form
from rushes.errors import AccountDisabled, FieldError, InvalidRequest, NotAuthenticated, RushesError, ScopeMissing
from rushes.intake.acting import act_as_caller

log = structlog.get_logger(__name__)

STATIC = f"{HOME}/static/"


def build_site(services: ConsoleServices) -> ASGIApp:
    """The ASGI application of every path from /console on."""
    return Site(services)


class Site:
    """Answers for every page."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services
        self._statics = Statics()
        pages = all_pages()
        self._templates = Templates(self._statics, sections=frozenset(page.path for page in pages))
        self._headers = page_headers(services.media_origin)
        self._routes = Routes(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(Request(scope, receive, send), self._services, self._templates)
        try:
            response = await self._answer(visit)
        except ClientDisconnect:
            raise
        except (RushesError, HTTPException) as error:
            response = answer_to(visit, error)
        except Exception as error:
            log.exception("console_failed", path=visit.request.url.path)
            response = answer_to(visit, error)
        for name, value in self._headers.items():
            response.headers.setdefault(name, value)
        if visit.new_form_secret is not None:
            keep_form_secret(response, visit)
        await response(scope, receive, send)

    async def _answer(self, visit: Visit) -> Response:
        request = visit.request
        path = request.scope["path"].removeprefix(visit.asked_root)
        if path.startswith(STATIC):
            return self._static(visit, path.removeprefix(STATIC))
        await self._find_session(visit)
        below = path.removeprefix(HOME)
        found = self._routes.find(request.method, below)
        if found is None:
            methods = self._routes.methods(below)
            request.state.route = f"{HOME}/other"
            if methods:
                headers = {"Allow": ", ".join(methods)}
                raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, "This page is not asked this way", headers)
            raise HTTPException(HTTPStatus.NOT_FOUND)
        page, parameters = found
        # The template and not the address, so that metrics have few names.
        request.state.route = HOME + page.path
        request.scope["path_params"] = dict(parameters)
        return await self._admit(visit, page)

    async def _admit(self, visit: Visit, page: Page) -> Response:
        request = visit.request
        is_change = page.method == "POST"
        if is_change:
            if not page.reads_form:
                request.state.body_unread = True
            check_origin(request)
            if page.reads_form:
                visit.form = await read_form(request)
        if page.scope is not None and visit.caller is None:
            return sign_in_first(visit)
        if is_change:
            try:
                check_form(visit.form_secret, request.headers.get(CSRF_HEADER) or visit.form.text(CSRF_FIELD))
            except ForeignForm:
                # Most often the visitor has signed in again in another tab: what was typed is shown, to be sent again.
                if visit.is_fetch or not page.reads_form or visit.caller is None:
                    raise
                return await form_to_send_again(visit)
        if page.scope is not None and not visit.may(page.scope):
            raise ScopeMissing(f"This page needs a key with the scope '{page.scope}', which yours does not have")
        if visit.caller is not None and page.method == "GET" and page.path.startswith(BOTH_MODES):
            visit.caller = visit.caller.looking_at(_mode_of(visit))
        return await page.handler(visit)

    async def _find_session(self, visit: Visit) -> None:
        cookies = visit.request.cookies
        token = cookies.get(SESSION_COOKIE)
        session = None if token is None else await self._services.sessions.find(token)
        if token is not None and session is not None:
            try:
                visit.caller = await self._services.keys.authenticate_by_id(session.key_id)
            except (NotAuthenticated, AccountDisabled):
                # The key was revoked, disabled or has expired, or its account was disabled: the session is over.
                pass
            else:
                visit.token = visit.form_secret = token
                act_as_caller(visit.request, visit.caller)
                await take_turn(visit.request.scope["state"], visit.caller.account_id)
                return
        visit.form_secret = cookies.get(FORM_COOKIE)
        if visit.form_secret is None:
            visit.form_secret = visit.new_form_secret = secrets.token_urlsafe(16)

    def _static(self, visit: Visit, name: str) -> Response:
        visit.request.state.route = f"{HOME}/static"
        response = self._statics.response(visit.request, name)
        if response is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return response


def _mode_of(visit: Visit) -> Mode | None:
    given = visit.query.given("mode")
    if given is not None and given not in set(Mode):
        raise InvalidRequest("mode must be 'live' or 'test'", [FieldError("mode", "must be 'live' or 'test'")])
    return None if given is None else Mode(given)
