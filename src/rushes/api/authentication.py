"""Who is calling, by the bearer key of the request or the token that it was exchanged for, and may they do this?"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPBearer

from rushes.accounts.keys import Caller, Mode, Scope
from rushes.accounts.rate import WINDOW_MS, Rate, Standing
from rushes.accounts.tokens import PREFIX
from rushes.accounts.turns import take_turn
from rushes.api.http.response_headers import add_response_headers
from rushes.api.services import Services, services_of
from rushes.errors import FieldError, KeyRestricted, NotAuthenticated, ScopeMissing
from rushes.intake.acting import act_as_caller
from rushes.intake.body import invalid_fields

_scheme = HTTPBearer(
    auto_error=False,
    description="An API key made by `rushes keys create`. Google's routes take it as `x-goog-api-key` or `?key=` too.",
    scheme_name="API key",
)
Documented = Annotated[object, Depends(_scheme)]
"""A route parameter that has the OpenAPI document say how to authenticate."""

LIMIT_HEADERS = {
    name: {"description": meaning, "schema": {"type": "string"}}
    for name, meaning in (
        ("Retry-After", "After how many seconds the same request may be sent again."),
        (
            "RateLimit-Policy",
            'The limits on requests, in every answer to a limited key; such as `"default";q=600;w=60`.',
        ),
        ("RateLimit", 'The requests left (`r`) and for how many seconds (`t`); such as `"default";r=512;t=30`.'),
    )
}
"""The OpenAPI entries of what a 429 says."""

OTHER_KEY_HEADERS = ("X-API-Key", "api-key", "x-goog-api-key", "X-Auth-Token", "Ocp-Apim-Subscription-Key")
"""Where clients of other services put a key."""

ModeParameter = Annotated[
    Mode | None, Query(alias="mode", description="`test` shows a live key what test keys of its account have made.")
]

LOOKING = frozenset({"GET", "HEAD"})


async def authenticate(request: Request, _documented: Documented) -> Caller:
    """The caller of the `Authorization: Bearer` key or token, if it has the scope that the method needs.

    The request counts against the caller's rate. Raises NotAuthenticated, AccountDisabled, ScopeMissing or RateLimited.
    """
    return await _authenticate(request, scope_for(request))


async def authenticate_to_view(request: Request, documented: Documented, mode: ModeParameter = None) -> Caller:
    """The same for a route that only shows something: a live key may ask for what its account has in test mode.

    Raises KeyRestricted if a test key asks for live mode.
    """
    return (await authenticate(request, documented)).looking_at(mode)


async def view_directly(request: Request, _documented: object = None) -> Caller:
    """The same for a route that bypasses the framework."""
    given = request.query_params.get("mode") if request.scope["query_string"] else None
    if given is not None and given not in set(Mode):
        raise invalid_fields([FieldError("mode", "must be 'live' or 'test'")])
    return (await authenticate(request, None)).looking_at(None if given is None else Mode(given))


async def authenticate_to_read(request: Request, _documented: Documented) -> Caller:
    """The same for a route that changes nothing, although its method is not GET."""
    return await _authenticate(request, Scope.READ)


async def authenticate_to_manage(request: Request, _documented: Documented) -> Caller:
    """The same for routes that manage keys, webhooks and signing secrets."""
    return await _authenticate(request, Scope.MANAGE)


async def authenticate_unmetered(request: Request, _documented: Documented) -> Caller:
    """The same for a route that finds out by itself whether the request counts against the rate."""
    caller = await _identify(request, services_of(request))
    if scope_for(request) not in caller.scopes:
        await meter(request, caller)
    require(caller, scope_for(request))
    return caller


async def authenticate_administrator(request: Request, _documented: Documented) -> Caller:
    """The caller, if it may govern all accounts. Raises as `authenticate` does."""
    return await _authenticate(request, Scope.ADMIN)


def administered_mode(caller: Caller, asked: Mode | None) -> Mode | None:
    """Which mode of all accounts an administrator gets, where `asked` is wanted; None for both.

    Raises KeyRestricted if a test key asks for live mode.
    """
    caller.looking_at(asked)
    return Mode.TEST if caller.mode is Mode.TEST else asked


def require_live(caller: Caller) -> None:
    """Raise KeyRestricted if a test key is about to change what live keys rely on."""
    if caller.mode is Mode.TEST:
        raise KeyRestricted("A test key changes nothing that live keys rely on; use a live key with the scope 'admin'")


async def authenticate_any(request: Request) -> Caller:
    """The caller of the bearer key, whatever it may do: a route that does many things asks `require` for each.

    The request counts against the caller's rate. Raises NotAuthenticated, AccountDisabled or RateLimited.
    """
    return await _admitted(request, await _identify(request, services_of(request)))


async def authenticate_secret(request: Request, secret: str, scope: Scope) -> Caller:
    """The caller of this key or token, wherever it was sent, if it has the scope. Raises what `authenticate` raises."""
    caller = await _admitted(request, await _caller_of(request, services_of(request), secret))
    require(caller, scope)
    return caller


async def authenticate_link(request: Request, key_id: str, scope: Scope) -> Caller:
    """The caller that a signed link speaks for, by the id of the key that it was made with, if that has this scope.

    Raises NotAuthenticated once the key is revoked, and what `authenticate` raises.
    """
    caller = await services_of(request).keys.authenticate_by_id(key_id)
    act_as_caller(request, caller)
    await take_turn(request.scope["state"], caller.account_id)
    await _admitted(request, caller)
    require(caller, scope)
    return caller


async def check_again(request: Request, caller: Caller) -> None:
    """Raise NotAuthenticated, AccountDisabled or ScopeMissing if a key may no longer look on; counted by no rate."""
    now = await _identify(request, services_of(request))
    if (now.account_id, now.key_id) != (caller.account_id, caller.key_id):
        raise NotAuthenticated("The key speaks for another account now")
    require(now, Scope.READ)


async def meter(request: Request, caller: Caller, *, counted: bool = True) -> None:
    """Tell the rates of the account and key with the answer, the request counted if it is. Raises RateLimited."""
    rates = services_of(request).rates
    _tell(request, await rates.admit(caller) if counted else rates.standing(caller))


async def _authenticate(request: Request, scope: Scope) -> Caller:
    # The rate comes before the scope: it also slows a client that repeats a request without the scope.
    caller = await authenticate_any(request)
    require(caller, scope)
    return caller


async def _admitted(request: Request, caller: Caller) -> Caller:
    _tell(request, await services_of(request).rates.admit(caller))
    return caller


def _tell(request: Request, standing: Standing) -> None:
    if standing.rates:
        add_response_headers(request.scope, _rate_headers(standing.rates))
        standing.check()


async def _identify(request: Request, services: Services) -> Caller:
    # Cookies are not read: what a browser sends along by itself, any page could make it send.
    bearer = bearer_of(request)
    if bearer is None:
        raise NotAuthenticated(_without_key(request))
    return await _caller_of(request, services, bearer)


def bearer_of(request: Request) -> str | None:
    """What the Authorization header holds, if it is a bearer key or token."""
    scheme, _, rest = _authorization(request).partition(" ")
    bearer = rest.strip()
    return bearer if scheme.lower() == "bearer" and bearer else None


async def _caller_of(request: Request, services: Services, secret: str) -> Caller:
    try:
        if secret.startswith(PREFIX):
            key_id = services.tokens.key_id_of(secret, services.clock.now_ms() / 1000)
            caller = await services.keys.authenticate_by_id(key_id)
        else:
            caller = await services.keys.authenticate(secret)
    except NotAuthenticated:
        # What counts bad keys need not know with which status a surface answers them.
        request.state.key_is_bad = True
        raise
    act_as_caller(request, caller)
    await take_turn(request.scope["state"], caller.account_id)
    return caller


def _without_key(request: Request) -> str:
    """Why there is no key, naming the header in which one may have come, never its value."""
    how = "send the key as 'Authorization: Bearer KEY'"
    if request.headers.get("authorization", "").strip():
        return f"The Authorization header holds no bearer key; {how}"
    seen = next((name for name in OTHER_KEY_HEADERS if name in request.headers), None)
    if seen is not None:
        return f"A key in the header {seen} is not read here; {how}"
    return f"No API key was sent; {how}"


def _authorization(request: Request) -> str:
    # Looked for by hand: every request pays for it.
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            return bytes(value).decode("latin-1")
    return ""


def scope_for(request: Request) -> Scope:
    """The scope that the request's method needs."""
    return Scope.READ if request.method in LOOKING else Scope.GENERATE


