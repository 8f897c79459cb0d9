"""The OpenAPI document, where the framework would say too much or too little."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from rushes.api.document import keep_true
from rushes.api.native.answers import problems

SHAPE = {
    "schema": {
        "$defs": {"Letter": {"items": {"$ref": "#/$defs/Word"}}, "Word": {"type": "string"}},
        "properties": {"letter": {"$ref": "#/$defs/Letter"}},
    }
}


@pytest.fixture
def document() -> dict[str, Any]:
    """Of a route that can refuse its parameter, and one that cannot."""
    api = FastAPI()
    api.add_api_route("/counted/{number}", counted, responses=problems(422))
    api.add_api_route("/named/{name}", named)
    api.add_api_route("/shaped", shaped, openapi_extra={"requestBody": {"content": {"application/json": SHAPE}}})
    keep_true(api)
    return api.openapi()


def counted(number: int) -> None: ...


def named(name: str) -> None: ...


def shaped(limit: int | None = None) -> None: ...


def test_a_refusal_is_documented_as_the_problem_that_is_answered(document: dict[str, Any]) -> None:
    assert list(document["paths"]["/counted/{number}"]["get"]["responses"]["422"]["content"]) == [
        "application/problem+json"
    ]


def test_a_refusal_that_no_route_declares_is_not_documented(document: dict[str, Any]) -> None:
    assert list(document["paths"]["/named/{name}"]["get"]["responses"]) == ["200"]
    assert "HTTPValidationError" not in str(document)


def test_every_answer_is_documented_to_carry_its_id(document: dict[str, Any]) -> None:
    answers = [
        answer
        for path in document["paths"].values()
        for operation in path.values()
        for answer in operation["responses"].values()
    ]
    assert len(answers) == 4
    assert all(answer["headers"]["X-Request-Id"]["required"] for answer in answers)


def test_a_parameter_is_left_out_rather_than_null(document: dict[str, Any]) -> None:
    (limit,) = document["paths"]["/shaped"]["get"]["parameters"]
    assert limit["schema"] == {"type": "integer", "title": "Limit"}


def test_what_a_schema_refers_to_is_found_from_the_document(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    assert shapes == {"Letter": {"items": {"$ref": "#/components/schemas/Word"}}, "Word": {"type": "string"}}
    content = document["paths"]["/shaped"]["get"]["requestBody"]["content"]["application/json"]
    assert content == {"schema": {"properties": {"letter": {"$ref": "#/components/schemas/Letter"}}}}


def test_two_routes_of_one_name_are_refused() -> None:
    api = FastAPI(generate_unique_id_function=lambda route: route.name)
    for path in ("/one", "/other"):
        api.add_api_route(path, shaped)
    keep_true(api)
    with pytest.warns(UserWarning, match="Duplicate"), pytest.raises(ValueError, match="shaped"):
        api.openapi()


def test_two_shapes_of_one_name_are_refused() -> None:
    api = FastAPI()
    for number, kind in enumerate(("string", "integer")):
        schema = {"schema": {"$defs": {"Word": {"type": kind}}}}
        extra = {"requestBody": {"content": {"application/json": schema}}}
        api.add_api_route(f"/{number}", shaped, openapi_extra=extra, name=f"route{number}")
    keep_true(api)
    with pytest.raises(ValueError, match="Word"):
        api.openapi()
