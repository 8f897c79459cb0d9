"""Refusals in Google's envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from rushes.api.gemini.errors import envelope_of
from rushes.errors import (
    AccountBusy,
    FieldError,
    FileExpired,
    InputQuotaReached,
    InvalidRequest,
    JobNotFound,
    ModelNotFound,
    NoCredentials,
    NotAuthenticated,
    NotCancellable,
    PriceUnknown,
    QueueFull,
    ScopeMissing,
    UnsupportedOption,
    WrongContentType,
)

MODELS = "/v1beta/models/veo"


def answered(error: Exception, path: str = MODELS, **headers: str) -> tuple[int, dict[str, Any]]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"", "headers": named, "server": ("a", 80),
        "scheme": "http", "state": {},
    }  # fmt: skip
    answer = envelope_of(Request(scope), error)
    content = json.loads(bytes(answer.body))
    assert content.keys() == {"error"}
    return answer.status_code, content["error"]


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (InvalidRequest("x"), 400, "INVALID_ARGUMENT"),
        (UnsupportedOption("x", "y"), 400, "INVALID_ARGUMENT"),
        (WrongContentType("x"), 400, "INVALID_ARGUMENT"),
        (NotAuthenticated("x"), 401, "UNAUTHENTICATED"),
        (ScopeMissing("x"), 403, "PERMISSION_DENIED"),
        (JobNotFound("x"), 404, "NOT_FOUND"),
        (FileExpired("x"), 404, "NOT_FOUND"),
        (NotCancellable("x"), 400, "FAILED_PRECONDITION"),
        (PriceUnknown("x"), 429, "RESOURCE_EXHAUSTED"),
        (QueueFull("x"), 429, "RESOURCE_EXHAUSTED"),
        (AccountBusy("x"), 429, "RESOURCE_EXHAUSTED"),
        (InputQuotaReached("x"), 429, "RESOURCE_EXHAUSTED"),
        (NoCredentials("x"), 503, "UNAVAILABLE"),
        (HTTPException(404), 404, "NOT_FOUND"),
        (RuntimeError("a secret of ours"), 500, "INTERNAL"),
    ],
)
def test_each_kind_has_googles_status(error: Exception, status: int, name: str) -> None:
    answer, content = answered(error)
    assert (answer, content["code"], content["status"]) == (status, status, name)
    assert content["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert "secret" not in content["message"]


def test_a_wrong_key_is_said_as_google_says_it_where_only_google_sends_one() -> None:
    status, content = answered(NotAuthenticated("x"), x_goog_api_key="wrong")
    assert (status, content["status"]) == (400, "INVALID_ARGUMENT")
    assert content["details"][0]["reason"] == "API_KEY_INVALID"
    assert "wrong" not in json.dumps(content)


def test_details_name_the_fields_and_when_to_try_again() -> None:
    _, content = answered(InvalidRequest("a: b", [FieldError("parameters.seed", "is no number")]))
    assert content["details"][1]["fieldViolations"] == [{"field": "parameters.seed", "description": "is no number"}]
    _, content = answered(QueueFull("x", retry_after_s=1.2))
    assert content["details"][1]["retryDelay"] == "2s"


def test_near_names_are_in_the_message() -> None:
    _, content = answered(ModelNotFound("Model 'veo-3' not found", suggestions=["veo-3.0", "veo-3.1"]))
    assert content["message"] == "Model 'veo-3' not found; did you mean 'veo-3.0' or 'veo-3.1'?"


def test_on_interactions_the_code_is_a_word() -> None:
    for error, code in ((InvalidRequest("x"), "invalid_request"), (JobNotFound("x"), "not_found")):
        assert answered(error, "/v1/interactions/job_1")[1]["code"] == code
