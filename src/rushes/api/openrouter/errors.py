"""Refusals as OpenRouter's clients know them: `{"error": {code, message, metadata}}`, under their status codes.

A client makes its exception from the status, so what has none there takes the status of the nearest that has
(openrouter 1.3.84, its module `video_generation`). `code` is the status again, and `metadata` has what our own errors
say.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rushes.api.errors import CODE_OF_STATUS, detail_of, fields_of, headers_of, headers_of_http, status_of
from rushes.errors import (
    FieldError,
    GuardrailBlocked,
    InvalidRequest,
    NotFound,
    RushesError,
    UnknownField,
    UnsupportedOption,
    UnusableInput,
)
from rushes.json_text import json_bytes

_STATUS_THERE: Final = {
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.BAD_REQUEST,
}
_OF_A_SUBMIT: Final = {HTTPStatus.CONFLICT: HTTPStatus.BAD_REQUEST, HTTPStatus.GONE: HTTPStatus.BAD_REQUEST}
"""Of the video that a request wants to go on from; of a download they stay as they are."""


def envelope_of(request: Request, error: Exception) -> Response:
    """The answer for any exception. What we did not raise on purpose becomes a 500 that shows nothing of our inside."""
    match error:
        case RushesError():
            status = status_of(error)
            if isinstance(error, GuardrailBlocked):
                # There a prompt that moderation refuses is 403, with the reasons.
                status = HTTPStatus.FORBIDDEN
            if status is not None:
                return _envelope(request, status, error.message, _metadata(error), headers_of(request, error))
        case RequestValidationError():
            refusal = fields_of(error)
            return _envelope(request, HTTPStatus.BAD_REQUEST, refusal.message, _metadata(refusal))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            code = CODE_OF_STATUS.get(status, status.phrase.lower().replace(" ", "_"))
            return _envelope(request, status, detail_of(error), {"error_code": code}, headers_of_http(request, error))
    return _envelope(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong on our side. Quote the X-Request-Id header when you report it.",
        {"error_code": "internal"},
    )


def _metadata(error: RushesError) -> dict[str, Any]:
    metadata: dict[str, Any] = {"error_code": error.code}
    match error:
        case InvalidRequest():
            fields = list(error.fields)
        case UnsupportedOption() | UnknownField() | UnusableInput():
            fields = [FieldError(error.field, error.message)] if error.field else []
        case _:
            fields = []
    if fields:
        metadata["errors"] = [{"field": field.field, "message": field.message} for field in fields]
    if isinstance(error, GuardrailBlocked):
        metadata["reasons"] = [error.message]
    if isinstance(error, NotFound) and error.suggestions:
        metadata["suggestions"] = list(error.suggestions)
    return metadata


def _envelope(
    request: Request,
    status: HTTPStatus,
    message: str,
    metadata: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> Response:
    answered = _STATUS_THERE.get(status, status)
    if request.method == "POST":
        answered = _OF_A_SUBMIT.get(answered, answered)
    content = {"error": {"code": answered.value, "message": message, "metadata": metadata}}
    return Response(json_bytes(content), answered.value, headers, "application/json")
