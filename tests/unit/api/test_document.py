"""The OpenAPI document, where the framework would say too much or too little."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from rushes.api.document import keep_true
from rushes.api.native.answers import problems


@pytest.fixture
def document() -> dict[str, Any]:
    """Of a route that can refuse its parameter, and one that cannot."""
    api = FastAPI()
    api.add_api_route("/counted/{number}", counted, responses=problems(422))
    api.add_api_route("/named/{name}", named)
    keep_true(api)
    return api.openapi()


def counted(number: int) -> None: ...


def named(name: str) -> None: ...


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
    assert len(answers) == 3
    assert all(answer["headers"]["X-Request-Id"]["required"] for answer in answers)
