"""Which problems a route declares."""

from __future__ import annotations

from typing import Any

from rushes.api.errors import PROBLEM_JSON
from rushes.api.native.schemas import Problem

_MEANING = {
    400: "An option that the model does not offer, or an unknown field",
    401: "No key, or an unknown, expired or revoked one",
    403: "The link is forged or has expired",
    404: "No such job, model or provider",
    406: "The answer's type is not one that `Accept` allows",
    409: "The job's status does not allow this",
    410: "The video is no longer kept",
    413: "The body is too large",
    415: "The body is not of a type that we read",
    422: "Malformed body, wrong type or value out of range",
    429: "The account has as many streams and waiting requests open as it may; see `Retry-After`",
    503: "No credentials for the provider, or the service cannot take requests now",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for these statuses."""
    schema = {"schema": Problem.model_json_schema()}
    return {status: {"description": _MEANING[status], "content": {PROBLEM_JSON: schema}} for status in statuses}
