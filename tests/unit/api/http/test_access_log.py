"""What wraps every request."""

from __future__ import annotations

import json

import pytest
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from rushes.api.http.access_log import Access


async def sent_by(app: Access, *, path: str = "/x", query: bytes = b"") -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": []}
    await app(scope, receive, send)
    return sent


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError("an inner secret")


async def broken_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ZeroDivisionError


async def test_every_answer_carries_the_id_that_is_logged() -> None:
    with structlog.testing.capture_logs() as logged:
        sent = await sent_by(Access(fine))
    header = dict(sent[0]["headers"])[b"x-request-id"].decode()
    assert [line["request_id"] for line in logged] == [header]
    assert header.startswith("req_")


async def test_the_query_is_not_logged_because_it_may_hold_a_signature() -> None:
    with structlog.testing.capture_logs() as logged:
        await sent_by(Access(fine), path="/media/job_1/0.mp4", query=b"signature=hidden")
    assert logged[0]["path"] == "/media/job_1/0.mp4"
    assert "hidden" not in str(logged)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_not_logged(path: str) -> None:
    with structlog.testing.capture_logs() as logged:
        await sent_by(Access(fine), path=path)
    assert logged == []


async def test_a_stray_exception_is_a_500_that_shows_nothing_but_is_logged() -> None:
    with structlog.testing.capture_logs() as logged:
        start, body = await sent_by(Access(broken))
    content = json.loads(body["body"])
    assert (start["status"], content["code"]) == (500, "internal")
    assert content["request_id"] == dict(start["headers"])[b"x-request-id"].decode() == logged[0]["request_id"]
    assert "secret" not in body["body"].decode()
    assert [line["event"] for line in logged] == ["request_failed", "request"]


async def test_an_answer_that_breaks_midway_is_cut_off() -> None:
    with structlog.testing.capture_logs(), pytest.raises(ZeroDivisionError):
        await sent_by(Access(broken_midway))


async def left(scope: Scope, receive: Receive, send: Send) -> None:
    # As the framework does it: it answers first, and raises then.
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})
    raise ExceptionGroup("two", [ClientDisconnect(), ExceptionGroup("inner", [ClientDisconnect()])])


async def test_a_client_that_leaves_is_no_error_of_ours() -> None:
    counted: list[int] = []
    with structlog.testing.capture_logs() as logged:
        await sent_by(Access(left, answered=lambda _method, _route, status, _seconds: counted.append(status)))
    assert counted == [499]
    assert [line["event"] for line in logged] == ["request"]


async def test_a_long_path_is_cut_before_it_is_searched_for_keys() -> None:
    with structlog.testing.capture_logs() as logged:
        await sent_by(Access(fine), path="/" + "eyJ-" * 100_000)
    assert len(logged[0]["path"]) < 3000
