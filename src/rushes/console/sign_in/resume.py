"""A form that was sent when its session had ended: nothing that was typed is lost."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from rushes.console.pages.playground import refilled
from rushes.console.security import CSRF_FIELD, local_path
from rushes.console.visit import HOME, Form, Visit

NOT_KEPT = (CSRF_FIELD, "byok_api_key", "key", "keep", "keep_action")
"""Tokens and secrets are typed again rather than written into a page."""
LONGEST_SHOWN = 200


def sign_in_first(visit: Visit) -> Response:
    """The way to sign in for a visitor without a session, and back to where they were."""
    request = visit.request
    if visit.is_fetch or request.headers.get("accept", "").startswith("text/event-stream"):
        detail = "Your session has ended; sign in again"
        return JSONResponse({"error": detail, "fields": {}}, status_code=HTTPStatus.UNAUTHORIZED)
    if request.method == "POST":
        action = visit.place
        return sign_in_page(
            visit,
            status=HTTPStatus.UNAUTHORIZED,
            keep_action=action,
            keep=json.dumps(visit.form.without(*NOT_KEPT).pairs),
            message="Your session has ended. Sign in again: what you typed is kept.",
        )
    if request.headers.get("sec-fetch-site") == "cross-site":
        # Strict cookies are not sent when a link on another site leads here. Loading the page again from a page of
        # ours sends them.
        return visit.page("reload.html", address=_here(visit))
    query = f"?{request.url.query}" if request.url.query else ""
    here = f"{visit.place}{query}"
    return visit.go("/sign-in", next=None if here == HOME else here)


def sign_in_page(
    visit: Visit,
    *,
    status: int = HTTPStatus.OK,
    keep_action: str = "",
    keep: str = "",
    next_path: str = "",
    message: str | None = None,
    error: str | None = None,
) -> Response:
    """The form that asks for a key."""
    return visit.page(
        "sign_in.html",
        status=status,
        keep_action=keep_action,
        keep=keep,
        next_path=next_path,
        message=message,
        error=error,
        identity=visit.services.identity,
    )


def kept_form(visit: Visit) -> tuple[str, Form] | None:
    """The form that was kept through signing in, and where it was to be sent; None if no form was kept."""
    action = local_path(visit.form.text("keep_action"), HOME, "")
    if not action:
        return None
    try:
        pairs = [(str(name), str(value)) for name, value in json.loads(visit.form.text("keep"))]
    except (ValueError, TypeError):
        return None
    return action, Form(pairs)


async def form_to_send_again(visit: Visit, action: str | None = None, form: Form | None = None) -> Response:
    """What was typed, ready to be sent with a fresh token. It is never sent by itself."""
    kept = (visit.form if form is None else form).without(*NOT_KEPT)
    path = visit.place if action is None else action
    if path == f"{HOME}/playground":
        return await refilled(visit, kept)
    shown = [(name, value[:LONGEST_SHOWN]) for name, value in kept.pairs if value]
    return visit.page("resume.html", action=f"{visit.root}{path}", form=kept, shown=shown)


def _here(visit: Visit) -> str:
    url = visit.request.url
    return f"{visit.root}{visit.place}{'?' if url.query else ''}{url.query}"
