"""Refusals in OpenAI's envelope."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from rushes.api.errors import STATUS_OF
from rushes.api.openai.errors import SHOULD_RETRY, envelope_of, is_ours
from rushes.errors import (
    DatabaseUnavailable,
    FieldError,
    FileExpired,
    IdempotencyMismatch,
    InvalidRequest,
    JobNotFinished,
    LeaseLost,
    ModelNotFound,
    NotAuthenticated,
    Overloaded,
    QueueFull,
    RushesError,
    ScopeMissing,
    SpendLimitReached,
    UnsupportedOption,
)
from tests.fixtures.asking import request_of

SPENT = SpendLimitReached(
    "a",
    limit="spend_day",
    key_id=None,
    limit_usd=Decimal(5),
    spent_usd=Decimal(5),
    reserved_usd=Decimal(0),
    cost_usd=Decimal(1),
    resets_at=None,
)


def answered(error: Exception) -> tuple[int, dict[str, str], dict[str, Any]]:
    response = envelope_of(request_of(), error)
    content = json.loads(bytes(response.body))
    assert content.keys() == {"error"}
    assert content["error"].keys() == {"message", "type", "param", "code"}
    return response.status_code, dict(response.headers), content["error"]


def made(kind: type[RushesError]) -> RushesError:
    return kind("Words", field="seed") if issubclass(kind, UnsupportedOption) else kind("Words")


@pytest.mark.parametrize("kind", [kind for kind in STATUS_OF if kind.__init__ is RushesError.__init__])
def test_the_client_has_an_exception_for_every_refusal_of_ours(kind: type[RushesError]) -> None:
    status, _, error = answered(made(kind))
    assert status in {400, 401, 403, 404, 409, 413, 415, 429} or status >= 500
    assert error["message"] == "Words"


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    [
        (InvalidRequest("a", [FieldError("n", "b")]), 400, "invalid_request_error", "invalid_value", "n"),
        (InvalidRequest("a"), 400, "invalid_request_error", "invalid_value", None),
        (UnsupportedOption("a", "size"), 400, "invalid_request_error", "invalid_value", "size"),
        (IdempotencyMismatch("a"), 400, "invalid_request_error", "idempotency_mismatch", None),
        (NotAuthenticated("a"), 401, "invalid_request_error", "invalid_api_key", None),
        (ModelNotFound("a"), 404, "invalid_request_error", "model_not_found", "model"),
        (FileExpired("a"), 404, "invalid_request_error", "file_expired", None),
        (SPENT, 429, "insufficient_quota", "insufficient_quota", None),
        (QueueFull("a", retry_after_s=9), 429, "rate_limit_error", "rate_limit_exceeded", None),
        (ScopeMissing("a"), 403, "permission_error", "scope_missing", None),
        (HTTPException(402, "a"), 429, "insufficient_quota", "insufficient_quota", None),
        (HTTPException(403, "a"), 403, "permission_error", "forbidden", None),
        (HTTPException(429, "a"), 429, "rate_limit_error", "rate_limit_exceeded", None),
        (DatabaseUnavailable("a"), 503, "server_error", "database_unavailable", None),
    ],
)
def test_type_code_and_param_are_those_that_the_client_knows(
    error: Exception, status: int, kind: str, code: str, param: str | None
) -> None:
    answer, _, content = answered(error)
    assert (answer, content) == (status, {"message": "a", "type": kind, "code": code, "param": param})


@pytest.mark.parametrize("error", [ZeroDivisionError("an inner secret"), LeaseLost("an inner secret")])
def test_our_own_fault_shows_nothing_and_is_not_repeated_by_the_client(error: Exception) -> None:
    status, headers, content = answered(error)
    assert (status, content["code"], content["type"]) == (500, "internal", "server_error")
    assert "secret" not in content["message"]
    # The request was a POST: it may have started a video before it broke.
    assert headers[SHOULD_RETRY] == "false"


@pytest.mark.parametrize(
    ("error", "word"), [(Overloaded("a", retry_after_s=1), "true"), (JobNotFinished("a"), "false")]
)
def test_the_client_is_told_whether_repeating_can_help(error: RushesError, word: str) -> None:
    _, headers, _ = answered(error)
    assert headers[SHOULD_RETRY] == word
    assert headers.get("retry-after") == ("1" if word == "true" else None)


def test_what_comes_near_is_in_the_sentence() -> None:
    _, _, content = answered(ModelNotFound("Model 'veo' not found", ["veo-3", "veo-2"]))
    assert content["message"] == "Model 'veo' not found; did you mean 'veo-3' or 'veo-2'?"


def test_only_our_own_addresses_are_answered_so() -> None:
    assert [is_ours(path) for path in ("/v1", "/v1/", "/v1/videos", "/v10", "/api/v1/videos", "/")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
