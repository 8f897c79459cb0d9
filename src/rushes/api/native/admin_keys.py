"""/admin/accounts/{account_id}/keys: the keys of any account, and their limits. Needs the scope `admin`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.accounts.key_store import no_such_key
from rushes.accounts.keys import USUAL_SCOPES, Caller, Mode
from rushes.api.answers import json_response
from rushes.api.authentication import Administrator, administered_mode
from rushes.api.native.admin import LimitsAnswer, limits_answer, replace_limits
from rushes.api.native.answers import problems
from rushes.api.native.key_shapes import (
    KeyChange,
    KeyPage,
    KeyView,
    LimitsView,
    NewKeyBody,
    NewKeyView,
    body_schema,
    change_key,
    key_page,
    key_view,
    new_key_body,
    new_key_response,
)
from rushes.api.native.paging import PARAMETERS, Cursor, ModeFilter, PageLimit
from rushes.api.services import services_of
from rushes.intake.body import refuse_unknown

router = APIRouter()

KEYS = "/admin/accounts/{account_id}/keys"
KEY = KEYS + "/{key_id}"


@router.get(KEYS, summary="List an account's keys", response_model=KeyPage, responses=problems(400, 401, 404, 422, 503))
async def list_keys(
    request: Request,
    account_id: str,
    caller: Administrator,
    limit: PageLimit = 100,
    cursor: Cursor = None,
    mode: ModeFilter = None,
) -> Response:
    """Oldest first, with the revoked; never a key itself."""
    refuse_unknown(request.query_params, (*PARAMETERS, "mode"), "parameter")
    await services_of(request).accounts.get(account_id)
    return await key_page(request, account_id, limit, cursor, administered_mode(caller, mode))


@router.post(KEYS, summary="Make a key for an account", status_code=201, response_model=NewKeyView,
             responses=problems(400, 401, 404, 409, 413, 415, 422, 503),
             openapi_extra=body_schema(NewKeyBody))  # fmt: skip
async def create_key(request: Request, account_id: str, caller: Administrator) -> Response:
    """By default of this key's mode, with all scopes but `admin`. The key is in this answer alone."""
    services = services_of(request)
    await services.accounts.get(account_id)
    body = await new_key_body(request)
    administered_mode(caller, body.mode)
    record, key = await services.keys.create_key_for(
        account_id,
        name=body.name,
        mode=caller.mode if body.mode is None else body.mode,
        lifetime_s=body.expires_in_s,
        scopes=USUAL_SCOPES if body.scopes is None else frozenset(body.scopes),
        models=body.patterns,
    )
    return new_key_response(record, key, services.clock.now_ms())


@router.patch(KEY, summary="Rename, disable or enable any key", response_model=KeyView,
              responses=problems(400, 401, 404, 413, 415, 422, 503), openapi_extra=body_schema(KeyChange))  # fmt: skip
async def update_key(request: Request, account_id: str, key_id: str, caller: Administrator) -> Response:
    """Works at once, in every process."""
    await key_for(request, caller, account_id, key_id)
    record = await change_key(request, account_id, key_id)
    return json_response(key_view(record, services_of(request).clock.now_ms()))


@router.post(KEY + "/revoke", summary="Revoke any key", response_model=KeyView, responses=problems(401, 404, 503))
async def revoke_key(request: Request, account_id: str, key_id: str, caller: Administrator) -> Response:
    """Ends the key at once and forever; it stays in the list."""
    await key_for(request, caller, account_id, key_id)
    services = services_of(request)
    record = await services.keys.revoke_key(key_id, account_id=account_id)
    return json_response(key_view(record, services.clock.now_ms()))


@router.delete(KEY, summary="Delete any key", status_code=204, response_class=Response,
               responses=problems(401, 404, 503))  # fmt: skip
async def delete_key(request: Request, account_id: str, key_id: str, caller: Administrator) -> Response:
    """Ends it at once and forgets it with its limits; its jobs stay."""
    await key_for(request, caller, account_id, key_id)
    await services_of(request).keys.delete_key(key_id, account_id=account_id)
    return Response(status_code=204)


@router.get(KEY + "/limits", summary="Get a key's limits", response_model=LimitsAnswer,
            responses=problems(401, 404, 503))  # fmt: skip
async def get_key_limits(request: Request, account_id: str, key_id: str, caller: Administrator) -> Response:
    """They hold besides its account's; a key has none if none were set."""
    services = services_of(request)
    await key_for(request, caller, account_id, key_id)
    return await limits_answer(services, account_id, key_id)


@router.put(KEY + "/limits", summary="Set a key's limits", response_model=LimitsAnswer,
            responses=problems(400, 401, 404, 413, 415, 422, 503), openapi_extra=body_schema(LimitsView))  # fmt: skip
async def put_key_limits(request: Request, account_id: str, key_id: str, caller: Administrator) -> Response:
    """Replaces all limits of the key itself; a limit that is null or left out is removed."""
    services = services_of(request)
    await key_for(request, caller, account_id, key_id)
    await replace_limits(request, account_id, key_id)
    return await limits_answer(services, account_id, key_id)


async def key_for(request: Request, caller: Caller, account_id: str, key_id: str) -> None:
    """Raise KeyNotFound if the account has no such key; for a test key, live keys are not there."""
    record = await services_of(request).keys.get_key(key_id, account_id=account_id)
    if caller.mode is Mode.TEST and record.mode is Mode.LIVE:
        raise no_such_key(key_id)
