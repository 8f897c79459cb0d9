"""The shorter way to an answer."""

from __future__ import annotations

import json

import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Scope

from rushes.accounts.keys import Caller, Mode
from rushes.api.http.fast_path import FastPath, directly
from rushes.errors import JobNotFound

CALLER = Caller("acct_1", "key_1", Mode.LIVE)


async def caller_of(_request: Request, _documented: object) -> Caller:
    return CALLER


router = APIRouter()


@router.get("/jobs/{name}")
@directly(caller_of)
async def get_job(request: Request, name: str, caller: object) -> Response:
    assert request.app is not None
    assert caller is CALLER
    if name == "missing":
        raise JobNotFound("Job 'missing' not found")
    return PlainTextResponse(f"direct {name} by {request.scope['state']['route']}")


@router.get("/models/{model:path}/operations/{name}")
@directly(caller_of)
async def get_operation(request: Request, name: str, caller: object, verbose: bool = False) -> Response:
    return PlainTextResponse(f"direct {name}")


@router.post("/jobs")
@directly(caller_of)
async def create_job(request: Request, caller: object) -> Response:
    return PlainTextResponse(f"direct {(await request.body()).decode()}")


async def answered(path: str, *, method: str = "GET", query: bytes = b"") -> tuple[int, bytes]:
    """The status and body of what a framework with one catch-all route answers, and these routes beside it."""
    api = FastAPI()

    @api.api_route("/{path:path}", methods=["GET", "DELETE"])
    async def usual(path: str) -> Response:
        return PlainTextResponse("usual")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"given", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": []}
    await FastPath(api, api, [("/v1", router)])(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def test_a_request_for_a_marked_route_goes_straight_to_its_function() -> None:
    assert await answered("/v1/jobs/job_1") == (200, b"direct job_1 by /v1/jobs/{name}")
    assert await answered("/v1/jobs/job_1", query=b"mode=test") == (200, b"direct job_1 by /v1/jobs/{name}")
    assert await answered("/v1/jobs", method="POST") == (200, b"direct given")


async def test_a_function_gets_the_parameters_that_it_takes() -> None:
    assert await answered("/v1/models/a/b/operations/job_1") == (200, b"direct job_1")


async def test_the_framework_reads_the_parameters_of_a_query() -> None:
    assert await answered("/v1/models/a/operations/job_1", query=b"verbose=1") == (200, b"usual")


@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/jobs/", "/v1/jobs/job_1/", "/v1/jobs/job_1/content", "/x/jobs/job_1", "/jobs/job_1"]
)
async def test_every_other_address_takes_the_usual_way(path: str) -> None:
    assert await answered(path) == (200, b"usual")


async def test_every_other_method_takes_the_usual_way() -> None:
    assert await answered("/v1/jobs/job_1", method="DELETE") == (200, b"usual")
    status, _ = await answered("/v1/jobs/job_1", method="POST")
    assert status == 405


async def test_our_errors_are_answered_as_problems() -> None:
    status, body = await answered("/v1/jobs/missing")
    assert (status, json.loads(body)["code"]) == (404, "job_not_found")
