"""No request holds the event loop for long at once: what one takes there, every other waits for.

Calls of functions between two passes of the event loop are counted. What C does inside one call is the subject of
`test_patterns.py` and `test_parsers.py`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from types import FrameType

import pytest
import pytest_asyncio

from tests.fixtures.fronts import Front, running_front

MOST_CALLS = 60_000
"""Some ten milliseconds. A request for a page of jobs makes 2,000 calls."""
JOBS = 120

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with running_front(tmp_path_factory.mktemp("front")) as front:
        for number in range(JOBS):
            await front.ask("POST", "/api/v1/videos/generations", json=_job(prompt=f"A dog {number}"))
        yield front


def _job(**more: object) -> dict[str, object]:
    return {"model": "animatic/storyboard", "duration": 1, "generate_audio": False, "prompt": "A dog", **more}


def _posted(path: str, body: bytes, kind: str = "application/json") -> tuple[str, bytes]:
    return f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n", body


def _got(target: str) -> tuple[str, bytes]:
    return f"GET {target} HTTP/1.1\r\nHost: h\r\n", b""


GENERATIONS, LIST = "/api/v1/videos/generations", "/api/v1/videos/jobs"
PART = b'--l\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
VALUES: dict[str, list[list[int]]] = {"values": [[] for _ in range(12_000)]}
REQUESTS = {
    "a long list": _got(f"{LIST}?limit=100"),
    "OpenRouter's list of models": _got("/api/v1/videos/models"),
    "all models": _got("/api/v1/models"),
    "OpenAI's list of models": _got("/v1/models"),
    "many query parameters": _got(f"{LIST}?{'status=pending&' * 4_000}"),
    "a form of many parts": _posted("/v1/videos", PART * 20_000, "multipart/form-data; boundary=l"),
    "options of many names": _posted(
        GENERATIONS, json.dumps(_job(additional_params={f"n{number}": 1 for number in range(6_000)})).encode()
    ),
    "options of many values": _posted(GENERATIONS, json.dumps(_job(additional_params=VALUES)).encode()),
    "metadata of many pairs": _posted(
        GENERATIONS, json.dumps(_job(metadata=dict.fromkeys(map(str, range(20_000)), ""))).encode()
    ),
    "many wrong fields": _posted(GENERATIONS, json.dumps(dict.fromkeys(map(str, range(20_000)), 1)).encode()),
    "many references": _posted(GENERATIONS, json.dumps(_job(input_references=["x"] * 20_000)).encode()),
    "many idempotency words": (f"GET {LIST} HTTP/1.1\r\nHost: h\r\nPrefer: {'a=,' * 8_000}\r\n", b""),
}


class Holds:
    """Counts calls from each pass of the event loop to the next, and remembers the most."""

    def __init__(self) -> None:
        self.most = 0
        self._calls = 0
        self._runs = True

    async def __aenter__(self) -> Holds:
        sys.setprofile(self._called)
        asyncio.get_running_loop().call_soon(self._passed)
        return self

    async def __aexit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._runs = False

    def _called(self, _: FrameType, event: str, __: object) -> None:
        if event in ("call", "c_call"):
            self._calls += 1

    def _passed(self) -> None:
        self.most = max(self.most, self._calls)
        self._calls = 0
        if self._runs:
            asyncio.get_running_loop().call_soon(self._passed)


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_holds_the_event_loop_for_few_calls_at_once(front: Front, name: str) -> None:
    head, body = REQUESTS[name]
    head = f"{head}Authorization: Bearer {front.key}\r\n\r\n"
    # What a first request loads is not its cost.
    await front.raw(head.encode(), body)
    async with Holds() as holds:
        answer = await front.raw(head.encode(), body)
    assert answer.status < 500
    assert 100 < holds.most < MOST_CALLS, holds.most


async def test_the_count_sees_what_holds_the_event_loop() -> None:
    async with Holds() as holds:
        await asyncio.sleep(0)
        sum(abs(number) for number in range(MOST_CALLS))
        await asyncio.sleep(0)
    assert holds.most > MOST_CALLS
