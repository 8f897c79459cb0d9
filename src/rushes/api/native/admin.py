"""/admin/accounts: all accounts, their limits and usage. Needs the scope `admin`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from rushes.accounts.account_store import Account
from rushes.accounts.keys import Mode
from rushes.accounts.limits import WHOLE_ACCOUNT
from rushes.api.answers import json_response
from rushes.api.authentication import Administrator, administered_mode, require_live
from rushes.api.native.answers import problems
from rushes.api.native.key_shapes import LimitsView, Name, body_schema, limits_view, values_of
from rushes.api.native.paging import PARAMETERS, Cursor, ModeFilter, PageLimit, paged, place_after
from rushes.api.native.usage import AccountUsage, usage_of
from rushes.api.services import Services, services_of
from rushes.domain.tenant import tenant_of
from rushes.errors import FieldError
from rushes.intake.body import invalid_fields, read_json_object, refuse_unknown, shaped
from rushes.views.times import rfc3339, rfc3339_or_none

router = APIRouter()


class AccountView(BaseModel):
    """An account. While it is disabled its keys are answered 403; jobs under way go on."""

    id: str
    name: str
    created_at: str
    disabled_at: str | None


class AccountPage(BaseModel):
    """Accounts, oldest first."""

    accounts: list[AccountView]
    next_cursor: str | None


class NewAccountBody(BaseModel):
    """A new account."""

    name: Name


class AccountChange(BaseModel):
    """What is to change of an account; what is left out stays."""

    name: Name | None = None
    disabled: Annotated[bool | None, Field(strict=True)] = None


class LimitsAnswer(BaseModel):
    """Limits of its own that an account or a key has, and those in force for it."""

    own: LimitsView
    in_force: LimitsView


@router.get("/admin/accounts", summary="List accounts", response_model=AccountPage,
            responses=problems(400, 401, 422, 503))  # fmt: skip
async def list_accounts(
    request: Request, _caller: Administrator, limit: PageLimit = 100, cursor: Cursor = None
) -> Response:
    """Oldest first, with the disabled."""
    refuse_unknown(request.query_params, PARAMETERS, "parameter")
    found = await services_of(request).accounts.list(after=place_after(cursor), most=limit + 1)
    page, next_cursor = paged(found, limit)
    return json_response(AccountPage(accounts=[_view(account) for account in page], next_cursor=next_cursor))


@router.post("/admin/accounts", summary="Create an account", status_code=201, response_model=AccountView,
             responses=problems(400, 401, 409, 413, 415, 422, 503),
             openapi_extra=body_schema(NewAccountBody))  # fmt: skip
async def create_account(request: Request, _caller: Administrator) -> Response:
    """It has no key yet. 409 if the name is taken."""
    content = await read_json_object(request)
    refuse_unknown(content, NewAccountBody.model_fields)
    account = await services_of(request).accounts.create(shaped(NewAccountBody, content).name)
    return json_response(_view(account), status=201)


@router.get("/admin/accounts/{account_id}", summary="Get an account", response_model=AccountView,
            responses=problems(401, 404, 503))  # fmt: skip
async def get_account(request: Request, account_id: str, _caller: Administrator) -> Response:
    """By its id, not its name."""
    return json_response(_view(await services_of(request).accounts.get(account_id)))


@router.patch("/admin/accounts/{account_id}", summary="Rename, disable or enable an account",
              response_model=AccountView,
              responses=problems(400, 401, 404, 409, 413, 415, 422, 503),
              openapi_extra=body_schema(AccountChange))  # fmt: skip
async def update_account(request: Request, account_id: str, caller: Administrator) -> Response:
    """Works at once, in every process."""
    content = await read_json_object(request)
    refuse_unknown(content, AccountChange.model_fields)
    change = shaped(AccountChange, content)
    accounts = services_of(request).accounts
    account = await accounts.get(account_id)
    require_live(caller)
    if change.name is None and change.disabled is None:
        raise invalid_fields([FieldError("name", "or 'disabled' is required; there is nothing to change")])
    if change.name is not None:
        account = await accounts.rename(account_id, change.name)
    if change.disabled is not None:
        account = await (accounts.disable if change.disabled else accounts.enable)(account_id)
    return json_response(_view(account))


@router.get("/admin/accounts/{account_id}/limits", summary="Get an account's limits", response_model=LimitsAnswer,
            responses=problems(401, 404, 503))  # fmt: skip
async def get_limits(request: Request, account_id: str, _caller: Administrator) -> Response:
    """Its own, and with the defaults for all accounts those in force."""
    services = services_of(request)
    await services.accounts.get(account_id)
    return await limits_answer(services, account_id)


@router.put("/admin/accounts/{account_id}/limits", summary="Set an account's limits", response_model=LimitsAnswer,
            responses=problems(400, 401, 404, 413, 415, 422, 503), openapi_extra=body_schema(LimitsView))  # fmt: skip
async def put_limits(request: Request, account_id: str, caller: Administrator) -> Response:
    """Replaces all of its own; what is null or left out has the default for all accounts again."""
    services = services_of(request)
    await services.accounts.get(account_id)
    require_live(caller)
    await replace_limits(request, account_id)
    return await limits_answer(services, account_id)


@router.get("/admin/accounts/{account_id}/usage", summary="What an account has used", response_model=AccountUsage,
            responses=problems(401, 404, 422, 503))  # fmt: skip
async def get_account_usage(
    request: Request, account_id: str, caller: Administrator, mode: ModeFilter = None
) -> Response:
    """Of both modes, or of one as the account itself sees it; without `remaining`."""
    services = services_of(request)
    await services.accounts.get(account_id)
    mode = administered_mode(caller, mode)
    modes = tuple(Mode) if mode is None else (mode,)
    tenants = [tenant_of(account_id, is_test=one is Mode.TEST) for one in modes]
    return json_response(await usage_of(services, *tenants))


async def limits_answer(services: Services, account_id: str, key_id: str = WHOLE_ACCOUNT) -> Response:
    """The limits of an account or a key."""
    own = await services.limits.read(account_id, key_id)
    in_force = own.over(services.default_limits) if key_id == WHOLE_ACCOUNT else own
    return json_response(LimitsAnswer(own=limits_view(own), in_force=limits_view(in_force)))


async def replace_limits(request: Request, account_id: str, key_id: str = WHOLE_ACCOUNT) -> None:
    """Set what the body names, and take away what it does not."""
    content = await read_json_object(request)
    refuse_unknown(content, LimitsView.model_fields)
    changes = values_of(shaped(LimitsView, content))
    await services_of(request).limits.change(account_id, changes, key_id)


def _view(account: Account) -> AccountView:
    return AccountView(
        id=account.id,
        name=account.name,
        created_at=rfc3339(account.created_at),
        disabled_at=rfc3339_or_none(account.disabled_at),
    )
