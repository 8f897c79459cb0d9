"""The shorter way to an answer."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Scope

from rushes.api.http.fast_path import FastPath
from rushes.errors import JobNotFound


async def answered(path: str, *, method: str = "GET") -> tuple[int, bytes]:
    """The status and body of what a framework with one catch-all route and a direct way to /jobs/NAME answers."""
    api = FastAPI()

    @api.api_route("/{path:path}", methods=["GET", "DELETE"])
    async def usual(path: str) -> Response:
        return PlainTextResponse("usual")

    async def direct(request: Request, name: str) -> Response:
        assert request.app is api
        if name == "missing":
            raise JobNotFound("Job 'missing' not found")
        return PlainTextResponse(f"direct {name}")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    await FastPath(api, api, {"/jobs": direct})(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def test_a_get_of_one_thing_goes_straight_to_its_answer() -> None:
    assert await answered("/jobs/job_1") == (200, b"direct job_1")


@pytest.mark.parametrize("path", ["/jobs", "/jobs/", "/jobs/job_1/", "/jobs/job_1/content", "/x/jobs/job_1", "/docs2"])
async def test_every_other_address_takes_the_usual_way(path: str) -> None:
    assert await answered(path) == (200, b"usual")


async def test_every_other_method_takes_the_usual_way() -> None:
    assert await answered("/jobs/job_1", method="DELETE") == (200, b"usual")
    status, _ = await answered("/jobs/job_1", method="POST")
    assert status == 405


async def test_our_errors_are_answered_as_problems() -> None:
    status, body = await answered("/jobs/missing")
    assert (status, json.loads(body)["code"]) == (404, "job_not_found")
