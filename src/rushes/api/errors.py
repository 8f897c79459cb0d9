"""The one table from error to HTTP answer: application/problem+json as in RFC 9457."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rushes.api.reserved_words import unmistakable
from rushes.errors import (
    AccountBusy,
    AccountNameTaken,
    BodyTooLarge,
    BudgetExceeded,
    DatabaseUnavailable,
    EncodedBody,
    FieldError,
    FileExpired,
    GuardrailBlocked,
    GuardrailFailed,
    IdempotencyMismatch,
    InputQuotaReached,
    InvalidRequest,
    JobNotFinished,
    JobNotFound,
    KeyLimitReached,
    LimitReached,
    ModelNotFound,
    ModelRetired,
    NoCredentials,
    NotAbortable,
    NotAllowed,
    NotAuthenticated,
    NotCancellable,
    NotFound,
    NotRecoverable,
    NotRedeliverable,
    Overloaded,
    PriceUnknown,
    ProviderNotFound,
    RefusedAddress,
    RushesError,
    SignInUnavailable,
    SpendLimitReached,
    StorageUnavailable,
    TooManyWatchers,
    UnknownField,
    UnsupportedOption,
    UnusableInput,
    WebhookLimitReached,
    WrongContentType,
)
from rushes.intake.body import invalid_fields
from rushes.json_text import json_bytes
from rushes.views.times import rfc3339_or_none

PROBLEM_JSON = "application/problem+json"

Refusal = Callable[[Request, Exception], Response]
"""How a surface answers an exception."""

STATUS_OF: dict[type[RushesError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnsupportedOption: HTTPStatus.BAD_REQUEST,
    UnknownField: HTTPStatus.BAD_REQUEST,
    RefusedAddress: HTTPStatus.BAD_REQUEST,
    UnusableInput: HTTPStatus.BAD_REQUEST,
    InputQuotaReached: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    SpendLimitReached: HTTPStatus.PAYMENT_REQUIRED,
    PriceUnknown: HTTPStatus.PAYMENT_REQUIRED,
    BudgetExceeded: HTTPStatus.PAYMENT_REQUIRED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    LimitReached: HTTPStatus.TOO_MANY_REQUESTS,
    AccountNameTaken: HTTPStatus.CONFLICT,
    JobNotFound: HTTPStatus.NOT_FOUND,
    ModelNotFound: HTTPStatus.NOT_FOUND,
    ProviderNotFound: HTTPStatus.NOT_FOUND,
    NotFound: HTTPStatus.NOT_FOUND,
    IdempotencyMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    ModelRetired: HTTPStatus.BAD_REQUEST,
    NotCancellable: HTTPStatus.CONFLICT,
    NotRecoverable: HTTPStatus.CONFLICT,
    NotAbortable: HTTPStatus.CONFLICT,
    NotRedeliverable: HTTPStatus.CONFLICT,
    KeyLimitReached: HTTPStatus.CONFLICT,
    WebhookLimitReached: HTTPStatus.CONFLICT,
    JobNotFinished: HTTPStatus.CONFLICT,
    FileExpired: HTTPStatus.GONE,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    AccountBusy: HTTPStatus.TOO_MANY_REQUESTS,
    TooManyWatchers: HTTPStatus.TOO_MANY_REQUESTS,
    NoCredentials: HTTPStatus.SERVICE_UNAVAILABLE,
    GuardrailBlocked: HTTPStatus.BAD_REQUEST,
    GuardrailFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    SignInUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

_ID = re.compile(r"{[^{}]*}")

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

CODE_OF_STATUS = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.NOT_ACCEPTABLE: "not_acceptable",
    HTTPStatus.GONE: "gone",
    HTTPStatus.FORBIDDEN: "forbidden",
}


def problem_of(request: Request, error: Exception) -> Response:
    """The answer for any exception. What we did not raise on purpose becomes a 500 that shows nothing of our inside."""
    match error:
        case RushesError():
            return _problem_of_ours(request, error)
        case RequestValidationError():
            return _problem_of_ours(request, fields_of(error))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            return problem(
                request,
                status,
                code=CODE_OF_STATUS.get(status, status.phrase.lower().replace(" ", "_")),
                detail=detail_of(error),
                headers=headers_of_http(request, error),
            )
        case _:
            return problem(
                request,
                HTTPStatus.INTERNAL_SERVER_ERROR,
                code="internal",
                detail="Something went wrong on our side. Quote the request_id when you report it.",
            )


def status_of(error: RushesError) -> HTTPStatus | None:
    """The status of an error of ours; None for one that no caller should ever see."""
    return next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), None)


def headers_of(request: Request, error: RushesError) -> dict[str, str]:
    """What goes with an error of ours on every surface."""
    headers: dict[str, str] = {}
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, EncodedBody):
        # RFC 9110 (section 12.5.3): this header in an answer says which encodings a request may have.
        headers["Accept-Encoding"] = "identity"
    if getattr(request.state, "body_unread", False):
        # Else the server would read what is still to come, gigabytes perhaps, to keep the connection.
        headers["Connection"] = "close"
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return headers


def fields_of(error: RequestValidationError) -> InvalidRequest:
    """What the framework found wrong with a request's parameters, as an error of ours."""
    return invalid_fields(
        [FieldError(".".join(str(part) for part in item["loc"][1:]), item["msg"]) for item in error.errors()]
    )


