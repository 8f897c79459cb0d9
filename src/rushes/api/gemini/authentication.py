"""Who is calling: by `x-goog-api-key`, `?key=` or a bearer, wherever Google's clients put the key."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from rushes.accounts.keys import Caller, Scope
from rushes.api.authentication import Documented, authenticate_secret, bearer_of, scope_for
from rushes.api.gemini.surface import google_keys
from rushes.errors import InvalidRequest, NotAuthenticated


async def authenticate(request: Request, _documented: Documented) -> Caller:
    """The caller, if its key has the scope that the method needs.

    Raises InvalidRequest where two keys are sent, or what `authenticate_secret` raises.
    """
    return await authenticate_secret(request, _key_of(request), scope_for(request))


async def authenticate_to_read(request: Request, _documented: Documented) -> Caller:
    """The same for a route that changes nothing, although its method is not GET."""
    return await authenticate_secret(request, _key_of(request), Scope.READ)


def _key_of(request: Request) -> str:
    found = set(google_keys(request.scope))
    bearer = bearer_of(request)
    if bearer is not None:
        found.add(bearer)
    if not found:
        raise NotAuthenticated(
            "No API key was sent; send it as 'x-goog-api-key: KEY', '?key=KEY' or 'Authorization: Bearer KEY'"
        )
    if len(found) > 1:
        # As Google has it: nothing says which of the keys is meant.
        raise InvalidRequest("Multiple authentication credentials received. Please pass only one.")
    return found.pop()


Authenticated = Annotated[Caller, Depends(authenticate)]
"""A route parameter: the caller, or the route is not reached. GET and HEAD need `read`, the others `generate`."""

Reader = Annotated[Caller, Depends(authenticate_to_read)]
"""A route parameter: a caller with the scope `read`, whatever the method."""
