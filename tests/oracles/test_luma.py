"""Luma's own client and our adapter say the same, its types accept our body, and it follows our fake."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.luma import Luma
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.luma import FakeLuma
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError
from tests.oracles.stub import Stub

PICTURE = {"data": base64.b64encode(MEDIA_BYTES).decode(), "media_type": "image/png"}
ACCEPTED = {
    "id": "g1", "type": "video", "state": "queued", "model": "ray-3.2", "created_at": "2026-11-30T10:00:00Z",
    "output": [],
}  # fmt: skip


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


async def ours(stub: Stub, **options: Any) -> Any:
    """The request that our adapter sends."""
    client = HttpClient()
    model = shipped_catalogue().find("luma", "ray-3.2")
    assert model is not None
    try:
        await Luma(client, f"{stub.base_url}/v1").submit(
            model,
            VideoRequest("a mole", **options),
            attempt_id="att_1",
            credential=Credential(kind="api_key", secret="fake"),
            read_media=read_media,
        )
    finally:
        await client.close()
    (sent,) = stub.take()
    return sent


FRAMES = (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"video": {"resolution": "720p", "duration": "5s", "start_frame": PICTURE, "end_frame": PICTURE}},
        {"resolution": "720p", "duration_s": 5, "media": FRAMES},
    ),
    (
        {"video": {"duration": "10s", "keyframes": [PICTURE, PICTURE], "keyframe_indexes": [0, 240]}},
        {"duration_s": 10, "media": FRAMES},
    ),
]


async def test_the_same_intent_is_the_same_request(start: Start, stub: Stub) -> None:
    sdk = await start("luma")
    stub.reply(ACCEPTED, status=201)
    for theirs, options in CASES:
        said = {"prompt": "a mole", "model": "ray-3.2", "type": "video", "aspect_ratio": "16:9", **theirs}
        await sdk.call("create", url=stub.base_url, **said)
        (expected,) = stub.take()
        sent = await ours(stub, aspect_ratio="16:9", **options)
        assert (sent.method, sent.path) == (expected.method, expected.path)
        assert sent.headers["Authorization"] == expected.headers["Authorization"]
        assert sent.json == expected.json


async def test_their_types_accept_our_body(start: Start, stub: Stub) -> None:
    sdk = await start("luma")
    stub.reply(ACCEPTED, status=201)
    bodies: list[dict[str, Any]] = [options for _, options in CASES]
    bodies += [{"resolution": resolution, "aspect_ratio": "21:9"} for resolution in ("360p", "540p", "1080p")]
    bodies.append({"media": (image(Role.VIDEO),), "video_task": VideoTask.EDIT, "resolution": "540p"})
    for options in bodies:
        await sdk.call("validate", body=(await ours(stub, **options)).json)
    with pytest.raises(SdkError, match="validation error"):
        await sdk.call("validate", body={"prompt": "a mole", "video": {"seconds": 5}})


async def test_the_client_follows_our_fake(start: Start) -> None:
    sdk = await start("luma")
    async with FakeLuma("fake") as fake:
        for script, code in {"ok": None, "failed": "generation_failed", "moderated": "content_moderated"}.items():
            said = {"prompt": f"a mole #fake:{script}", "model": "ray-3.2", "type": "video"}
            generation = await sdk.call("create", url=fake.base_url, **said)
            assert (await sdk.call("get", url=fake.base_url, generation_id=generation["id"]))["state"] == "processing"
            ended = await sdk.call("get", url=fake.base_url, generation_id=generation["id"])
            assert ended["failure_code"] == code
            assert code is not None or [one["type"] for one in ended["output"]] == ["image", "video"]


async def test_the_client_raises_its_own_errors(start: Start) -> None:
    sdk = await start("luma")
    refused = {"bad-key": 401, "no-credit": 402, "rate": 429, "malformed": 422, "submit-503": 503}
    async with FakeLuma("fake") as fake:
        for script, status in refused.items():
            with pytest.raises(SdkError) as refusal:
                await sdk.call("create", url=fake.base_url, prompt=f"a mole #fake:{script}")
            assert refusal.value.status == status, script
