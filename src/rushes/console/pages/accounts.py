"""Accounts with their limits and settings, for administrators."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from http import HTTPStatus

from starlette.responses import Response

from rushes.accounts.keys import Scope
from rushes.accounts.limits import LARGEST, LimitName
from rushes.catalogue.price import to_microusd, to_usd
from rushes.console.errors import field_errors, status_of
from rushes.console.pages.account_settings import changed_settings, settings_form
from rushes.console.pages.models import names_by_provider
from rushes.console.routes import Page
from rushes.console.visit import Form, Visit, sentence_of
from rushes.domain.tenant import tenant_of
from rushes.errors import CallerError, FieldError, InvalidRequest

PAGE_SIZE = 100
LONGEST_NAME = 200
MOST_KEYS = 200
USD_DECIMALS = 6
NAMES = {
    LimitName.SPEND_DAY: ("USD a day (UTC)", "What unfinished jobs have reserved counts as spent."),
    LimitName.SPEND_MONTH: ("USD a calendar month (UTC)", ""),
    LimitName.SPEND_EVER: ("USD of all time", ""),
    LimitName.REQUESTS_PER_MINUTE: ("Requests a minute", ""),
    LimitName.JOBS_IN_FLIGHT: ("Jobs at providers at one time", "Further ones wait in the queue."),
    LimitName.QUEUED_JOBS: ("Pending jobs at one time", "Further ones are refused."),
    LimitName.USER_REQUESTS_PER_MINUTE: ("Requests a minute of one user tag", "Of those that ask for a job."),
    LimitName.USER_SPEND_DAY: ("USD a day (UTC) of one user tag", ""),
}


async def list_accounts(visit: Visit) -> Response:
    """All accounts, oldest first."""
    return await _page(visit, Form())


async def make_account(visit: Visit) -> Response:
    """A new account; it has no key yet."""
    try:
        account = await visit.services.accounts.create(_name(visit.form))
    except CallerError as error:
        return await _page(visit, visit.form, error)
    return visit.go(f"/accounts/{account.id}")


async def show_account(visit: Visit) -> Response:
    """One account: its limits, its keys and what it has used."""
    return await _account_page(visit)


async def change_account(visit: Visit) -> Response:
    """Rename, disable or enable an account."""
    accounts = visit.services.accounts
    account_id = visit.request.path_params["account_id"]
    try:
        match visit.form.text("action"):
            case "rename":
                await accounts.rename(account_id, _name(visit.form))
            case "disable":
                await accounts.disable(account_id)
            case "enable":
                await accounts.enable(account_id)
    except CallerError as error:
        return await _account_page(visit, visit.form, error)
    return visit.go(f"/accounts/{account_id}")


async def change_limits(visit: Visit) -> Response:
    """Set the limits that are given, and lift those that are left empty."""
    account_id = visit.request.path_params["account_id"]
    await visit.services.accounts.get(account_id)
    try:
        changes = {name: _limit(visit.form, name) for name in LimitName}
    except CallerError as error:
        return await _account_page(visit, visit.form, error)
    await visit.services.limits.change(account_id, changes)
    return visit.go(f"/accounts/{account_id}", notice="saved")


async def change_settings(visit: Visit) -> Response:
    """Set what the account may use and what its requests get by default, and clear what is left empty."""
    account_id = visit.request.path_params["account_id"]
    await visit.services.accounts.get(account_id)
    try:
        changes = await changed_settings(visit, account_id, visit.form)
    except CallerError as error:
        return await _account_page(visit, visit.form, error)
    await visit.services.settings.change(account_id, changes)
    return visit.go(f"/accounts/{account_id}", notice="saved")


async def revoke_account_key(visit: Visit) -> Response:
    """Ask first, then end a key of any account."""
    parameters = visit.request.path_params
    record = await visit.services.keys.get_key(parameters["key_id"], account_id=parameters["account_id"])
    if not visit.form.has("confirmed"):
        return visit.page("revoke_key.html", key=record, is_own=record.id == visit.signed_in.key_id)
    await visit.services.keys.revoke_key(record.id, account_id=record.account_id)
    return visit.go(f"/accounts/{record.account_id}")


async def _page(visit: Visit, form: Form, error: CallerError | None = None) -> Response:
    at, _, account_id = visit.query.text("after").partition("-")
    after = (int(at), account_id) if at.isdecimal() and len(at) <= 18 else (0, "")
    accounts = await visit.services.accounts.list(after=after, most=PAGE_SIZE)
    last = accounts[-1] if len(accounts) == PAGE_SIZE else None
    errors = {} if error is None else field_errors(error)
    return visit.page(
        "accounts.html",
        status=HTTPStatus.OK if error is None else status_of(error),
        accounts=accounts,
        more=None if last is None else visit.path("/accounts", after=f"{last.created_at}-{last.id}"),
        form=form,
        errors=errors,
        error=None if error is None or errors else sentence_of(error),
    )


async def _account_page(visit: Visit, form: Form | None = None, error: CallerError | None = None) -> Response:
    services = visit.services
    account = await services.accounts.get(visit.request.path_params["account_id"])
    own = await services.limits.read(account.id)
    values = {name: _shown(name, own.of(name)) for name in LimitName}
    if form is not None and error is not None:
        values |= {name: form.text(name.value) for name in LimitName if form.has(name.value)}
    keys = await services.keys.keys_of(account.id, most=MOST_KEYS)
    used = [
        one for is_test in (False, True) for one in await services.usage.read(tenant_of(account.id, is_test=is_test))
    ]
    errors = {} if error is None else field_errors(error)
    return visit.page(
        "account.html",
        status=HTTPStatus.OK if error is None else status_of(error),
        account=account,
        keys=[(key, key.state(visit.now_ms)) for key in reversed(keys)],
        limits=[
            (name.value, *NAMES[name], values[name], _shown(name, services.default_limits.of(name)))
            for name in LimitName
        ],
        settings=await settings_form(visit, account.id, form if error is not None else None),
        models=names_by_provider(services.catalogue),
        jobs=sum(item.usage.jobs for item in used),
        cost_usd=sum((item.usage.cost_usd for item in used), Decimal(0)),
        errors=errors,
        error=None if error is None or errors else sentence_of(error),
    )


def _limit(form: Form, name: LimitName) -> int | None:
    text = form.given(name.value)
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise _wrong(name.value, "must be a number, or empty for no limit of its own") from None
    if not value.is_finite() or not 0 <= value <= LARGEST:
        raise _wrong(name.value, f"must be 0 to {LARGEST:,}")
    if name.is_money:
        if value != round(value, USD_DECIMALS):
            raise _wrong(name.value, f"may have at most {USD_DECIMALS} decimals")
        return to_microusd(value)
    if value != int(value) or value < 1:
        raise _wrong(name.value, "must be a whole number, 1 or more")
    return int(value)


def _shown(name: LimitName, value: int | None) -> str:
    if value is None:
        return ""
    return f"{to_usd(value).normalize():f}" if name.is_money else str(value)


def _name(form: Form) -> str:
    name = form.text("name")
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise _wrong("name", f"must be 1 to {LONGEST_NAME} printable characters")
    return name


def _wrong(field: str, trouble: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {trouble}", [FieldError(field, trouble)])


PAGES = (
    Page("GET", "/accounts", list_accounts, scope=Scope.ADMIN),
    Page("POST", "/accounts", make_account, scope=Scope.ADMIN),
    Page("GET", "/accounts/{account_id}", show_account, scope=Scope.ADMIN),
    Page("POST", "/accounts/{account_id}", change_account, scope=Scope.ADMIN),
    Page("POST", "/accounts/{account_id}/limits", change_limits, scope=Scope.ADMIN),
    Page("POST", "/accounts/{account_id}/settings", change_settings, scope=Scope.ADMIN),
    Page("POST", "/accounts/{account_id}/keys/{key_id}/revoke", revoke_account_key, scope=Scope.ADMIN),
)