def detail_of(error: HTTPException) -> str:
    """One sentence on an error that has little more than a status."""
    status = HTTPStatus(error.status_code)
    detail = error.detail if error.detail != status.phrase else _DETAIL.get(status, status.description)
    return detail or status.phrase


def headers_of_http(request: Request, error: HTTPException) -> dict[str, str]:
    """What goes with an error of the framework's: of a wrong method, the right ones."""
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return headers


def _allowed(request: Request) -> list[str]:
    """Every method of the address that was meant; the framework names only those of the first route that has it.

    Where a fixed word stands in the place of an id (`/webhooks/deliveries`), or ends it (`/models/veo:predict`), the
    address of the word is meant.
    """
    answered = [
        ((route.path.count("{"), -len(_ID.sub("", route.path))), route.methods)
        for route in iter_route_contexts(request.app.routes)
        if route.path is not None
        and route.methods is not None
        and route.path_regex is not None
        and route.path_regex.fullmatch(request.scope["path"])
    ]
    meant = min((shape for shape, _ in answered), default=None)
    found = {method for shape, methods in answered if shape == meant for method in methods}
    if "GET" in found:
        found.add("HEAD")
    return [method for method in METHODS if method in found]


_DETAIL = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address; GET /openapi.json lists what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not answer this method; see the Allow header",
}


def problem(
    request: Request,
    status: HTTPStatus,
    *,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    **extra: object,
) -> Response:
    """One problem document."""
    content = {
        "type": f"urn:rushes:error:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "request_id": getattr(request.state, "request_id", None),
        **extra,
    }
    return Response(json_bytes(content), status_code=status.value, headers=headers, media_type=PROBLEM_JSON)


def _problem_of_ours(request: Request, error: RushesError) -> Response:
    status = status_of(error)
    if status is None:
        return problem_of(request, RuntimeError(error.code))
    extra: dict[str, object] = {}
    if isinstance(error, InvalidRequest):
        extra["errors"] = [{"field": field.field, "message": field.message} for field in error.fields]
    if isinstance(error, UnsupportedOption | UnknownField | UnusableInput):
        extra["errors"] = [{"field": error.field, "message": error.message}]
    if isinstance(error, SpendLimitReached):
        extra["spend_limit"] = {
            "name": error.limit,
            "key_id": error.key_id,
            "limit": float(error.limit_usd),
            "spent": float(error.spent_usd),
            "reserved": float(error.reserved_usd),
            "cost": float(error.cost_usd),
            "currency": "USD",
            "resets_at": rfc3339_or_none(error.resets_at),
        }
    if isinstance(error, NotFound | UnknownField):
        extra["suggestions"] = list(error.suggestions)
    return problem(
        request, status, code=error.code, detail=unmistakable(error), headers=headers_of(request, error), **extra
    )
