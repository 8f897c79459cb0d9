"""/user/api-keys: the keys of the caller's own account. A key neither makes nor changes one that may do more."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.accounts.grants import check_grant, check_reach
from rushes.accounts.keys import USUAL_SCOPES, Caller, Mode, Scope
from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated, Manager
from rushes.api.native.answers import problems
from rushes.api.native.key_shapes import (
    KeyChange,
    KeyPage,
    KeyView,
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
from rushes.api.services import Services, services_of
from rushes.errors import KeyRestricted
from rushes.intake.body import refuse_unknown

router = APIRouter()


@router.get("/user/api-keys", summary="List the account's keys", response_model=KeyPage,
            responses=problems(400, 401, 422, 503))  # fmt: skip
async def list_own_keys(
    request: Request, caller: Authenticated, limit: PageLimit = 100, cursor: Cursor = None, mode: ModeFilter = None
) -> Response:
    """Oldest first, with the revoked; never a key itself. A test key sees test keys only."""
    refuse_unknown(request.query_params, (*PARAMETERS, "mode"), "parameter")
    caller.looking_at(mode)
    shown = Mode.TEST if caller.mode is Mode.TEST else mode
    return await key_page(request, caller.account_id, limit, cursor, shown)


@router.post("/user/api-keys", summary="Make a key", status_code=201, response_model=NewKeyView,
             responses=problems(400, 401, 409, 413, 415, 422, 503), openapi_extra=body_schema(NewKeyBody))  # fmt: skip
async def create_own_key(request: Request, caller: Manager) -> Response:
    """The key is in this answer and nowhere else. Without a word it has the caller's mode and usual scopes."""
    body = await new_key_body(request)
    services = services_of(request)
    mode = caller.mode if body.mode is None else body.mode
    scopes = caller.scopes & USUAL_SCOPES if body.scopes is None else frozenset(body.scopes)
    await _check_grant(services, caller, mode, scopes, body)
    record, key = await services.keys.create_key_for(
        caller.account_id, name=body.name, mode=mode, lifetime_s=body.expires_in_s, scopes=scopes, models=body.patterns
    )
    return new_key_response(record, key, services.clock.now_ms())


@router.patch("/user/api-keys/{key_id}", summary="Rename, disable or enable a key", response_model=KeyView,
              responses=problems(400, 401, 404, 413, 415, 422, 503), openapi_extra=body_schema(KeyChange))  # fmt: skip
async def update_own_key(request: Request, key_id: str, caller: Manager) -> Response:
    """Works at once, in every process. A key cannot disable itself."""
    if key_id == caller.key_id:
        raise KeyRestricted("A key cannot change itself; use another one of the account")
    services = services_of(request)
    await check_reach(services.keys, services.limits, caller, key_id)
    record = await change_key(request, caller.account_id, key_id)
    return json_response(key_view(record, services.clock.now_ms()))


@router.post("/user/api-keys/{key_id}/revoke", summary="Revoke a key", response_model=KeyView,
             responses=problems(401, 404, 503))  # fmt: skip
async def revoke_own_key(request: Request, key_id: str, caller: Manager) -> Response:
    """Ends the key at once and forever, also if it is the one that asks; it stays in the list."""
    services = services_of(request)
    await check_reach(services.keys, services.limits, caller, key_id)
    record = await services.keys.revoke_key(key_id, account_id=caller.account_id)
    return json_response(key_view(record, services.clock.now_ms()))


@router.delete("/user/api-keys/{key_id}", summary="Delete a key", status_code=204, response_class=Response,
               responses=problems(401, 404, 503))  # fmt: skip
async def delete_own_key(request: Request, key_id: str, caller: Manager) -> Response:
    """Ends the key at once and forgets it with its limits; its jobs stay."""
    services = services_of(request)
    await check_reach(services.keys, services.limits, caller, key_id)
    await services.keys.delete_key(key_id, account_id=caller.account_id)
    return Response(status_code=204)


async def _check_grant(
    services: Services, caller: Caller, mode: Mode, scopes: frozenset[Scope], body: NewKeyBody
) -> None:
    _, limits = await services.allowances.limits(caller.account_id, caller.key_id)
    own = await services.keys.get_key(caller.key_id)
    now_ms = services.clock.now_ms()
    check_grant(
        caller,
        own,
        mode,
        scopes,
        body.expires_in_s,
        models=body.patterns,
        has_limits=limits.are_set,
        now_ms=now_ms,
    )
