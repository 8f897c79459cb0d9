"""Every route takes at most about twice as long for twice the input, whatever part of a request is the long one.

The routes are those of the OpenAPI document, so a new one is covered by itself. Calls of functions are counted, and
what C does inside one call is the subject of `test_patterns.py` and `test_parsers.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cost.measure import calls
from tests.fixtures.fronts import Front, running_front

SMALL = 300
WORST_RATIO = 2.5
TRIES = 3
FREE_CALLS = 2_000
"""What the service does beside the request: its loops, and lines of log."""
PARAMETER = re.compile(r"\{[^}]+\}")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with running_front(tmp_path_factory.mktemp("front")) as front:
        yield front


async def operations(front: Front) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every route."""
    paths = (await front.ask("GET", "/openapi.json")).json["paths"]
    return [(method.upper(), path, item[method]) for path, item in paths.items() for method in item]


def requests_of(
    method: str, path: str, operation: dict[str, Any], key: str, size: int
) -> Iterator[tuple[str, bytes, bytes]]:
    """What is long, and the head and body of a request in which it has this size."""
    plain = PARAMETER.sub("a1", path)
    yield "query", _head(method, f"{plain}?{'&'.join(f'a{number}=1' for number in range(size))}", key), b""
    declared = operation.get("parameters", ())
    names = [parameter["name"] for parameter in declared if parameter["in"] == "query"]
    if names:
        values = "&".join(f"{name}=" + "eyJ-" * (size // len(names)) for name in names)
        yield "values", _head(method, f"{plain}?{values}", key), b""
    headers = [parameter["name"] for parameter in declared if parameter["in"] == "header"]
    if headers:
        lines = "".join(f"{name}: {'a,=-' * (size // len(headers))}\r\n" for name in headers)
        yield "headers", _head(method, plain, key, lines), b""
    if "{" in path:
        yield "path", _head(method, PARAMETER.sub("eyJ-" * size, path), key), b""
    if "requestBody" in operation:
        texts = [f"t{number}" for number in range(size)]
        bodies: dict[str, Any] = {
            "members": dict.fromkeys(texts, 1),
            "text": {"prompt": "a " * size, "model": "a/" * size, "url": "https://a.example/" + "a" * size},
            "lists": dict.fromkeys(("input_references", "events", "scopes", "frame_images", "tags"), texts),
            "objects": dict.fromkeys(("additional_params", "metadata", "provider"), dict.fromkeys(texts, "x")),
        }
        for name, content in bodies.items():
            text = json.dumps(content).encode()
            head = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
            yield f"body {name}", _head(method, plain, key, head), text


def _head(method: str, target: str, key: str, more: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n{more}\r\n".encode()


async def cost(front: Front, head: bytes, body: bytes) -> int:
    with calls() as count:
        answer = await front.raw(head, body)
    assert answer.status < 500, (head[:200], answer.body[:500])
    return count.value


async def test_twice_the_input_costs_a_route_at_most_about_twice_as_much(front: Front) -> None:
    asked, dearer = 0, []
    for method, path, operation in await operations(front):
        small = list(requests_of(method, path, operation, front.key, SMALL))
        large = list(requests_of(method, path, operation, front.key, 2 * SMALL))
        # What a first request loads is not its cost.
        await cost(front, *small[0][1:])
        for (what, *short), (_, *long) in zip(small, large, strict=True):
            asked += 1
            for _ in range(TRIES):
                costs = [await cost(front, *short), await cost(front, *long)]
                if costs[1] <= WORST_RATIO * costs[0] + FREE_CALLS:
                    break
            else:
                dearer.append((method, path, what, costs))
    assert dearer == []
    assert asked > 150
