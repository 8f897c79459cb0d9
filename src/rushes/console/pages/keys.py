"""API keys of the account: made, shown once, and revoked. The rules are those of the API."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from rushes.accounts.grants import check_grant, check_reach
from rushes.accounts.keys import Mode, Scope
from rushes.console.errors import field_errors, status_of
from rushes.console.routes import Page
from rushes.console.visit import Form, Visit, sentence_of
from rushes.errors import CallerError, FieldError, InvalidRequest

MOST_KEYS = 200
LONGEST_NAME = 200
DAY_S = 86_400
LIFETIMES = {"": "Never", "1": "In a day", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}


async def list_keys(visit: Visit) -> Response:
    """The keys, and the form that makes one."""
    return await _page(visit, Form([("scopes", "read"), ("scopes", "generate"), ("scopes", "manage")]))


async def make_key(visit: Visit) -> Response:
    """Make a key, and show it this once."""
    form, services, caller = visit.form, visit.services, visit.signed_in
    try:
        name = _name(form)
        mode = Mode.TEST if form.text("mode") == Mode.TEST else Mode.LIVE
        scopes = frozenset(Scope(one) for one in form.all("scopes") if one in set(Scope))
        days = form.given("days")
        if days is not None and days not in LIFETIMES:
            raise _wrong("days", "is not one of the choices")
        lifetime_s = None if days is None else int(days) * DAY_S
        own = await services.keys.get_key(caller.key_id)
        _, limits = await services.allowances.limits(caller.account_id, caller.key_id)
        check_grant(caller, own, mode, scopes, lifetime_s, has_limits=limits.are_set, now_ms=visit.now_ms)
        record, key = await services.keys.create_key_for(
            caller.account_id, name=name, mode=mode, lifetime_s=lifetime_s, scopes=scopes
        )
    except CallerError as error:
        return await _page(visit, form, error)
    return visit.page("key_made.html", key=record, text=key)


async def revoke_key(visit: Visit) -> Response:
    """Ask first, then end the key at once."""
    services, caller = visit.services, visit.signed_in
    key_id = visit.request.path_params["key_id"]
    record = await check_reach(services.keys, services.limits, caller, key_id)
    if not visit.form.has("confirmed"):
        return visit.page("revoke_key.html", key=record, is_own=key_id == caller.key_id)
    await services.keys.revoke_key(key_id, account_id=caller.account_id)
    return visit.go("/keys", notice="revoked")


async def _page(visit: Visit, form: Form, error: CallerError | None = None) -> Response:
    caller = visit.signed_in
    shown = Mode.TEST if caller.mode is Mode.TEST else None
    keys = await visit.services.keys.keys_of(caller.account_id, most=MOST_KEYS, mode=shown)
    errors = {} if error is None else field_errors(error)
    return visit.page(
        "keys.html",
        status=HTTPStatus.OK if error is None else status_of(error),
        keys=[(key, key.state(visit.now_ms)) for key in reversed(keys)],
        form=form,
        errors=errors,
        error=None if error is None or errors else sentence_of(error),
        lifetimes=LIFETIMES,
        scopes=[scope for scope in Scope if scope in visit.signed_in.scopes],
        is_full=len(keys) == MOST_KEYS,
    )


def _name(form: Form) -> str:
    name = form.text("name")
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise _wrong("name", f"must be 1 to {LONGEST_NAME} printable characters")
    return name


def _wrong(field: str, trouble: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {trouble}", [FieldError(field, trouble)])


PAGES = (
    Page("GET", "/keys", list_keys),
    Page("POST", "/keys", make_key, scope=Scope.MANAGE),
    Page("POST", "/keys/{key_id}/revoke", revoke_key, scope=Scope.MANAGE),
)
