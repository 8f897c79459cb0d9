"""/auth/oidc: what `rushes login` begins with, and an ID token in, an access token out."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.answers import json_response
from rushes.api.native.answers import problems
from rushes.api.native.tokens import FORM, AccessToken, read_form
from rushes.api.services import Services, services_of
from rushes.audit.actor import Actor, ActorKind, act_as
from rushes.errors import FieldError, InvalidRequest, SignInNotOffered
from rushes.identity.provider import IdentityProvider

router = APIRouter()

FORM_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["id_token"],
                    "properties": {
                        "id_token": {
                            "type": "string",
                            "minLength": 1,
                            "description": "An ID token for the client of `rushes login`, at most ten minutes old.",
                        }
                    },
                }
            }
        },
    }
}


class SignInOffer(BaseModel):
    """How a command signs a person in by the device flow (RFC 8628). The client is public: it has no secret."""

    issuer: str
    client_id: str
    scope: str
    device_authorization_endpoint: str
    token_endpoint: str


@router.get(
    "/auth/oidc",
    summary="How people sign in from the command line",
    response_model=SignInOffer,
    responses=problems(403, 404, 503),
)
async def get_sign_in(request: Request) -> Response:
    """404 where this service has no identity provider."""
    found = await _identity(services_of(request)).device_sign_in()
    return json_response(
        SignInOffer(
            issuer=found.issuer,
            client_id=found.client_id,
            scope=found.scope,
            device_authorization_endpoint=found.device_authorization_endpoint,
            token_endpoint=found.token_endpoint,
        )
    )


@router.post(
    "/auth/oidc",
    summary="Exchange an ID token for an access token",
    response_model=AccessToken,
    responses=problems(403, 404, 413, 415, 422, 503),
    openapi_extra=FORM_SCHEMA,
)
async def exchange_id_token(request: Request) -> Response:
    """Its claims give the account and the role. The access token ends at once if the person's key is revoked."""
    services = services_of(request)
    identity = _identity(services)
    form = parse_qs(await read_form(request), errors="replace")
    if "id_token" not in form:
        message = "is required; it is the ID token of the identity provider"
        raise InvalidRequest(f"id_token: {message}", [FieldError("id_token", message)])
    person = await identity.person_for_id_token(form["id_token"][0].strip())
    client = request.client
    act_as(
        Actor(
            ActorKind.PERSON,
            person.subject,
            name=person.name,
            address=None if client is None else client.host,
            request_id=request.state.request_id,
        )
    )
    key = await services.people.admit(person)
    request.state.caller = Caller(key.account_id, key.id, key.mode, key.scopes)
    token = services.tokens.issue(key.id, services.clock.now_ms() / 1000)
    return json_response(AccessToken(access_token=token), headers={"Cache-Control": "no-store"})


def _identity(services: Services) -> IdentityProvider:
    if services.identity is None:
        raise SignInNotOffered("This service has no identity provider (RUSHES_OIDC__ISSUER); use an API key")
    return services.identity
