"""Refusals in OpenRouter's envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from rushes.api.openrouter.errors import envelope_of
from rushes.errors import (
    BodyTooLarge,
    FieldError,
    FileExpired,
    GuardrailBlocked,
    IdempotencyMismatch,
    InvalidRequest,
    JobNotFinished,
    JobNotFound,
    ModelNotFound,
    NoCredentials,
    NotAuthenticated,
    PriceUnknown,
    QueueFull,
    ScopeMissing,
    UnsupportedOption,
    WrongContentType,
)


def asked(method: str = "POST") -> Request:
    scope = {"type": "http", "method": method, "path": "/api/v1/videos", "headers": [], "query_string": b""}
    return Request({**scope, "state": {}})


def answered(error: Exception, method: str = "POST") -> tuple[int, dict[str, Any]]:
    answer = envelope_of(asked(method), error)
    content = json.loads(bytes(answer.body))
    assert content.keys() == {"error"}
    assert content["error"]["code"] == answer.status_code
    return answer.status_code, content["error"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotAuthenticated("no"), 401, "unauthenticated"),
        (PriceUnknown("no"), 402, "price_unknown"),
        (ScopeMissing("no"), 403, "scope_missing"),
        (GuardrailBlocked("no"), 403, "guardrail_blocked"),
        (ModelNotFound("no"), 404, "model_not_found"),
        (UnsupportedOption("no", "duration"), 400, "unsupported_option"),
        (InvalidRequest("no", []), 400, "invalid_request"),
        (IdempotencyMismatch("no"), 400, "idempotency_mismatch"),
        (WrongContentType("no"), 400, "wrong_content_type"),
        (BodyTooLarge("no"), 413, "body_too_large"),
        (QueueFull("no"), 429, "queue_full"),
        (NoCredentials("no"), 503, "no_credentials"),
        (RuntimeError("a secret"), 500, "internal"),
        (HTTPException(404), 404, "not_found"),
    ],
)
def test_every_error_has_a_status_that_its_clients_know(error: Exception, status: int, code: str) -> None:
    found, content = answered(error)
    assert (found, content["metadata"]["error_code"]) == (status, code)
    assert "secret" not in content["message"]


@pytest.mark.parametrize(("error", "of_a_download"), [(JobNotFinished("no"), 409), (FileExpired("no"), 410)])
def test_a_video_that_is_not_there_is_a_fault_of_the_request_that_goes_on_from_it(
    error: Exception, of_a_download: int
) -> None:
    assert answered(error, "GET")[0] == of_a_download
    assert answered(error, "POST")[0] == 400


def test_the_fields_at_fault_and_near_names_are_named() -> None:
    _, content = answered(InvalidRequest("x", [FieldError("trace", "no")]))
    assert content["metadata"]["errors"] == [{"field": "trace", "message": "no"}]
    _, content = answered(ModelNotFound("Model 'x' not found", suggestions=["y"]))
    assert content["metadata"]["suggestions"] == ["y"]
    assert answered(JobNotFound("no"))[1]["metadata"] == {"error_code": "job_not_found"}
