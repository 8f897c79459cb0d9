"""Alibaba's own client and our adapter say the same, and the client accepts our fake."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.dashscope import Dashscope
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.dashscope import FakeDashscope
from tests.oracles.conftest import Start
from tests.oracles.stub import Stub

LEFTOVERS = ("extend_prompt", "function")
"""Of the vendor's client in `input`; the service does not need them."""
DEFAULTS = ("prompt_extend", "watermark")
"""Parameters that the vendor's client may add by itself."""


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


async def ours(stub: Stub, model: str, **options: Any) -> Any:
    """The request that our adapter sends."""
    client = HttpClient()
    entry = shipped_catalogue().find("dashscope", model)
    assert entry is not None
    try:
        await Dashscope(client, stub.base_url).submit(
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
        "wan3.0-video",
        {"duration": 6, "seed": 3, "resolution": "720P", "ratio": "16:9", "audio": True},
        {"duration_s": 6, "seed": 3, "resolution": "720p", "aspect_ratio": "16:9", "generate_audio": True},
    ),
    (
        "wan2.6-t2v",
        {"size": "1280*720", "duration": 5, "negative_prompt": "rain"},
        {"resolution": "720p", "aspect_ratio": "16:9", "duration_s": 5, "negative_prompt": "rain"},
    ),
]


@pytest.mark.parametrize(("model", "theirs", "options"), CASES, ids=[case[0] for case in CASES])
async def test_the_same_intent_is_the_same_request(
    start: Start, stub: Stub, model: str, theirs: dict[str, Any], options: dict[str, Any]
) -> None:
    sdk = await start("dashscope")
    stub.reply({"output": {"task_id": "t1", "task_status": "PENDING"}, "request_id": "r"})
    await sdk.call("submit", url=stub.base_url, model=model, prompt="a mole", **theirs)
    (expected,) = stub.take()
    sent = await ours(stub, model, **options)
    assert (sent.method, sent.path) == (expected.method, expected.path)
    for name in ("Authorization", "X-DashScope-Async"):
        assert sent.headers[name] == expected.headers[name]
    said = expected.json
    said["input"] = {name: value for name, value in said["input"].items() if name not in LEFTOVERS}
    said["parameters"] = {name: value for name, value in said["parameters"].items() if name not in DEFAULTS}
    assert sent.json == said


async def test_a_first_frame_is_the_same_media_entry(start: Start, stub: Stub) -> None:
    sdk = await start("dashscope")
    stub.reply({"output": {"task_id": "t1", "task_status": "PENDING"}, "request_id": "r"})
    sent = await ours(stub, "wan3.0-video", media=(image(Role.INPUT_IMAGE),))
    media = sent.json["input"]["media"]
    await sdk.call("submit", url=stub.base_url, model="wan3.0-video", prompt="a mole", media=media)
    (expected,) = stub.take()
    assert expected.json["input"]["media"] == media


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [("ok", "SUCCEEDED", None), ("failed", "FAILED", "InternalError"), ("refused", "FAILED", "DataInspectionFailed")],
)
async def test_the_client_follows_our_fake(start: Start, script: str, status: str, code: str | None) -> None:
    sdk = await start("dashscope")
    async with FakeDashscope("fake") as fake:
        task = await sdk.call("submit", url=fake.base_url, model="wan3.0-video", prompt=f"a mole #fake:{script}")
        running = await sdk.call("fetch", url=fake.base_url, task_id=task["output_task_id"])
        assert running["output_task_status"] == "RUNNING"
        ended = await sdk.call("fetch", url=fake.base_url, task_id=task["output_task_id"])
    assert (ended["output_task_status"], ended["output_code"]) == (status, code)


@pytest.mark.parametrize(("script", "status"), [("bad-key", 401), ("rate", 429), ("unpaid", 400)])
async def test_the_client_reports_our_refusals(start: Start, script: str, status: int) -> None:
    sdk = await start("dashscope")
    async with FakeDashscope("fake") as fake:
        answer = await sdk.call("submit", url=fake.base_url, model="wan3.0-video", prompt=f"a mole #fake:{script}")
    assert answer["status"] == status
