"""Vercel's client of xAI's API and our adapter say the same, and the client accepts our fake."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.xai import Xai
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.xai import FakeXai
from tests.oracles.conftest import Start
from tests.oracles.stub import Stub

PICTURE = base64.b64encode(MEDIA_BYTES).decode()


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


CASES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"prompt": "a mole", "aspect_ratio": "16:9", "resolution": "1280x720", "duration": 6},
        {"prompt": "a mole", "aspect_ratio": "16:9", "resolution": "720p", "duration_s": 6},
        "grok-imagine-video",
    ),
    (
        {"prompt": "a mole", "resolution": "1280x720", "duration": 4, "image": PICTURE},
        {"prompt": "a mole", "resolution": "720p", "duration_s": 4, "media": (image(Role.INPUT_IMAGE),)},
        "grok-imagine-video",
    ),
]


@pytest.mark.parametrize(("theirs", "ours", "model"), CASES, ids=["text", "image"])
async def test_the_same_intent_is_the_same_request(
    start: Start, stub: Stub, theirs: dict[str, Any], ours: dict[str, Any], model: str
) -> None:
    sdk = await start("xai.mjs")
    stub.reply({"request_id": "r1"})
    await sdk.call("submit", url=stub.base_url, id=model, **theirs)
    (expected,) = stub.take()
    client = HttpClient()
    entry = shipped_catalogue().find("xai", model)
    assert entry is not None
    try:
        await Xai(client, f"{stub.base_url}/v1").submit(
            entry,
            VideoRequest(**ours),
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


@pytest.mark.parametrize(("script", "status"), [("ok", "completed"), ("failed", "error"), ("withheld", "error")])
async def test_the_client_follows_our_fake(start: Start, script: str, status: str) -> None:
    sdk = await start("xai.mjs")
    async with FakeXai("fake") as fake:
        operation = await sdk.call(
            "submit", url=fake.base_url, id="grok-imagine-video", prompt=f"a mole #fake:{script}"
        )
        pending = await sdk.call("status", url=fake.base_url, id="grok-imagine-video", operation=operation)
        assert pending["status"] == "pending"
        ended = await sdk.call("status", url=fake.base_url, id="grok-imagine-video", operation=operation)
    assert ended["status"] == status
