"""Volcengine's own client and our adapter say the same, its types accept our body, and it accepts our fake."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.seedance import Seedance
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.seedance import FakeSeedance
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError
from tests.oracles.stub import Stub

MODEL = "seedance-2-5-260628"
THEIRS = f"dreamina-{MODEL}"


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


async def ours(stub: Stub, **options: Any) -> Any:
    """The request that our adapter sends."""
    client = HttpClient()
    model = shipped_catalogue().find("seedance", MODEL)
    assert model is not None
    try:
        await Seedance(client, f"{stub.base_url}/api/v3").submit(
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


async def test_the_same_intent_is_the_same_request(start: Start, stub: Stub) -> None:
    sdk = await start("seedance")
    stub.reply({"id": "cgt-1"})
    sent = await ours(
        stub,
        aspect_ratio="16:9",
        resolution="720p",
        duration_s=6,
        seed=3,
        generate_audio=True,
        media=(image(Role.INPUT_IMAGE), image(Role.LAST_FRAME)),
    )
    said = sent.json
    await sdk.call("create", url=stub.base_url, **said)
    (expected,) = stub.take()
    assert (sent.method, sent.path) == (expected.method, expected.path)
    assert sent.headers["Authorization"] == expected.headers["Authorization"]
    assert said == {name: value for name, value in expected.json.items() if value is not None}


@pytest.mark.parametrize(
    "options",
    [
        {"duration_s": 5, "generate_audio": False, "seed": 0},
        {"media": (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))},
        {"media": (image(Role.REFERENCE_IMAGE), image(Role.REFERENCE_VIDEO), image(Role.REFERENCE_AUDIO))},
        {"media": (image(Role.VIDEO),), "resolution": "1080p", "aspect_ratio": "21:9"},
    ],
)
async def test_their_types_accept_our_body(start: Start, stub: Stub, options: dict[str, Any]) -> None:
    sdk = await start("seedance", apart=True)
    stub.reply({"id": "cgt-1"})
    await sdk.call("validate", body=(await ours(stub, **options)).json)
    with pytest.raises(SdkError):
        await sdk.call("validate", body={"model": "m", "content": [], "seconds": 5})


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("ok", "succeeded", None),
        ("failed", "failed", "InternalServiceError"),
        ("refused", "failed", "OutputVideoSensitiveContentDetected"),
    ],
)
async def test_the_client_follows_our_fake(start: Start, script: str, status: str, code: str | None) -> None:
    sdk = await start("seedance")
    async with FakeSeedance("fake") as fake:
        content = [{"type": "text", "text": f"a mole #fake:{script}"}]
        task = await sdk.call("create", url=fake.base_url, model=THEIRS, content=content)
        assert (await sdk.call("get", url=fake.base_url, task_id=task["id"]))["status"] == "queued"
        ended = await sdk.call("get", url=fake.base_url, task_id=task["id"])
    assert ended["status"] == status
    assert code is None or ended["error"]["code"] == code
    assert status != "succeeded" or ended["content"]["video_url"].startswith("http")


@pytest.mark.parametrize(
    ("script", "status"), [("bad-key", 401), ("rate", 429), ("overdue", 403), ("filtered-text", 400)]
)
async def test_the_client_raises_its_own_errors(start: Start, script: str, status: int) -> None:
    sdk = await start("seedance")
    async with FakeSeedance("fake") as fake:
        content = [{"type": "text", "text": f"a mole #fake:{script}"}]
        with pytest.raises(SdkError) as refusal:
            await sdk.call("create", url=fake.base_url, model=THEIRS, content=content)
    assert refusal.value.status == status
