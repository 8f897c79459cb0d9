"""The OpenAPI document: what routes declare, without what the framework supposes of them."""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI

Documented = dict[int | str, dict[str, Any]]
"""What a route's `responses` takes: by status, the OpenAPI entry."""

_SUPPOSED = "#/components/schemas/HTTPValidationError"
_REQUEST_ID = {
    "description": "Identifies this request; quote it when you report a problem.",
    "required": True,
    "schema": {"type": "string"},
}


def leads_to(status: int = 200, /, **operations: dict[str, str]) -> Documented:
    """The OpenAPI links of this status: by the name of the route that it leads to, where its parameters are found.

    A location is a runtime expression of OpenAPI: `$response.body#/job_id`, `$request.path.job_id`.
    """
    links = {name: {"operationId": name, "parameters": parameters} for name, parameters in operations.items()}
    return {status: {"links": links}}


def keep_true(api: FastAPI) -> None:
    """Have the application show a document that is true of what is answered."""
    supposed = api.openapi

    def declared() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _corrected(copy.deepcopy(supposed()))
        return api.openapi_schema

    api.openapi = declared  # type: ignore[method-assign]  # the framework's own way of changing its document


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    names = set()
    for path in document["paths"].values():
        for operation in path.values():
            if operation["operationId"] in names:
                raise ValueError(f"two routes are called {operation['operationId']}")
            names.add(operation["operationId"])
            _correct_responses(operation["responses"])
            _correct_parameters(operation.get("parameters", []))
    _gather_shapes(document, document.setdefault("components", {}).setdefault("schemas", {}))
    for shape in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(shape, None)
    return document


def _correct_responses(responses: dict[str, Any]) -> None:
    # The framework adds a 422 in a shape of its own to every route with a parameter. A route that can refuse one has
    # declared so, as the problem that it answers.
    supposed = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if supposed.get("$ref") == _SUPPOSED:
        del responses["422"]
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID


def _correct_parameters(parameters: list[dict[str, Any]]) -> None:
    # A parameter is left out or has a value; null is nothing that a URL or a header could say.
    for parameter in parameters:
        choices = [one for one in parameter["schema"].get("anyOf", []) if one != {"type": "null"}]
        if len(choices) == 1:
            del parameter["schema"]["anyOf"]
            parameter["schema"] |= choices[0]


def _gather_shapes(part: Any, shapes: dict[str, Any]) -> None:
    # A schema that a route gives by hand brings its own definitions, to which `#/$defs` would not lead from here.
    if isinstance(part, list):
        for item in part:
            _gather_shapes(item, shapes)
    elif isinstance(part, dict):
        for name, shape in part.pop("$defs", {}).items():
            _gather_shapes(shape, shapes)
            if shapes.setdefault(name, shape) != shape:
                raise ValueError(f"two shapes of the OpenAPI document are called {name}")
        reference = part.get("$ref")
        if isinstance(reference, str):
            part["$ref"] = reference.replace("#/$defs/", "#/components/schemas/")
        for item in list(part.values()):
            _gather_shapes(item, shapes)
