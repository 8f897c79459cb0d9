"""OpenRouter's own client and our adapter say the same, its types accept our body, and it follows our fake."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.openrouter import Openrouter
from rushes.providers.openrouter.provider import payload
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.openrouter import FakeOpenrouter
from tests.fixtures.upstreams.openrouter_models import listed
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError
from tests.oracles.stub import Stub

PICTURE = {"url": f"data:image/png;base64,{base64.b64encode(MEDIA_BYTES).decode()}"}
ACCEPTED = {"id": "gen-vid-1", "polling_url": "/api/v1/videos/gen-vid-1", "status": "pending"}


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


async def ours(stub: Stub, model: str, **options: Any) -> Any:
    """The request that our adapter sends."""
    client = HttpClient()
    entry = shipped_catalogue().find("openrouter", model)
    assert entry is not None
    try:
        await Openrouter(client, f"{stub.base_url}/api/v1").submit(
            entry,
            VideoRequest("a mole", **options),
            attempt_id="att_1",
            credential=Credential(kind="api_key", secret="fake"),
            read_media=read_media,
        )
    finally:
        await client.close()
    (sent,) = stub.take()
    return sent


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "google/veo-3.1",
        {
            "aspect_ratio": "16:9", "resolution": "4K", "duration": 6, "seed": 0, "generate_audio": False,
            "provider": {"options": {"google-vertex": {"negativePrompt": "rain"}}},
            "frame_images": [
                {"type": "image_url", "image_url": PICTURE, "frame_type": "first_frame"},
                {"type": "image_url", "image_url": PICTURE, "frame_type": "last_frame"},
            ],
        },
        {
            "aspect_ratio": "16:9", "resolution": "4k", "duration_s": 6, "seed": 0, "generate_audio": False,
            "negative_prompt": "rain", "media": (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME)),
        },
    ),
    (
        "bytedance/seedance-2.5",
        {
            "input_references": [
                {"type": "image_url", "image_url": PICTURE}, {"type": "video_url", "video_url": PICTURE},
                {"type": "audio_url", "audio_url": PICTURE},
            ],
        },
        {"media": (image(Role.REFERENCE_IMAGE), image(Role.REFERENCE_VIDEO), image(Role.REFERENCE_AUDIO))},
    ),
]  # fmt: skip


async def test_the_same_intent_is_the_same_request(start: Start, stub: Stub) -> None:
    sdk = await start("openrouter")
    stub.reply(ACCEPTED, status=202)
    for model, theirs, options in CASES:
        await sdk.call("generate", url=stub.base_url, model=model, prompt="a mole", **theirs)
        (expected,) = stub.take()
        sent = await ours(stub, model, **options)
        assert (sent.method, sent.path) == (expected.method, expected.path)
        assert sent.headers["Authorization"] == expected.headers["Authorization"]
        assert sent.json == expected.json


async def test_their_types_accept_our_body(start: Start) -> None:
    sdk = await start("openrouter")
    bodies = [
        payload(model, VideoRequest("a mole", ratio, resolution, 5, seed=0 if model.seed else None), [])
        for model in shipped_catalogue().models("openrouter")
        for resolution in model.resolutions or (None,)
        for ratio in model.aspect_ratios or (None,)
    ]
    await sdk.call("validate", bodies=bodies)
    with pytest.raises(SdkError, match="validation error"):
        await sdk.call("validate", bodies=[{"model": "a/b", "prompt": "a mole", "seconds": 5}])


ENDS = {"ok": "completed", "signed": "completed", "failed": "failed", "cancelled": "cancelled", "expired": "expired"}
REFUSED = {"bad-key": 401, "no-credit": 402, "filtered-at-submit": 403, "no-model": 404, "rate": 429, "submit-500": 500}


async def test_the_client_follows_our_fake(start: Start) -> None:
    sdk = await start("openrouter")
    async with FakeOpenrouter("fake") as fake:
        for script, status in ENDS.items():
            said = {"model": "google/veo-3.1", "prompt": f"a mole #fake:{script}"}
            job = await sdk.call("generate", url=fake.base_url, **said)
            assert (await sdk.call("get", url=fake.base_url, job_id=job["id"]))["status"] == "in_progress"
            ended = await sdk.call("get", url=fake.base_url, job_id=job["id"])
            assert ended["status"] == status
            assert ("urls" in ended) is (script == "signed")
        for script, status_code in REFUSED.items():
            with pytest.raises(SdkError) as refusal:
                await sdk.call("generate", url=fake.base_url, model="a/b", prompt=f"a mole #fake:{script}")
            assert refusal.value.status == status_code, script


async def test_the_client_reads_the_list_of_our_fake(start: Start) -> None:
    sdk = await start("openrouter")
    async with FakeOpenrouter("fake") as fake:
        found = await sdk.call("models", url=fake.base_url)
    assert [one["id"] for one in found["data"]] == [one["id"] for one in listed()]
    assert found["data"][0]["pricing_skus"] == listed()[0]["pricing_skus"]
