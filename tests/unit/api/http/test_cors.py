"""Which pages may call us."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from rushes.api.http.access_log import Access
from rushes.api.http.cors import Cors


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Accept")]})
    await send({"type": "http.response.body", "body": b""})


async def headers_of(app: Access, origin: str | None, method: str = "GET", **more: str) -> list[tuple[str, str]]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asked = {**({} if origin is None else {"origin": origin}), **more}
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in asked.items()]
    await app({"type": "http", "method": method, "path": "/x", "query_string": b"", "headers": headers}, receive, send)
    return [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]


@pytest.mark.parametrize("allowed", ["https://a.example", "https://a.example/", "HTTPS://A.example"])
async def test_an_origin_is_told_that_it_is_allowed_and_caches_that_others_differ(allowed: str) -> None:
    told = await headers_of(Access(Cors(fine, [allowed, "http://b.example:8080"])), "https://a.example")
    assert ("access-control-allow-origin", "https://a.example") in told
    assert [value for name, value in told if name == "vary"] == ["Accept", "Origin"]


async def test_a_star_allows_all_without_credentials() -> None:
    told = dict(await headers_of(Access(Cors(fine, ["*"])), "null"))
    assert told["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in told


async def test_what_breaks_inside_is_readable_for_an_allowed_page_too(caplog: pytest.LogCaptureFixture) -> None:
    told = dict(await headers_of(Access(Cors(broken, ["https://a.example"])), "https://a.example"))
    assert told["access-control-allow-origin"] == "https://a.example"
    assert told["content-type"] == "application/problem+json"


async def test_an_options_request_that_is_no_preflight_goes_on() -> None:
    told = dict(await headers_of(Access(Cors(fine, ["*"])), "https://a.example", "OPTIONS"))
    assert "access-control-allow-methods" not in told


@pytest.mark.parametrize("origin", [None, "https://a.example.evil", "http://a.example", "https://a.example:444"])
async def test_others_are_told_nothing_but_that_answers_differ(origin: str | None) -> None:
    app = Access(Cors(fine, ["https://a.example"]))
    for method, more in (("GET", {}), ("OPTIONS", {"access_control_request_method": "GET"})):
        told = await headers_of(app, origin, method, **more)
        assert not [name for name, _ in told if name.startswith("access-control")]
        assert ("vary", "Origin") in told
