"""Who is calling: the bearer key of the request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from rushes.accounts.keys import Caller
from rushes.api.services import services_of
from rushes.errors import NotAuthenticated

_scheme = HTTPBearer(auto_error=False, description="An API key made by `rushes keys create`.", scheme_name="API key")


async def authenticate(request: Request, _documented: Annotated[object, Depends(_scheme)]) -> Caller:
    """Whoever the `Authorization: Bearer` key speaks for. Raises NotAuthenticated."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise NotAuthenticated("No API key was sent; send one as 'Authorization: Bearer KEY'")
    return await services_of(request).accounts.authenticate(key.strip())


Authenticated = Annotated[Caller, Depends(authenticate)]
"""A route parameter: the caller, or the route is not reached."""
