"""Requests without a good key are limited for each address, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from rushes.api.http.keyless_limit import MOST_ADDRESSES, KeylessLimit, address_of

PER_MINUTE = 3


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class App:
    """Answers with the status that the header names, as a known caller if another says so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if b"known" in headers:
            scope["state"]["caller"] = object()
        if b"wrong" in headers:
            scope["state"]["key_is_bad"] = True
        await send({"type": "http.response.start", "status": int(headers.get(b"status", b"200")), "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


class Site:
    def __init__(self) -> None:
        self.clock = Clock()
        self.limit = KeylessLimit(App(), per_minute=PER_MINUTE, now_s=self.clock)

    async def ask(self, host: str = "192.0.2.1", path: str = "/x", query: str = "", **headers: str) -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": path, "client": (host, 1), "state": {},
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        await self.limit(scope, receive, send)
        starts = [message["status"] for message in sent if message["type"] == "http.response.start"]
        assert len(starts) == 1
        return int(starts[0])


async def test_an_address_is_refused_when_it_has_used_its_minute_up_and_served_later() -> None:
    site = Site()
    assert [await site.ask() for _ in range(5)] == [200, 200, 200, 429, 429]
    assert await site.ask("192.0.2.2") == 200
    site.clock.now_s += 60 / PER_MINUTE
    assert [await site.ask(), await site.ask()] == [200, 429]


async def test_requests_with_a_good_key_are_neither_counted_nor_refused() -> None:
    site = Site()
    good = {"authorization": "Bearer x", "known": "1"}
    assert {await site.ask(**good) for _ in range(10)} == {200}
    for _ in range(5):
        await site.ask()
    assert await site.ask(**good) == 200


async def test_a_bad_key_counts_whatever_its_status_and_wherever_it_was_sent() -> None:
    site = Site()
    bad = {"wrong": "yes", "status": "400"}
    assert [await site.ask(query="alt=media&key=x", **bad) for _ in range(4)] == [400, 400, 400, 429]
    assert await site.ask(query="key=y", known="yes") == 200
    assert await site.ask(query="monkey=y") == 429


async def test_bad_keys_are_counted_and_then_answered_429() -> None:
    site = Site()
    bad = {"authorization": "Bearer x", "status": "401"}
    assert [await site.ask(**bad) for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize("path", ["/media/job_1/0.mp4", "/console/jobs"])
async def test_signed_links_and_sessions_are_counted_only_where_they_are_refused(path: str) -> None:
    site = Site()
    assert {await site.ask(path=path) for _ in range(10)} == {200}
    for _ in range(5):
        await site.ask(path=path, status="403")
    assert await site.ask() == 429
    assert await site.ask(path=path) == 200


async def test_probes_are_never_refused() -> None:
    site = Site()
    assert {await site.ask(path="/healthz") for _ in range(10)} == {200}


async def test_the_memory_of_addresses_is_bounded() -> None:
    site = Site()
    for number in range(MOST_ADDRESSES + 50):
        await site.ask(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(site.limit._left) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_client_is_its_network(host: str, address: str) -> None:
    assert address_of({"client": (host, 1)}) == address
