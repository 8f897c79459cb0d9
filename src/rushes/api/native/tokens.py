"""POST /auth/...: an API key in, an access token out, for clients that log in before they call."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes.accounts.tokens import LIFETIME_S
from rushes.api.answers import json_response
from rushes.api.native.answers import problems
from rushes.api.services import services_of
from rushes.errors import BodyTooLarge, FieldError, InvalidRequest, NotAuthenticated, WrongContentType
from rushes.intake.body import refuse_encoding

router = APIRouter()

FORM = "application/x-www-form-urlencoded"
LARGEST_FORM_BYTES = 16 * 1024
COOKIE = "access_token"

HEADER_SCHEMA = {
    "parameters": [
        {"name": "X-API-Key", "in": "header", "required": True, "schema": {"type": "string"}, "description": "The key."}
    ]
}
FORM_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["password"],
                    "properties": {
                        "password": {"type": "string", "minLength": 1, "description": "The API key."},
                        "username": {"type": "string", "description": "Anything; not read."},
                    },
                }
            }
        },
    }
}


class AccessToken(BaseModel):
    """What to send as `Authorization: Bearer` for the next `expires_in` seconds."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = LIFETIME_S


@router.post(
    "/auth/api-key",
    summary="Exchange an API key for an access token",
    response_model=AccessToken,
    responses=problems(401, 503),
    openapi_extra=HEADER_SCHEMA,
)
async def exchange_header(request: Request) -> Response:
    """Takes the key in `X-API-Key`. A key works as bearer itself; a token is for clients that want one."""
    return await _exchange(request, request.headers.get("x-api-key", "").strip(), "X-API-Key: KEY")


@router.post(
    "/auth/token",
    summary="Exchange an API key for an access token, as a form",
    response_model=AccessToken,
    responses=problems(401, 413, 415, 422, 503),
    openapi_extra=FORM_SCHEMA,
)
async def exchange_form(request: Request) -> Response:
    """Takes the key as the form's `password`, whatever the `username`."""
    form = parse_qs(await read_form(request), errors="replace")
    if "password" not in form:
        message = "is required; it is the API key"
        raise InvalidRequest(f"password: {message}", [FieldError("password", message)])
    return await _exchange(request, form["password"][0].strip(), "the form field 'password'")


async def _exchange(request: Request, key: str, how: str) -> Response:
    if not key:
        raise NotAuthenticated(f"No API key was sent; send one as {how}")
    services = services_of(request)
    # A token is no key: if it were accepted here, a stolen one could be prolonged forever.
    caller = await services.keys.authenticate(key)
    token = services.tokens.issue(caller.key_id, services.clock.now_ms() / 1000)
    response = json_response(AccessToken(access_token=token), headers={"Cache-Control": "no-store"})
    # The published client warns where this cookie is missing. It is never read (rushes.api.authentication).
    response.set_cookie(
        COOKIE,
        token,
        max_age=LIFETIME_S,
        httponly=True,
        samesite="lax",
        # As callers see us: a proxy may have ended TLS.
        secure=services.links.base(request).startswith("https://"),
    )
    return response


async def read_form(request: Request) -> str:
    """The text of a small form. Raises WrongContentType or BodyTooLarge."""
    refuse_encoding(request)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM:
        raise WrongContentType(f"The body must be {FORM}, not '{content_type or 'of no stated type'}'")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM_BYTES:
            raise BodyTooLarge(
                f"The form is larger than {LARGEST_FORM_BYTES // 1024} KiB; it need only hold a key or token"
            )
    return body.decode("utf-8", "replace")
