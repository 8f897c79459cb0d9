"""Signing in with an API key or a one-time link, signing out, and choosing a theme.

Another way to sign in adds its own pages here and ends in `signed_in`.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from rushes.accounts.keys import Caller, Scope
from rushes.console.routes import Page
from rushes.console.security import local_path
from rushes.console.sign_in.cookies import end_session, is_secure, set_session
from rushes.console.sign_in.resume import form_to_send_again, kept_form, sign_in_page
from rushes.console.visit import HOME, THEME_COOKIE, THEMES, Visit, sentence_of
from rushes.errors import NotAllowed, NotAuthenticated

YEAR_S = 365 * 86_400
USED_LINK = "This sign-in link has expired or was used before. `rushes console` makes another."


async def show_sign_in(visit: Visit) -> Response:
    """The form."""
    next_path = local_path(visit.query.given("next"), HOME, "")
    if visit.caller is not None:
        return RedirectResponse(visit.root + (next_path or HOME), status_code=HTTPStatus.SEE_OTHER)
    message = "You have signed out." if visit.query.has("bye") else None
    return sign_in_page(visit, next_path=next_path, message=message)


async def sign_in(visit: Visit) -> Response:
    """Open a session for the key that was typed."""
    form = visit.form
    try:
        caller = await visit.services.keys.authenticate(form.text("key"))
    except (NotAuthenticated, NotAllowed) as error:
        kept = {"keep_action": form.text("keep_action"), "keep": form.text("keep"), "next_path": form.text("next")}
        status = HTTPStatus.UNAUTHORIZED
        return sign_in_page(visit, status=status, error=sentence_of(error), **kept)
    token = await visit.services.sessions.open(caller.key_id, lifetime_s=visit.services.session_s)
    return await signed_in(visit, caller, token)


async def show_link(visit: Visit) -> Response:
    """Who would be signed in; looking at the link does not use it up, so that a preview of it spoils nothing."""
    code = visit.query.text("code")
    key_id = await visit.services.sessions.find_link(code)
    if key_id is None:
        return sign_in_page(visit, status=HTTPStatus.GONE, error=USED_LINK)
    record = await visit.services.keys.get_key(key_id)
    return visit.page("sign_in_link.html", code=code, key=record)


async def use_link(visit: Visit) -> Response:
    """Open a session for the key that the link was made for."""
    used = await visit.services.sessions.redeem_link(visit.form.text("code"), lifetime_s=visit.services.session_s)
    if used is None:
        return sign_in_page(visit, status=HTTPStatus.GONE, error=USED_LINK)
    token, key_id = used
    return await signed_in(visit, await visit.services.keys.authenticate_by_id(key_id), token)


async def signed_in(visit: Visit, caller: Caller, token: str) -> Response:
    """Give the browser its session, and lead it to where it wanted to go."""
    previous = visit.token
    visit.caller, visit.token, visit.form_secret, visit.new_form_secret = caller, token, token, None
    kept = kept_form(visit)
    if kept is not None:
        response = await form_to_send_again(visit, *kept)
    else:
        path = local_path(visit.form.given("next"), HOME, HOME)
        response = RedirectResponse(visit.root + path, status_code=HTTPStatus.SEE_OTHER)
    if previous is not None:
        await visit.services.sessions.end(previous)
    set_session(response, visit, token)
    return response


async def sign_out(visit: Visit) -> Response:
    """End the session everywhere, not just in this browser."""
    if visit.token is not None:
        await visit.services.sessions.end(visit.token)
    response = visit.go("/sign-in", bye=1)
    end_session(response, visit)
    return response


async def choose_theme(visit: Visit) -> Response:
    """Keep the theme in a cookie, and go back to the page."""
    back = local_path(visit.form.given("next"), HOME, HOME)
    response = RedirectResponse(visit.root + back, status_code=HTTPStatus.SEE_OTHER)
    theme = visit.form.text("theme")
    if theme in THEMES:
        response.set_cookie(
            THEME_COOKIE, theme, max_age=YEAR_S, path=f"{visit.root}{HOME}", samesite="strict", secure=is_secure(visit)
        )
    return response


async def home(visit: Visit) -> Response:
    """The first page that the key may see."""
    if visit.caller is None:
        return visit.go("/sign-in")
    if visit.may(Scope.READ):
        return visit.go("/jobs")
    return visit.go("/operations" if visit.may(Scope.ADMIN) else "/playground")


PAGES = (
    Page("GET", "", home, scope=None),
    Page("GET", "/", home, scope=None),
    Page("GET", "/sign-in", show_sign_in, scope=None),
    Page("POST", "/sign-in", sign_in, scope=None),
    Page("GET", "/sign-in/link", show_link, scope=None),
    Page("POST", "/sign-in/link", use_link, scope=None),
    Page("POST", "/sign-out", sign_out, scope=None),
    Page("POST", "/theme", choose_theme, scope=None),
)
