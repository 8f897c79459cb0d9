"""The console's cookies. They are sent to the console's paths alone, so the API does not even see them."""

from __future__ import annotations

from starlette.responses import Response

from rushes.console.visit import HOME, Visit

SESSION_COOKIE = "rushes_console"
FORM_COOKIE = "rushes_console_form"
"""What the tokens of forms are bound to before there is a session."""


def is_secure(visit: Visit) -> bool:
    """Whether the browser came by https, as the proxy in front of us says."""
    return visit.request.url.scheme == "https"


def set_session(response: Response, visit: Visit, token: str) -> None:
    """Keep a session in the browser for as long as it can last."""
    _set(response, visit, SESSION_COOKIE, token, int(visit.services.session_s))


def end_session(response: Response, visit: Visit) -> None:
    """Take the session from the browser."""
    _set(response, visit, SESSION_COOKIE, "", 0)


def keep_form_secret(response: Response, visit: Visit) -> None:
    """Keep what the forms of a visitor without a session are bound to, until the browser is closed."""
    _set(response, visit, FORM_COOKIE, visit.new_form_secret or "", None)


def _set(response: Response, visit: Visit, name: str, value: str, max_age_s: int | None) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=f"{visit.root}{HOME}",
        httponly=True,
        samesite="strict",
        secure=is_secure(visit),
    )
