"""Keys and limits as callers and administrators see them, and what they send to make or change them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import Request
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import KeyRecord, Mode, Scope
from rushes.accounts.limits import LARGEST, LimitName, Limits
from rushes.accounts.model_access import Patterns
from rushes.api.answers import json_response
from rushes.api.native.paging import paged, place_after
from rushes.api.services import services_of
from rushes.catalogue.price import to_microusd, to_usd
from rushes.errors import FieldError
from rushes.intake.account_settings import ModelPatterns
from rushes.intake.body import invalid_fields, read_json_object, refuse_unknown, shaped
from rushes.views.times import rfc3339, rfc3339_or_none

LONGEST_LIFETIME_S = 100 * 366 * 86_400
USD_DECIMALS = 6
"""What is smaller than a millionth of a dollar is not kept."""

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Most = Annotated[int | None, Field(ge=1, le=LARGEST, strict=True)]


class KeyView(BaseModel):
    """An API key without the key itself; `hint` is its last four characters."""

    id: str
    name: str
    mode: Mode
    scopes: list[Scope]
    hint: str
    models: list[str] | None = Field(description="Patterns of the models it may use; null for all of its account's.")
    state: str = Field(description="`valid`, `disabled`, `expired` or `revoked`.")
    created_at: str
    expires_at: str | None
    disabled_at: str | None
    revoked_at: str | None


class NewKeyView(KeyView):
    """A key that was just made. `key` is shown this once."""

    key: str


class KeyPage(BaseModel):
    """Keys, oldest first."""

    keys: list[KeyView]
    next_cursor: str | None


class NewKeyBody(BaseModel):
    """What a new key is to be."""

    name: Name = "default"
    mode: Mode | None = Field(None, description="`live` or `test`.")
    scopes: list[Scope] | None = Field(
        None, min_length=1, max_length=10, description="Some of `read`, `generate`, `manage`, `admin`."
    )
    expires_in_s: Annotated[int | None, Field(strict=True, ge=1, le=LONGEST_LIFETIME_S)] = Field(
        None, description="After how many seconds it ends; never if it is left out."
    )
    models: ModelPatterns = Field(None, description="Which models it may use; all of its account's if it is left out.")

    @property
    def patterns(self) -> Patterns | None:
        """The models that it may use."""
        return None if self.models is None else tuple(self.models)


class KeyChange(BaseModel):
    """What is to change of a key; what is left out stays."""

    name: Name | None = None
    disabled: Annotated[bool | None, Field(strict=True)] = Field(
        None, description="True shuts the key out at once, false lets it in again."
    )


def _exact(usd: float | None) -> float | None:
    if usd is not None and Decimal(str(usd)) != round(Decimal(str(usd)), USD_DECIMALS):
        raise PydanticCustomError("not_exact", "Must have at most 6 decimals")
    return usd


Usd = Annotated[float | None, Field(ge=0, le=LARGEST, strict=True, allow_inf_nan=False), AfterValidator(_exact)]


class LimitsView(BaseModel):
    """Limits; null means none. Spending is in USD, with at most 6 decimals; unfinished jobs count as spent."""

    spend_day: Usd = Field(None, description="USD per day (UTC).")
    spend_month: Usd = Field(None, description="USD per calendar month (UTC).")
    spend_ever: Usd = Field(None, description="USD of all time.")
    requests_per_minute: Most = None
    jobs_in_flight: Most = Field(None, description="At a provider at one time; further jobs wait in the queue.")
    queued_jobs: Most = Field(None, description="Pending at one time; further jobs are refused.")
    user_requests_per_minute: Most = Field(None, description="Requests for a job that name the same `user`.")
    user_spend_day: Usd = Field(None, description="USD per day (UTC) for jobs of the same `user`.")


def limits_view(limits: Limits) -> LimitsView:
    """Limits as callers see them."""
    return LimitsView.model_validate(
        {name.value: float(to_usd(value)) if name.is_money else value for name, value in limits.named()}
    )


def values_of(view: LimitsView) -> dict[LimitName, int | None]:
    """What such limits are in the database; null takes one away."""
    given = {name: getattr(view, name.value) for name in LimitName}
    return {
        name: to_microusd(Decimal(str(value))) if name.is_money and value is not None else value
        for name, value in given.items()
    }


def key_view(record: KeyRecord, now_ms: int) -> KeyView:
    """A key as callers see it."""
    return KeyView(**_view(record, now_ms))


def new_key_response(record: KeyRecord, key: str, now_ms: int) -> Response:
    """A new key, which no cache may keep."""
    made = NewKeyView(**_view(record, now_ms), key=key)
    return json_response(made, status=201, headers={"Cache-Control": "no-store"})


async def key_page(request: Request, account_id: str, limit: int, cursor: str | None, mode: Mode | None) -> Response:
    """A page of an account's keys, of both modes or of one."""
    services = services_of(request)
    found = await services.keys.keys_of(account_id, after=place_after(cursor), most=limit + 1, mode=mode)
    page, next_cursor = paged(found, limit)
    now_ms = services.clock.now_ms()
    return json_response(KeyPage(keys=[key_view(record, now_ms) for record in page], next_cursor=next_cursor))


async def change_key(request: Request, account_id: str, key_id: str) -> KeyRecord:
    """Do what a KeyChange in the body says to a key of this account."""
    content = await read_json_object(request)
    refuse_unknown(content, KeyChange.model_fields)
    change = shaped(KeyChange, content)
    keys: KeyStore = services_of(request).keys
    record = await keys.get_key(key_id, account_id=account_id)
    if change.name is not None:
        record = await keys.rename_key(key_id, change.name, account_id=account_id)
    if change.disabled is not None:
        turn = keys.disable_key if change.disabled else keys.enable_key
        record = await turn(key_id, account_id=account_id)
    if change.name is None and change.disabled is None:
        raise invalid_fields([FieldError("name", "or 'disabled' is required; there is nothing to change")])
    return record


async def new_key_body(request: Request) -> NewKeyBody:
    """What a new key is to be, as the body says."""
    content = await read_json_object(request)
    refuse_unknown(content, NewKeyBody.model_fields)
    return shaped(NewKeyBody, content)


def body_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI entry of a body that a route reads by itself."""
    content = {"application/json": {"schema": shape.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def _view(record: KeyRecord, now_ms: int) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "mode": record.mode,
        "scopes": [scope for scope in Scope if scope in record.scopes],
        "hint": record.hint,
        "models": None if record.models is None else list(record.models),
        "state": record.state(now_ms),
        "created_at": rfc3339(record.created_at),
        "expires_at": rfc3339_or_none(record.expires_at),
        "disabled_at": rfc3339_or_none(record.disabled_at),
        "revoked_at": rfc3339_or_none(record.revoked_at),
    }
