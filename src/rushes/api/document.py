"""The OpenAPI document: what routes declare, without what the framework supposes of them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

_SUPPOSED = "#/components/schemas/HTTPValidationError"
_REQUEST_ID = {
    "description": "Identifies this request; quote it when you report a problem.",
    "required": True,
    "schema": {"type": "string"},
}


def keep_true(api: FastAPI) -> None:
    """Have the application show a document that is true of what is answered."""
    supposed = api.openapi

    def declared() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _corrected(supposed())
        return api.openapi_schema

    api.openapi = declared  # type: ignore[method-assign]  # the framework's own way of changing its document


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    for path in document["paths"].values():
        for operation in path.values():
            _correct_responses(operation["responses"])
    for shape in ("HTTPValidationError", "ValidationError"):
        document.get("components", {}).get("schemas", {}).pop(shape, None)
    return document


def _correct_responses(responses: dict[str, Any]) -> None:
    # The framework adds a 422 in a shape of its own to every route with a parameter. A route that can refuse one has
    # declared so, as the problem that it answers.
    supposed = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if supposed.get("$ref") == _SUPPOSED:
        del responses["422"]
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID
