"""What a route declares of its answers: problems and files."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from rushes.api.authentication import LIMIT_HEADERS
from rushes.api.document import Documented
from rushes.api.errors import PROBLEM_JSON
from rushes.api.native.schemas import Problem

_MEANING = {
    400: "An option that the model does not offer, or an unknown field",
    401: "No key, or an unknown, expired, disabled or revoked one",
    402: "A spend limit is reached, or cannot be kept because a price is not known",
    403: "The key may not do this, or its account is disabled; the link is forged or has expired",
    404: "No such job, model or provider",
    406: "The answer's type is not one that `Accept` allows",
    409: "The job's status does not allow this, or the name is taken",
    410: "The video is no longer kept",
    413: "The body is too large",
    415: "The body is not of a type that we read",
    422: "Malformed body, wrong type or value out of range",
    429: "A limit of the account or the key is reached, or too many streams and waiting requests are open; see"
    " `Retry-After`",
    503: "No credentials for the provider, or the service cannot take requests now",
}

_HEADERS: dict[int, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {"description": "How to authenticate.", "required": True, "schema": {"const": "Bearer"}},
    },
    429: LIMIT_HEADERS,
}


_PROBLEM = Problem.model_json_schema()
"""Made once: making it takes a millisecond, and nearly every route declares it."""


def problems(*statuses: int) -> Documented:
    """The OpenAPI entries for these statuses. A route declares each that it can answer: a test holds it to that.

    A caller that can get 401 can also lack a scope or meet a limit, so these need not be named.
    """
    if HTTPStatus.UNAUTHORIZED in statuses:
        statuses = tuple(sorted({*statuses, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}))
    return {
        status: {
            "description": _MEANING[status],
            "headers": dict(_HEADERS.get(status, {})),
            "content": {PROBLEM_JSON: {"schema": _PROBLEM}},
        }
        for status in statuses
    }


def file_of(*types: str) -> Documented:
    """The entries of a route that serves a whole file of one of these types."""
    return {
        200: {"description": "The whole file", "content": _bytes_of(types)},
        304: {"description": "The file is the one that the caller has"},
    }


def ranged_file_of(*types: str) -> Documented:
    """The same for a route that serves parts of a file too."""
    return file_of(*types) | {
        206: {"description": "The part that Range asks for", "content": _bytes_of(types)},
        416: {"description": "The file has none of the bytes that Range asks for"},
    }


def _bytes_of(types: tuple[str, ...]) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}