def require(caller: Caller, scope: Scope) -> None:
    """Raise ScopeMissing if the caller's key does not have this scope."""
    if scope not in caller.scopes:
        raise ScopeMissing(f"This needs a key with the scope '{scope}', which this API key does not have")


def _rate_headers(rates: tuple[Rate, ...]) -> dict[str, str]:
    # draft-ietf-httpapi-ratelimit-headers-10, as structured fields.
    window_s = WINDOW_MS // 1000
    return {
        "RateLimit-Policy": ", ".join(f'"{rate.policy}";q={rate.quota};w={window_s}' for rate in rates),
        "RateLimit": ", ".join(f'"{rate.policy}";r={rate.remaining};t={rate.reset_s}' for rate in rates),
    }


Authenticated = Annotated[Caller, Depends(authenticate)]
"""A route parameter: the caller, or the route is not reached. GET and HEAD need `read`, the others `generate`."""

Reader = Annotated[Caller, Depends(authenticate_to_read)]
"""A route parameter: a caller with the scope `read`, whatever the method."""

Manager = Annotated[Caller, Depends(authenticate_to_manage)]
"""A route parameter: a caller with the scope `generate`, whatever the method."""

AuthenticatedUnmetered = Annotated[Caller, Depends(authenticate_unmetered)]
"""The same for a route that calls `meter` itself."""

Viewer = Annotated[Caller, Depends(authenticate_to_view)]
"""A route parameter: a caller with the scope `read`, who may look at test mode with `?mode=test`."""

Administrator = Annotated[Caller, Depends(authenticate_administrator)]
"""A route parameter: a caller with the scope `admin`, or the route is not reached."""
