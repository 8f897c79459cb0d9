"""Refusals as Google's clients know them: `{"error": {code, message, status, details}}`, a google.rpc.Status.

The Interactions API has a word in place of the number in `code`: Google's client reads no error that has a number there
(google-genai 3.6, `_gaos/types/interactions/error.py`). A wrong key is 400 there as at Google, and 401 as a bearer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rushes.api.errors import CODE_OF_STATUS, detail_of, fields_of, headers_of, headers_of_http, status_of
from rushes.api.gemini.surface import google_keys, speaks_interactions
from rushes.errors import (
    FieldError,
    InputQuotaReached,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    RushesError,
    UnknownField,
    UnsupportedOption,
    UnusableInput,
)
from rushes.json_text import json_bytes

TYPES: Final = "type.googleapis.com/google.rpc."
DOMAIN: Final = "rushes"
BAD_KEY: Final = "API_KEY_INVALID"


@dataclass(frozen=True, slots=True)
class Word:
    """How Google says a kind of refusal: the HTTP status, and its name in google.rpc.Code."""

    status: int
    name: str


_WORD_OF: Final = {
    HTTPStatus.BAD_REQUEST: Word(400, "INVALID_ARGUMENT"),
    HTTPStatus.UNAUTHORIZED: Word(401, "UNAUTHENTICATED"),
    HTTPStatus.PAYMENT_REQUIRED: Word(429, "RESOURCE_EXHAUSTED"),
    HTTPStatus.FORBIDDEN: Word(403, "PERMISSION_DENIED"),
    HTTPStatus.NOT_FOUND: Word(404, "NOT_FOUND"),
    HTTPStatus.METHOD_NOT_ALLOWED: Word(405, "UNIMPLEMENTED"),
    HTTPStatus.CONFLICT: Word(400, "FAILED_PRECONDITION"),
    HTTPStatus.GONE: Word(404, "NOT_FOUND"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Word(400, "INVALID_ARGUMENT"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Word(400, "INVALID_ARGUMENT"),
    HTTPStatus.UNPROCESSABLE_ENTITY: Word(400, "INVALID_ARGUMENT"),
    HTTPStatus.TOO_MANY_REQUESTS: Word(429, "RESOURCE_EXHAUSTED"),
    HTTPStatus.SERVICE_UNAVAILABLE: Word(503, "UNAVAILABLE"),
}
"""By the status of our own API. Google says a conflict as 400, because its clients repeat a 409 by themselves."""

_INTERNAL: Final = Word(500, "INTERNAL")
_CODE_IN_INTERACTIONS: Final = {"INVALID_ARGUMENT": "invalid_request"}


def envelope_of(request: Request, error: Exception) -> Response:
    """The answer for any exception. What we did not raise on purpose becomes a 500 that shows nothing of our inside."""
    match error:
        case NotAuthenticated() if google_keys(request.scope):
            # Its headers say how to authenticate; here it was the right way.
            return _envelope(
                request,
                _WORD_OF[HTTPStatus.BAD_REQUEST],
                "API key not valid. Please pass a valid API key.",
                [{**_reason(BAD_KEY), "domain": "googleapis.com"}],
            )
        case RushesError():
            status = status_of(error)
            if status is not None:
                word = _WORD_OF[HTTPStatus.TOO_MANY_REQUESTS if isinstance(error, InputQuotaReached) else status]
                return _envelope(request, word, _message_of(error), details_of(error), headers_of(request, error))
        case RequestValidationError():
            refusal = fields_of(error)
            return _envelope(request, _WORD_OF[HTTPStatus.BAD_REQUEST], refusal.message, details_of(refusal))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            code = CODE_OF_STATUS.get(status, status.phrase.lower().replace(" ", "_"))
            word = _WORD_OF.get(status, Word(status.value, "UNKNOWN"))
            return _envelope(request, word, detail_of(error), [_reason(code)], headers_of_http(request, error))
    return _envelope(
        request,
        _INTERNAL,
        "Something went wrong on our side. Quote the X-Request-Id header when you report it.",
        [_reason("internal")],
    )


def details_of(error: RushesError) -> list[dict[str, Any]]:
    """What Google's `details` say of an error of ours: its stable code, the fields at fault, when to try again."""
    details = [_reason(error.code)]
    violations = [{"field": field.field, "description": field.message} for field in _fields_of(error)]
    if violations:
        details.append({"@type": f"{TYPES}BadRequest", "fieldViolations": violations})
    if error.retry_after_s is not None:
        details.append({"@type": f"{TYPES}RetryInfo", "retryDelay": f"{math.ceil(error.retry_after_s)}s"})
    return details


def _reason(code: str) -> dict[str, Any]:
    return {"@type": f"{TYPES}ErrorInfo", "reason": code.upper(), "domain": DOMAIN, "metadata": {}}


def _fields_of(error: RushesError) -> list[FieldError]:
    match error:
        case InvalidRequest():
            return list(error.fields)
        case UnsupportedOption() | UnknownField() | UnusableInput():
            return [FieldError(error.field, error.message)] if error.field else []
    return []


def _message_of(error: RushesError) -> str:
    # There is no field for near matches there.
    if isinstance(error, NotFound) and error.suggestions:
        return f"{error.message}; did you mean {' or '.join(repr(name) for name in error.suggestions)}?"
    return error.message


def _envelope(
    request: Request,
    word: Word,
    message: str,
    details: list[dict[str, Any]],
    headers: dict[str, str] | None = None,
) -> Response:
    code: int | str = word.status
    if speaks_interactions(request.url.path):
        code = _CODE_IN_INTERACTIONS.get(word.name, word.name.lower())
    content = {"error": {"code": code, "message": message, "status": word.name, "details": details}}
    return Response(json_bytes(content), word.status, headers, "application/json")
