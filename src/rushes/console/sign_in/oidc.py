"""Signing in through the identity provider: there by a redirect, back with a code.

The session's cookie is SameSite=Strict, and a browser sends no such cookie while it follows a redirect from another
site. So the way back ends in a page of ours, which goes on by itself. A cookie of its own binds the way back to this
browser: SameSite=Lax, sealed, and used once.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from rushes.accounts.people import Person
from rushes.audit.actor import Actor, ActorKind, act_as
from rushes.console.routes import Page
from rushes.console.security import local_path
from rushes.console.sign_in.cookies import is_secure, set_session
from rushes.console.sign_in.resume import form_to_send_again, kept_form, sign_in_page
from rushes.console.visit import HOME, Visit, sentence_of
from rushes.errors import CallerError, NotAllowed, RushesError, SignInRefused, SignInUnavailable
from rushes.identity.provider import IdentityProvider, SignIn
from rushes.sealing import Unsealable

STATE_COOKIE = "rushes_console_oidc"
STATE_S = 600
PLACE = f"{HOME}/sign-in/oidc"
CONTEXT = "sign-in"
LONGEST_CODE = 4096
LONGEST_NEXT = 1000
NOT_BEGUN = "This sign-in was not begun in this browser, or it was begun more than ten minutes ago. Please try again."


async def begin(visit: Visit) -> Response:
    """Send the browser to the identity provider."""
    identity = _identity(visit)
    sign_in = SignIn.begin()
    try:
        address = await identity.authorization_url(sign_in, _redirect_uri(visit))
    except RushesError as error:
        return _refused(visit, error)
    next_path = local_path(visit.query.given("next"), HOME, HOME)
    kept = {
        **asdict(sign_in),
        "next": next_path if len(next_path) <= LONGEST_NEXT else HOME,
        "until": _now_s(visit) + STATE_S,
    }
    response = RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)
    _set_state(response, visit, visit.services.sign_in_sealer.seal(json.dumps(kept), CONTEXT), STATE_S)
    return response


async def come_back(visit: Visit) -> Response:
    """Let the person in that the identity provider has sent back with a code."""
    identity = _identity(visit)
    try:
        sign_in, next_path = _begun(visit)
        code = _code(visit)
        person = await identity.person_for_code(code, sign_in, _redirect_uri(visit))
        response = await _let_in(visit, person, next_path)
    except RushesError as error:
        response = _refused(visit, error)
    _set_state(response, visit, "", 0)
    return response


async def resume(visit: Visit) -> Response:
    """The form that was typed before the session ended, to be sent again."""
    kept = kept_form(visit)
    if visit.caller is None:
        return visit.go("/sign-in")
    return visit.go("") if kept is None else await form_to_send_again(visit, *kept)


def _begun(visit: Visit) -> tuple[SignIn, str]:
    """What this browser began. Raises SignInRefused unless the provider has sent back its state."""
    cookie = visit.request.cookies.get(STATE_COOKIE)
    if cookie is None:
        raise SignInRefused(NOT_BEGUN)
    try:
        kept = json.loads(visit.services.sign_in_sealer.open(cookie, CONTEXT))
    except Unsealable:
        raise SignInRefused(NOT_BEGUN) from None
    given = visit.query.text("state")
    if kept["until"] < _now_s(visit) or not hmac.compare_digest(
        kept["state"].encode(), given.encode("utf-8", "replace")
    ):
        raise SignInRefused(NOT_BEGUN)
    return SignIn(kept["state"], kept["nonce"], kept["verifier"]), str(kept["next"])


def _code(visit: Visit) -> str:
    error = visit.query.given("error")
    if error == "access_denied":
        raise SignInRefused("The sign-in was cancelled at your identity provider")
    if error is not None:
        raise SignInUnavailable(f"The identity provider could not sign you in ('{error[:60]}'); please try again")
    code = visit.query.text("code")
    if not 0 < len(code) <= LONGEST_CODE:
        raise SignInRefused("The identity provider has sent no code; please try again")
    return code


async def _let_in(visit: Visit, person: Person, next_path: str) -> Response:
    client, state = visit.request.client, visit.request.state
    act_as(
        Actor(
            ActorKind.PERSON,
            person.subject,
            name=person.name,
            address=None if client is None else client.host,
            request_id=state.request_id,
        )
    )
    services = visit.services
    key = await services.people.admit(person)
    visit.caller = await services.keys.authenticate_by_id(key.id)
    state.caller = visit.caller
    token = await services.sessions.open(key.id, lifetime_s=services.session_s)
    visit.token, visit.form_secret, visit.new_form_secret = token, token, None
    response = visit.page("signed_in.html", address=f"{visit.root}{next_path}")
    set_session(response, visit, token)
    return response


def _refused(visit: Visit, error: RushesError) -> Response:
    if isinstance(error, NotAllowed):
        status = HTTPStatus.FORBIDDEN
    else:
        status = HTTPStatus.CONFLICT if isinstance(error, CallerError) else HTTPStatus.SERVICE_UNAVAILABLE
    return sign_in_page(visit, status=status, error=sentence_of(error))


def _identity(visit: Visit) -> IdentityProvider:
    identity = visit.services.identity
    if identity is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return identity


def _redirect_uri(visit: Visit) -> str:
    return f"{visit.services.links.base(visit.request)}{PLACE}/callback"


def _now_s(visit: Visit) -> int:
    return visit.now_ms // 1000


def _set_state(response: Response, visit: Visit, value: str, max_age_s: int) -> None:
    response.set_cookie(
        STATE_COOKIE,
        value,
        max_age=max_age_s,
        path=f"{visit.root}{PLACE}",
        httponly=True,
        samesite="lax",
        secure=is_secure(visit),
    )


PAGES = (
    Page("GET", "/sign-in/oidc", begin, scope=None),
    Page("GET", "/sign-in/oidc/callback", come_back, scope=None),
    Page("POST", "/sign-in/resume", resume, scope=None),
)
