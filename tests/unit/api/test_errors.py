"""The table from error to HTTP answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException

from rushes import errors
from rushes.api.errors import STATUS_OF, problem_of
from rushes.errors import (
    CallerError,
    DatabaseUnavailable,
    FieldError,
    InvalidRequest,
    JobNotFound,
    NotAuthenticated,
    PriceUnknown,
    RushesError,
    SpendLimitReached,
    UnknownField,
    UnsupportedOption,
)
from tests.fixtures.asking import request_of


def answered(error: Exception) -> tuple[int, dict[str, str], dict[str, Any]]:
    response = problem_of(request_of(request_id="req_42"), error)
    content = json.loads(bytes(response.body))
    assert isinstance(content, dict)
    return response.status_code, dict(response.headers), content


def subclasses(kind: type[RushesError]) -> set[type[RushesError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_error_that_is_the_callers_fault_has_a_status_below_500_or_says_what_we_lack() -> None:
    for kind in subclasses(CallerError) - {CallerError}:
        status = next((STATUS_OF[base] for base in kind.__mro__ if base in STATUS_OF), None)
        assert status is not None, kind
        assert status < 500 or kind is errors.NoCredentials, kind


def test_a_problem_has_every_field_and_the_id_of_its_request() -> None:
    status, headers, content = answered(JobNotFound("Job 'x' not found"))
    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    assert content == {
        "type": "urn:rushes:error:job_not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "Job 'x' not found",
        "code": "job_not_found",
        "request_id": "req_42",
        "suggestions": [],
    }


def test_a_402_has_the_figures_that_a_program_needs() -> None:
    status, headers, content = answered(
        SpendLimitReached(
            "The job would cost 3.20 USD",
            limit="spend_ever",
            key_id="key_1",
            limit_usd=Decimal(5),
            spent_usd=Decimal("0.10"),
            reserved_usd=Decimal(4),
            cost_usd=Decimal("3.20"),
            resets_at=None,
        )
    )
    assert (status, content["code"]) == (402, "spend_limit_reached")
    assert "retry-after" not in headers
    assert content["spend_limit"] == {
        "name": "spend_ever", "key_id": "key_1", "limit": 5, "spent": 0.1, "reserved": 4, "cost": 3.2,
        "currency": "USD", "resets_at": None,
    }  # fmt: skip
    assert answered(PriceUnknown("Nobody knows"))[0] == 402


def test_a_401_names_its_scheme() -> None:
    status, headers, _ = answered(NotAuthenticated("No key"))
    assert (status, headers["www-authenticate"]) == (401, "Bearer")


def test_what_may_be_tried_again_says_when_in_whole_seconds() -> None:
    status, headers, _ = answered(DatabaseUnavailable("full", retry_after_s=0.2))
    assert (status, headers["retry-after"]) == (503, "1")


def test_wrong_fields_are_listed() -> None:
    status, _, content = answered(InvalidRequest("n: too few", [FieldError("n", "too few")]))
    assert (status, content["errors"]) == (422, [{"field": "n", "message": "too few"}])


@pytest.mark.parametrize("error", [UnsupportedOption("no", field="n"), UnknownField("no", field="n")])
def test_a_refused_option_is_a_400_that_names_its_field(error: RushesError) -> None:
    status, _, content = answered(error)
    assert (status, content["errors"]) == (400, [{"field": "n", "message": "no"}])


def test_suggestions_are_passed_on() -> None:
    assert answered(UnknownField("no", field="promt", suggestions=["prompt"]))[2]["suggestions"] == ["prompt"]


def test_an_error_of_the_framework_keeps_its_headers() -> None:
    status, headers, content = answered(HTTPException(404, headers={"X-Why": "gone"}))
    assert (status, headers["x-why"], content["code"]) == (404, "gone", "not_found")


def test_a_wrong_method_is_told_those_of_every_route_of_its_path() -> None:
    api, request = FastAPI(), request_of()
    api.add_api_route("/", lambda: None, methods=["GET"])
    api.add_api_route("/", lambda: None, methods=["DELETE"])
    api.add_api_route("/elsewhere", lambda: None, methods=["PUT"])
    request.scope["app"] = api
    response = problem_of(request, HTTPException(405, headers={"Allow": "GET"}))
    assert (response.status_code, response.headers["allow"]) == (405, "DELETE, GET, HEAD")
    assert b"Allow header" in response.body


def test_a_fixed_word_in_the_place_of_an_id_is_an_address_of_its_own() -> None:
    api, words, request = FastAPI(), APIRouter(), request_of()
    words.add_api_route("/{name}", lambda name: None, methods=["PATCH", "GET"])
    words.add_api_route("/all", lambda: None, methods=["GET"])
    api.include_router(words, prefix="/words")
    request.scope["app"], request.scope["path"] = api, "/words/all"
    assert problem_of(request, HTTPException(405)).headers["allow"] == "GET, HEAD"
    request.scope["path"] = "/words/one"
    assert problem_of(request, HTTPException(405)).headers["allow"] == "GET, HEAD, PATCH"


@pytest.mark.parametrize("error", [ZeroDivisionError("/secret/path"), errors.LeaseLost("job_1 of worker_2")])
def test_what_no_caller_should_see_is_a_500_without_our_inside(error: Exception) -> None:
    status, _, content = answered(error)
    assert (status, content["code"]) == (500, "internal")
    assert str(error) not in json.dumps(content)
