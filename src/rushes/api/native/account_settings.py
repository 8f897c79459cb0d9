"""/admin/accounts/{account_id}/settings: which models accounts and keys may use, and what accounts get by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from rushes.accounts.account_settings import AccountSettings, SettingName
from rushes.accounts.model_access import without_model
from rushes.api.answers import json_response
from rushes.api.authentication import Administrator, require_live
from rushes.api.native.admin_keys import KEY, key_for
from rushes.api.native.answers import problems
from rushes.api.native.key_shapes import ModelPatterns, body_schema
from rushes.api.services import Services, services_of
from rushes.catalogue.choose import choose
from rushes.domain.fallbacks import MOST_FALLBACKS
from rushes.domain.options import LONGEST_NAME
from rushes.errors import CallerError, FieldError
from rushes.intake.body import invalid_fields, read_json_object, refuse_unknown, shaped
from rushes.intake.generation import LONGEST_RETENTION_S, known_end
from rushes.jobs.routing import OnRetired

Shape = TypeVar("Shape", bound=BaseModel)

router = APIRouter()

SETTINGS = "/admin/accounts/{account_id}/settings"

ModelName = Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_NAME)]


class KeySettingsView(BaseModel):
    """The settings of a key; null means that nothing is set."""

    models: ModelPatterns = None


class AccountSettingsView(KeySettingsView):
    """The settings of an account; null means that nothing is set."""

    default_model: ModelName | None = Field(None, description="For requests that name neither model nor provider.")
    fallback_models: list[ModelName] | None = Field(
        None, max_length=MOST_FALLBACKS, description="For requests that name none; what cannot take over is left out."
    )
    on_retired: Annotated[OnRetired | None, BeforeValidator(known_end)] = Field(
        None, description="`successor` or `refuse`; in place of the service's setting."
    )
    retention_s: float | None = Field(
        None,
        gt=0,
        le=LONGEST_RETENTION_S,
        strict=True,
        allow_inf_nan=False,
        description="How long finished videos are kept, in seconds; in place of the service's setting.",
    )


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
    _check_names(services, view)
    return _account_answer(services, await services.settings.change(account_id, _changes(view)))


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
    changes = _changes(await _given(request, KeySettingsView))
    return _key_answer(services, await services.settings.change(account_id, changes, key_id))


def settings_view(settings: AccountSettings) -> AccountSettingsView:
    """An account's settings as callers see them."""
    return AccountSettingsView(**_values(settings))


def _account_answer(services: Services, settings: AccountSettings) -> Response:
    return json_response(AccountSettingsAnswer(**_values(settings), warnings=_warnings(services, settings)))


def _key_answer(services: Services, settings: AccountSettings) -> Response:
    models = None if settings.models is None else list(settings.models)
    return json_response(KeySettingsAnswer(models=models, warnings=_warnings(services, settings)))


def _values(settings: AccountSettings) -> dict[str, Any]:
    values = {name.value: getattr(settings, name.value) for name in SettingName}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _warnings(services: Services, settings: AccountSettings) -> list[str]:
    unmatched = without_model(settings.models or (), services.catalogue.models())
    return [f"models: '{pattern}' matches no model of the catalogue" for pattern in unmatched]


async def _given(request: Request, shape: type[Shape]) -> Shape:
    content = await read_json_object(request)
    refuse_unknown(content, shape.model_fields)
    return shaped(shape, content)


def _changes(view: KeySettingsView) -> Mapping[SettingName, Any]:
    return {SettingName(name): value for name, value in view.model_dump().items()}


def _check_names(services: Services, view: AccountSettingsView) -> None:
    """Raise InvalidRequest naming the default or fallback model that the catalogue does not have."""
    named = [("default_model", view.default_model)]
    named += [(f"fallback_models.{index}", name) for index, name in enumerate(view.fallback_models or ())]
    for field, name in named:
        if name is None:
            continue
        try:
            choose(services.catalogue, name, None)
        except CallerError as error:
            raise invalid_fields([FieldError(field, error.message)]) from error
