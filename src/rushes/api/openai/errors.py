"""Refusals as OpenAI's clients know them: `{"error": {message, type, param, code}}`, under their status codes.

A client makes its exception type from the status, so what has no class there takes the status of the nearest that has:
a malformed field is 400, a spent limit 429, a video that is no longer kept 404.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rushes.api.errors import CODE_OF_STATUS, detail_of, fields_of, headers_of, headers_of_http, status_of
from rushes.errors import (
    InvalidRequest,
    ModelNotFound,
    NotAuthenticated,
    NotFound,
    RushesError,
    UnknownField,
    UnsupportedOption,
    UnusableInput,
)
from rushes.json_text import json_bytes

PREFIX = "/v1"

SHOULD_RETRY = "x-should-retry"
"""OpenAI's clients repeat 409, 429 and 5xx by themselves; this header tells them whether that can help."""

_STATUS_THERE = {
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
    HTTPStatus.PAYMENT_REQUIRED: HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.GONE: HTTPStatus.NOT_FOUND,
}

_TYPE_OF_STATUS = {
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.PAYMENT_REQUIRED: "insufficient_quota",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}

_CODE_OF_STATUS = {
    HTTPStatus.PAYMENT_REQUIRED: "insufficient_quota",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
}

_CODE_THERE: dict[type[RushesError], str] = {
    NotAuthenticated: "invalid_api_key",
    InvalidRequest: "invalid_value",
    UnsupportedOption: "invalid_value",
    UnknownField: "unknown_parameter",
}
"""Where OpenAI has a word of its own; else ours stands."""

_REPEATABLE = frozenset({"GET", "HEAD"})


def is_ours(path: str) -> bool:
    """Whether an address belongs to this surface, also where there is nothing."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def envelope_of(request: Request, error: Exception) -> Response:
    """The answer for any exception. What we did not raise on purpose becomes a 500 that shows nothing of our inside."""
    match error:
        case RushesError():
            status = status_of(error)
            if status is not None:
                code = next((word for kind, word in _CODE_THERE.items() if isinstance(error, kind)), error.code)
                return _envelope(
                    status,
                    _message_of(error),
                    code,
                    param=_param_of(error),
                    headers=headers_of(request, error),
                    retry=error.retryable or error.retry_after_s is not None,
                )
        case RequestValidationError():
            refusal = fields_of(error)
            return _envelope(HTTPStatus.BAD_REQUEST, refusal.message, "invalid_value", param=_param_of(refusal))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            code = CODE_OF_STATUS.get(status, status.phrase.lower().replace(" ", "_"))
            return _envelope(status, detail_of(error), code, headers=headers_of_http(request, error))
    # A POST may have started something before it broke, and its repetition would start it once more.
    return _envelope(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong on our side. Quote the X-Request-Id header when you report it.",
        "internal",
        retry=None if request.method in _REPEATABLE else False,
    )


def _message_of(error: RushesError) -> str:
    # There is no field for near matches there.
    if isinstance(error, NotFound) and error.suggestions:
        return f"{error.message}; did you mean {' or '.join(repr(name) for name in error.suggestions)}?"
    return error.message


def _param_of(error: RushesError) -> str | None:
    match error:
        case InvalidRequest(fields=[first, *_]):
            return first.field
        case UnsupportedOption() | UnknownField() | UnusableInput():
            return error.field or None
        case ModelNotFound():
            return "model"
    return None


def _envelope(
    status: HTTPStatus,
    message: str,
    code: str,
    *,
    param: str | None = None,
    headers: dict[str, str] | None = None,
    retry: bool | None = None,
) -> Response:
    kind = _TYPE_OF_STATUS.get(status, "invalid_request_error" if status < 500 else "server_error")
    said = dict(headers or {})
    if retry is not None:
        said[SHOULD_RETRY] = "true" if retry else "false"
    content = {"error": {"message": message, "type": kind, "param": param, "code": _CODE_OF_STATUS.get(status, code)}}
    answered = _STATUS_THERE.get(status, status)
    return Response(json_bytes(content), answered.value, said, "application/json")
