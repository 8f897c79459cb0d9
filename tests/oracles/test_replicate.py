"""Replicate's own clients and our adapter say the same, its types accept our body, and both clients accept our fake."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.replicate import Replicate
from tests.contract.provider_suite import MEDIA_BYTES
from tests.contract.test_replicate import VERSION, large
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.replicate import FakeReplicate
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError
from tests.oracles.stub import Stub

KEY = "r8_fake-key"
KLING = "kwaivgi/kling-v3-video"
CREATED = {
    "id": "p1",
    "model": KLING,
    "version": "hidden",
    "status": "starting",
    "input": {},
    "urls": {"get": "https://x"},
}
SAID = {
    "prompt": "a mole", "mode": "pro", "duration": 10, "aspect_ratio": "9:16", "generate_audio": False,
    "negative_prompt": "",
}  # fmt: skip
ASKED: dict[str, Any] = {
    "duration_s": 10, "aspect_ratio": "9:16", "resolution": "1080p", "generate_audio": False, "negative_prompt": "",
}  # fmt: skip


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


async def ours(stub: Stub, *, to: str | None = None, **options: Any) -> None:
    """Send what our adapter sends."""
    client = HttpClient()
    model = shipped_catalogue().find("replicate", KLING)
    assert model is not None
    if to is not None:
        model = model.model_copy(update={"wire": {**model.wire, "calls": [{"to": to}]}})
    try:
        await Replicate(client, f"{stub.base_url}/v1").submit(
            model,
            VideoRequest("a mole", **options),
            attempt_id="att_1",
            credential=Credential(kind="api_key", secret=KEY),
            read_media=read_media,
        )
    finally:
        await client.close()


async def test_the_same_intent_is_the_same_request(start: Start, stub: Stub) -> None:
    sdk = await start("replicate")
    stub.reply(CREATED, status=201)
    await sdk.call("create", url=stub.base_url, model=KLING, fields=SAID)
    (expected,) = stub.take()
    await ours(stub, **ASKED)
    (sent,) = stub.take()
    assert (sent.method, sent.path, sent.json) == (expected.method, expected.path, expected.json)
    assert sent.headers["Authorization"] == expected.headers["Authorization"]


async def test_the_same_version_is_the_same_request(start: Start, stub: Stub) -> None:
    sdk = await start("replicate")
    stub.reply(CREATED, status=201)
    await sdk.call("create_version", url=stub.base_url, version=VERSION, fields=SAID)
    (expected,) = stub.take()
    await ours(stub, to=f"acme/films:{VERSION}", **ASKED)
    (sent,) = stub.take()
    assert (sent.method, sent.path, sent.json) == (expected.method, expected.path, expected.json)


async def test_the_same_file_is_the_same_upload(start: Start, stub: Stub) -> None:
    sdk = await start("replicate")
    stub.reply({"id": "f1", "urls": {"get": "https://x/f1"}, "name": "n", "content_type": "image/png", "size": 1,
                "etag": "e", "checksums": {}, "metadata": {}, "created_at": "2026-11-30T12:26:51Z",
                "expires_at": None}, status=201)  # fmt: skip
    content = MEDIA_BYTES.decode("latin-1")
    await sdk.call("upload", url=stub.base_url, name="input_image.png", content=content)
    (expected,) = stub.take()
    await ours(stub, media=(large(Role.INPUT_IMAGE),))
    sent = stub.take()[0]
    assert (sent.method, sent.path) == (expected.method, expected.path)
    assert part_of(sent.body) == part_of(expected.body)


def part_of(form: bytes) -> tuple[str, bytes]:
    """The head of a form's only part and its content."""
    head, _, rest = form.partition(b"\r\n\r\n")
    boundary = head.split(b"\r\n")[0]
    return head.removeprefix(boundary).decode().strip(), rest.split(b"\r\n" + boundary)[0]


async def test_the_typed_client_sends_the_same_and_its_types_accept_our_body(start: Start, stub: Stub) -> None:
    sdk = await start("replicate", apart=True)
    stub.reply(CREATED, status=201)
    owner, _, name = KLING.partition("/")
    await sdk.call("typed_create", url=stub.base_url, owner=owner, name=name, fields=SAID, cancel_after="3600s")
    (expected,) = stub.take()
    await ours(stub, **ASKED)
    (sent,) = stub.take()
    assert (sent.method, sent.path, sent.json) == (expected.method, expected.path, expected.json)
    assert sent.headers["Cancel-After"] == expected.headers["Cancel-After"]
    await sdk.call("validate", body=sent.json)
    with pytest.raises(SdkError, match="Extra inputs are not permitted"):
        await sdk.call("validate", body={**sent.json, "prompt": "a mole"})


@pytest.mark.parametrize(("script", "status"), [("ok", "succeeded"), ("failed", "failed"), ("canceled", "canceled")])
async def test_the_client_follows_our_fake(start: Start, script: str, status: str) -> None:
    sdk = await start("replicate")
    async with FakeReplicate(KEY) as fake:
        made = await sdk.call("create", url=fake.base_url, model=KLING, fields={"prompt": f"a mole #fake:{script}"})
        running = await sdk.call("get", url=fake.base_url, prediction_id=made["id"])
        ended = await sdk.call("get", url=fake.base_url, prediction_id=made["id"])
    assert (made["status"], running["status"], ended["status"]) == ("starting", "processing", status)
    assert (ended["output"] is not None) is (script == "ok")


async def test_the_typed_client_follows_our_fake(start: Start) -> None:
    sdk = await start("replicate", apart=True)
    owner, _, name = KLING.partition("/")
    async with FakeReplicate(KEY) as fake:
        said = {"owner": owner, "name": name, "fields": {"prompt": "a mole"}, "cancel_after": "60s"}
        made = await sdk.call("typed_create", url=fake.base_url, **said)
        ended = [await sdk.call("typed_get", url=fake.base_url, prediction_id=made["id"]) for _ in range(2)][-1]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/files/\w+/tmp\.mp4", ended["output"])


async def test_the_client_cancels_at_our_fake(start: Start) -> None:
    sdk = await start("replicate")
    async with FakeReplicate(KEY) as fake:
        made = await sdk.call("create", url=fake.base_url, model=KLING, fields={"prompt": "a mole #fake:stays-queued"})
        cancelled = await sdk.call("cancel", url=fake.base_url, prediction_id=made["id"])
    assert cancelled["status"] == "canceled"
    assert fake.cancelled == [made["id"]]


@pytest.mark.parametrize(
    ("script", "status"), [("bad-key", 401), ("no-credit", 402), ("no-model", 404), ("invalid", 422)]
)
async def test_the_client_reads_our_fakes_refusals(start: Start, script: str, status: int) -> None:
    sdk = await start("replicate")
    async with FakeReplicate(KEY) as fake:
        with pytest.raises(SdkError) as caught:
            await sdk.call("create", url=fake.base_url, model=KLING, fields={"prompt": f"a mole #fake:{script}"})
    assert caught.value.name == "ReplicateError"
    assert f"status: {status}" in caught.value.message
