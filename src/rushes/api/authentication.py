"""Who is calling: the bearer key of the request, or the access token that it was exchanged for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from rushes.accounts.keys import Caller
from rushes.accounts.tokens import PREFIX
from rushes.api.services import services_of
from rushes.errors import NotAuthenticated

_scheme = HTTPBearer(auto_error=False, description="An API key made by `rushes keys create`.", scheme_name="API key")


async def authenticate(request: Request, _documented: Annotated[object, Depends(_scheme)]) -> Caller:
    """Whoever the `Authorization: Bearer` key or token speaks for. Raises NotAuthenticated.

    Cookies are not read: what a browser sends along by itself, any page could make it send.
    """
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    bearer = rest.strip()
    if scheme.lower() != "bearer" or not bearer:
        raise NotAuthenticated("No API key was sent; send one as 'Authorization: Bearer KEY'")
    services = services_of(request)
    if bearer.startswith(PREFIX):
        key_id = services.tokens.key_id_of(bearer, services.clock.now_ms() / 1000)
        caller = await services.accounts.authenticate_by_id(key_id)
    else:
        caller = await services.accounts.authenticate(bearer)
    request.state.caller = caller
    return caller


Authenticated = Annotated[Caller, Depends(authenticate)]
"""A route parameter: the caller, or the route is not reached."""
