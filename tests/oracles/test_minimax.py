"""Vercel's client of MiniMax's V2 API and our adapter say the same, and the client accepts our fake."""

from __future__ import annotations

import pytest

from rushes.domain.request import InputMedia, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.minimax import Minimax
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.minimax import FakeMinimax
from tests.oracles.conftest import Start
from tests.oracles.stub import Stub


async def read_media(media: InputMedia) -> bytes:
    raise AssertionError("this request has no media")


async def test_the_same_intent_is_the_same_request(start: Start, stub: Stub) -> None:
    sdk = await start("minimax.mjs")
    stub.reply({"task_id": "t1"})
    options = {"resolution": "768P"}
    await sdk.call(
        "submit", url=stub.base_url, id="MiniMax-H3", prompt="a mole", aspect_ratio="16:9", duration=6,
        provider_options=options,
    )  # fmt: skip
    (expected,) = stub.take()
    client = HttpClient()
    model = shipped_catalogue().find("minimax", "MiniMax-H3")
    assert model is not None
    try:
        await Minimax(client, stub.base_url).submit(
            model,
            VideoRequest("a mole", aspect_ratio="16:9", resolution="768p", duration_s=6),
            attempt_id="att_1",
            credential=Credential(kind="api_key", secret="fake"),
            read_media=read_media,
        )
    finally:
        await client.close()
    (sent,) = stub.take()
    assert (sent.method, sent.path) == (expected.method, expected.path)
    assert sent.headers["Authorization"] == expected.headers["Authorization"]
    assert sent.json == expected.json


@pytest.mark.parametrize(("script", "status"), [("ok", "completed"), ("failed", "error"), ("refused", "error")])
async def test_the_client_follows_our_fake(start: Start, script: str, status: str) -> None:
    sdk = await start("minimax.mjs")
    async with FakeMinimax("fake") as fake:
        asked = {"url": fake.base_url, "id": "MiniMax-H3"}
        operation = await sdk.call("submit", **asked, prompt=f"a mole #fake:{script}", aspect_ratio="16:9", duration=6)
        assert (await sdk.call("status", **asked, operation=operation))["status"] == "pending"
        ended = await sdk.call("status", **asked, operation=operation)
    assert ended["status"] == status
