"""Which requests are for Google's surface, and where their keys are."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from rushes.api.gemini.surface import GoogleModels, google_keys, is_ours, speaks_interactions


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta", "/v1beta/models", "/v1beta/anything", "/v1beta1/projects/p", "/v1/projects/p/locations/l/nothing",
        "/v1/interactions", "/v1/interactions/job_1/cancel", "/v1/files/abc:download", "/v1/publishers/google/a",
        "/v1/models/veo:predictLongRunning", "/v1/models/a/b/operations/job_1",
    ],
)  # fmt: skip
def test_these_addresses_are_googles(path: str) -> None:
    assert is_ours(path)


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/models", "/v1/models/veo", "/v1/models/a/b", "/v1/videos", "/v1/projectsx", "/v1betamax", "/api/v1"],
)
def test_these_are_not(path: str) -> None:
    assert not is_ours(path)


def test_interactions_are_known_under_every_version() -> None:
    for version in ("v1", "v1beta", "v1beta1"):
        assert speaks_interactions(f"/{version}/interactions/job_1")
    assert speaks_interactions("/v1beta1/projects/p/locations/global/interactions")
    assert not speaks_interactions("/v1beta/models")


def scope_of(path: str, query: str = "", **headers: str) -> Scope:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": named}


def test_a_key_is_read_from_header_and_query_and_an_empty_one_is_none() -> None:
    assert google_keys(scope_of("/", "alt=media&key=a%2Bb&keys=c", x_goog_api_key="d")) == ["d", "a+b"]
    assert google_keys(scope_of("/", "key=&monkey=x", x_goog_api_key=" ")) == []


@pytest.mark.parametrize(
    ("path", "query", "led_to"),
    [
        ("/v1/models", "key=x", "/v1beta/models"),
        ("/v1/models/a/b", "key=x", "/v1beta/models/a/b"),
        ("/v1/models", "", "/v1/models"),
        ("/v1/modelsx", "key=x", "/v1/modelsx"),
        ("/v1/videos", "key=x", "/v1/videos"),
    ],
)
async def test_the_key_says_whose_list_of_models_is_asked_for(path: str, query: str, led_to: str) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def nothing() -> Message:
        raise AssertionError("nothing is read")

    async def nowhere(_message: Message) -> None:
        raise AssertionError("nothing is answered")

    await GoogleModels(app)(scope_of(path, query), nothing, nowhere)
    assert (seen[0]["path"], seen[0]["raw_path"]) == (led_to, led_to.encode())
