"""GET /user/me: who the caller is here, and what they may do."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes.accounts.keys import Mode, Scope
from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated
from rushes.api.native.account_settings import settings_view
from rushes.api.native.answers import problems
from rushes.api.native.key_shapes import KeyView, LimitsView, key_view, limits_view
from rushes.api.native.usage import Remaining, remaining_of
from rushes.api.services import services_of
from rushes.intake.account_settings import AccountSettingsView, KeySettingsView
from rushes.views.times import rfc3339

router = APIRouter()


class OwnAccount(BaseModel):
    """The caller's account."""

    id: str
    name: str
    created_at: str


class OwnLimits(BaseModel):
    """What limits the account, and what limits this key besides."""

    account: LimitsView
    key: LimitsView


class OwnSettings(BaseModel):
    """What the account's requests get by default, and which models the account and this key may use."""

    account: AccountSettingsView
    key: KeySettingsView


class Me(BaseModel):
    """The account and the key of the caller."""

    account: OwnAccount
    key: KeyView
    mode: Mode
    scopes: list[Scope]
    limits: OwnLimits
    settings: OwnSettings
    remaining: Remaining


@router.get("/user/me", summary="Who am I", response_model=Me, responses=problems(401, 503))
async def get_me(request: Request, caller: Authenticated) -> Response:
    """The account, the key with its mode and scopes, the limits in force and what they leave."""
    services = services_of(request)
    account = await services.accounts.get(caller.account_id)
    record = await services.keys.get_key(caller.key_id)
    of_account, of_key = await services.allowances.limits(caller.account_id, caller.key_id)
    key = key_view(record, services.clock.now_ms())
    return json_response(
        Me(
            account=OwnAccount(id=account.id, name=account.name, created_at=rfc3339(account.created_at)),
            key=key,
            mode=key.mode,
            scopes=key.scopes,
            limits=OwnLimits(account=limits_view(of_account), key=limits_view(of_key)),
            settings=OwnSettings(
                account=settings_view(await services.settings.read(caller.account_id)),
                key=KeySettingsView(models=key.models),
            ),
            remaining=await remaining_of(services, caller),
        )
    )
