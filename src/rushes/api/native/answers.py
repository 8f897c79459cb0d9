"""How a shape becomes an answer, and which problems a route declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

from rushes.api.errors import PROBLEM_JSON
from rushes.api.native.schemas import Problem

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MEANING = {
    400: "An option that the model does not offer, or an unknown field",
    401: "No key, or an unknown, expired or revoked one",
    403: "The link is forged or has expired",
    404: "No such job, model or provider",
    409: "The job's status does not allow this",
    410: "The video is no longer kept",
    413: "The body is too large",
    415: "The body is not of a type that we read",
    422: "Malformed body, wrong type or value out of range",
    503: "No credentials for the provider, or the service cannot take requests now",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for these statuses."""
    schema = {"schema": Problem.model_json_schema()}
    return {status: {"description": _MEANING[status], "content": {PROBLEM_JSON: schema}} for status in statuses}


def json_response(
    shape: BaseModel | DataclassInstance, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The shape as JSON."""
    return Response(to_json(shape), status, headers, "application/json")
