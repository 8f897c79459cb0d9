"""Refusals as MCP clients know them: JSON-RPC errors, or results of tools that are errors."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rushes.api.errors import CODE_OF_STATUS, detail_of, fields_of, headers_of, headers_of_http, status_of
from rushes.errors import (
    InvalidRequest,
    NotFound,
    RushesError,
    UnknownField,
    UnsupportedOption,
    UnusableInput,
)
from rushes.json_text import json_bytes

PATH = "/mcp"

PARSE_ERROR = -32700
INVALID_MESSAGE = -32600
INTERNAL = -32603
REFUSED = -32000
"""From the range that JSON-RPC leaves to servers: the HTTP status and `data.code` say more."""

_CODE_OF_STATUS = {HTTPStatus.UNPROCESSABLE_ENTITY: INVALID_MESSAGE, HTTPStatus.INTERNAL_SERVER_ERROR: INTERNAL}
_STATUS_THERE = {HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST}

OUR_SIDE = "Something went wrong on our side. Quote the request id '{}' when you report it."


def is_ours(path: str) -> bool:
    """Whether an address belongs to this surface."""
    return path == PATH or path.startswith(f"{PATH}/")


def envelope_of(request: Request, error: Exception) -> Response:
    """The answer to a message that did not reach a tool."""
    match error:
        case RushesError():
            status = status_of(error)
            if status is not None:
                return _envelope(status, message_of(error), facts_of(error), headers_of(request, error))
        case RequestValidationError():
            refusal = fields_of(error)
            return _envelope(HTTPStatus.BAD_REQUEST, refusal.message, facts_of(refusal), {})
        case HTTPException():
            status = HTTPStatus(error.status_code)
            code = CODE_OF_STATUS.get(status, status.phrase.lower().replace(" ", "_"))
            return _envelope(status, detail_of(error), {"code": code}, headers_of_http(request, error))
    request_id = getattr(request.state, "request_id", None)
    return _envelope(HTTPStatus.INTERNAL_SERVER_ERROR, OUR_SIDE.format(request_id), {"code": "internal"}, {})


def message_of(error: RushesError) -> str:
    """What went wrong and what to do, for a reader that sees nothing else."""
    message = error.message
    if isinstance(error, NotFound) and error.suggestions:
        message += f"; did you mean {' or '.join(repr(name) for name in error.suggestions)}?"
    if error.retry_after_s is not None:
        message += f" (the same call may be sent again in {math.ceil(error.retry_after_s)} s)"
    return message


def facts_of(error: RushesError) -> dict[str, Any]:
    """The same for programs: a stable code, the arguments at fault, near names, when to try again."""
    facts: dict[str, Any] = {"code": error.code}
    if isinstance(error, InvalidRequest) and error.fields:
        facts["errors"] = [{"field": field.field, "message": field.message} for field in error.fields]
    if isinstance(error, UnsupportedOption | UnknownField | UnusableInput) and error.field:
        facts["errors"] = [{"field": error.field, "message": error.message}]
    if isinstance(error, NotFound | UnknownField) and error.suggestions:
        facts["suggestions"] = list(error.suggestions)
    if error.retry_after_s is not None:
        facts["retry_after_s"] = math.ceil(error.retry_after_s)
    return facts


def _envelope(status: HTTPStatus, message: str, data: dict[str, Any], headers: dict[str, str]) -> Response:
    code = PARSE_ERROR if data["code"] == "not_json" else _CODE_OF_STATUS.get(status, REFUSED)
    content = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message, "data": data}}
    return Response(json_bytes(content), _STATUS_THERE.get(status, status).value, headers, "application/json")
