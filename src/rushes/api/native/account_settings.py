"""/admin/accounts/{account_id}/settings: which models accounts and keys may use, and what accounts get by default."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes.accounts.account_settings import AccountSettings, SettingName
from rushes.api.answers import json_response
from rushes.api.authentication import Administrator, require_live
from rushes.api.native.admin_keys import KEY, key_for
from rushes.api.native.answers import problems
from rushes.api.native.key_shapes import body_schema
from rushes.api.services import Services, services_of
from rushes.intake.account_settings import (
    AccountSettingsView,
    KeySettingsView,
    changes_of,
    check_names,
    warnings_of,
)
from rushes.intake.body import read_json_object, refuse_unknown, shaped

Shape = TypeVar("Shape", bound=BaseModel)

router = APIRouter()

SETTINGS = "/admin/accounts/{account_id}/settings"


class AccountSettingsAnswer(AccountSettingsView):
    """What is set of an account, and what the operator should know of it."""

    warnings: list[str]


class KeySettingsAnswer(KeySettingsView):
    """What is set of a key, and what the operator should know of it."""

    warnings: list[str]


@router.get(SETTINGS, summary="Get an account's settings", response_model=AccountSettingsAnswer,
            responses=problems(401, 404, 503))  # fmt: skip
async def get_account_settings(request: Request, account_id: str, _caller: Administrator) -> Response:
    """Which models it may use, and what its requests get by default."""
    services = services_of(request)
    await services.accounts.get(account_id)
    return _account_answer(services, await services.settings.read(account_id))


@router.put(SETTINGS, summary="Set an account's settings", response_model=AccountSettingsAnswer,
            responses=problems(400, 401, 404, 413, 415, 422, 503),
            openapi_extra=body_schema(AccountSettingsView))  # fmt: skip
async def put_account_settings(request: Request, account_id: str, caller: Administrator) -> Response:
    """Replaces all of them, in force at once; what is null or left out is cleared."""
    services = services_of(request)
    await services.accounts.get(account_id)
    require_live(caller)
    view = await _given(request, AccountSettingsView)
    check_names(services.catalogue, view)
    return _account_answer(services, await services.settings.change(account_id, changes_of(view)))


@router.get(KEY + "/settings", summary="Get a key's settings", response_model=KeySettingsAnswer,
            responses=problems(401, 404, 503))  # fmt: skip
async def get_key_settings(request: Request, account_id: str, key_id: str, caller: Administrator) -> Response:
    """Which models it may use, of those that its account may."""
    services = services_of(request)
    await key_for(request, caller, account_id, key_id)
    return _key_answer(services, await services.settings.read(account_id, key_id))


@router.put(KEY + "/settings", summary="Set a key's settings", response_model=KeySettingsAnswer,
            responses=problems(400, 401, 404, 413, 415, 422, 503),
            openapi_extra=body_schema(KeySettingsView))  # fmt: skip
async def put_key_settings(request: Request, account_id: str, key_id: str, caller: Administrator) -> Response:
    """Replaces all of them, in force at once; what is null or left out is cleared."""
    services = services_of(request)
    await key_for(request, caller, account_id, key_id)
    changes = changes_of(await _given(request, KeySettingsView))
    return _key_answer(services, await services.settings.change(account_id, changes, key_id))


def settings_view(settings: AccountSettings) -> AccountSettingsView:
    """An account's settings as callers see them."""
    return AccountSettingsView(**_values(settings))


def _account_answer(services: Services, settings: AccountSettings) -> Response:
    return json_response(AccountSettingsAnswer(**_values(settings), warnings=warnings_of(services.catalogue, settings)))


def _key_answer(services: Services, settings: AccountSettings) -> Response:
    models = None if settings.models is None else list(settings.models)
    return json_response(KeySettingsAnswer(models=models, warnings=warnings_of(services.catalogue, settings)))


def _values(settings: AccountSettings) -> dict[str, Any]:
    values = {name.value: getattr(settings, name.value) for name in SettingName}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


async def _given(request: Request, shape: type[Shape]) -> Shape:
    content = await read_json_object(request)
    refuse_unknown(content, shape.model_fields)
    return shaped(shape, content)
