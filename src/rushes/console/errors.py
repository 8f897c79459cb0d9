"""The console's one table from errors to pages: a status, a heading, and what the error says."""

from __future__ import annotations

import math
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from rushes.console.security import ForeignForm
from rushes.console.visit import Visit, sentence_of
from rushes.errors import (
    BodyTooLarge,
    CallerError,
    DatabaseUnavailable,
    FileExpired,
    InputQuotaReached,
    InvalidRequest,
    LimitReached,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Overloaded,
    RushesError,
    StorageUnavailable,
    UnknownField,
    UnsupportedOption,
    UnusableInput,
    WrongContentType,
)

STATUS_OF: dict[type[RushesError], HTTPStatus] = {
    ForeignForm: HTTPStatus.FORBIDDEN,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    FileExpired: HTTPStatus.GONE,
    LimitReached: HTTPStatus.TOO_MANY_REQUESTS,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    InputQuotaReached: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    CallerError: HTTPStatus.BAD_REQUEST,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

HEADINGS = {
    HTTPStatus.BAD_REQUEST: "That did not work",
    HTTPStatus.UNAUTHORIZED: "Sign in first",
    HTTPStatus.FORBIDDEN: "That is not allowed",
    HTTPStatus.NOT_FOUND: "Nothing here",
    HTTPStatus.METHOD_NOT_ALLOWED: "That does not work this way",
    HTTPStatus.GONE: "No longer kept",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Too large",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much at once",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available right now",
}
UNEXPECTED = "Something went wrong on our side. Quote the request id when you report it."
NO_PAGE = "There is no page at this address."


def status_of(error: RushesError) -> HTTPStatus:
    """The HTTP status of an error; 500 for one that no visitor should ever see."""
    return next(
        (STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def field_errors(error: RushesError) -> dict[str, str]:
    """What is wrong with which field of a form; empty if the error names none."""
    match error:
        case InvalidRequest():
            return {one.field.partition(".")[0]: _without_name(one.field, one.message) for one in error.fields}
        case UnsupportedOption() | UnknownField() | UnusableInput():
            return {error.field.partition(".")[0]: _without_name(error.field, error.message)} if error.field else {}
        case _:
            return {}


def answer_to(visit: Visit, error: Exception) -> Response:
    """A page, or JSON where a script of ours asks."""
    headers: dict[str, str] = {}
    match error:
        case RushesError():
            status = status_of(error)
            detail = sentence_of(error) if status is not HTTPStatus.INTERNAL_SERVER_ERROR else UNEXPECTED
            if error.retry_after_s is not None:
                headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            detail = NO_PAGE if error.detail == status.phrase else error.detail
            headers.update(error.headers or {})
        case _:
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED
    if getattr(visit.request.state, "body_unread", False):
        headers["Connection"] = "close"
    if visit.is_fetch:
        fields = field_errors(error) if isinstance(error, RushesError) else {}
        return JSONResponse({"error": detail, "fields": fields}, status_code=status.value, headers=headers)
    return visit.page(
        "error.html",
        status=status,
        headers=headers,
        heading=HEADINGS.get(status, "Something went wrong"),
        detail=detail,
        request_id=getattr(visit.request.state, "request_id", ""),
    )


def _without_name(field: str, message: str) -> str:
    # Beside the field its own name would be said twice.
    rest = message.removeprefix(f"{field}: ").removeprefix(f"{field} ")
    return rest[:1].upper() + rest[1:]
