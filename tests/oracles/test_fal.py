"""fal's own client and our adapter say the same, its types accept what we send, and it accepts our fake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rushes.catalogue.check import complete, offers_of
from rushes.catalogue.model import Model
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.fal import Fal
from rushes.providers.hub.ask import Ask, ask_for
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.fal import FakeFal
from tests.oracles import fal_types
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError
from tests.oracles.stub import Stub
from tests.unit.providers.hub.test_ask import TAKEN

KEY = "fake-id:fake-secret"
MODELS = shipped_catalogue().models("fal")
YOUNGER = (
    "alibaba/happy-horse/v1.1", "bytedance/seedance-2", "fal-ai/kling-video/o3/4k", "fal-ai/kling-video/v3/turbo",
    "google/gemini-omni-flash", "kling/v4", "luma/agent/ray/v3.2", "minimax/h3", "xai/grok-imagine-video/v1.5",
)  # fmt: skip
"""Endpoints that are younger than the newest package of types, by the beginning of their ids."""
LATER = {("fal-ai/veo3.1", "resolution", "4k")}
"""Values that older endpoints have got since then."""


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


@pytest.mark.parametrize(
    ("theirs", "ours", "endpoint"),
    [
        (
            {"prompt": "a mole", "duration": "6s", "resolution": "1080p", "aspect_ratio": "9:16", "seed": 0,
             "generate_audio": False, "negative_prompt": "rain"},
            {"duration_s": 6, "resolution": "1080p", "aspect_ratio": "9:16", "seed": 0, "generate_audio": False,
             "negative_prompt": "rain"},
            "fal-ai/veo3.1",
        ),
        ({"prompt": "a mole", "duration": "8s", "image_url": "PICTURE"},
         {"duration_s": 8, "media": (image(Role.INPUT_IMAGE),)}, "fal-ai/veo3.1/image-to-video"),
    ],
    ids=["text", "image"],
)  # fmt: skip
async def test_the_same_intent_is_the_same_request(
    start: Start, stub: Stub, theirs: dict[str, Any], ours: dict[str, Any], endpoint: str
) -> None:
    sdk = await start("fal")
    stub.reply({"request_id": "r1", "response_url": "x", "status_url": "x", "cancel_url": "x"})
    client = HttpClient()
    model = shipped_catalogue().find("fal", "fal-ai/veo3.1")
    assert model is not None
    try:
        await Fal(client, stub.base_url).submit(
            model,
            VideoRequest("a mole", **ours),
            attempt_id="att_1",
            credential=Credential(kind="api_key", secret=KEY),
            read_media=read_media,
        )
    finally:
        await client.close()
    (sent,) = stub.take()
    pictured = {name: sent.json[name] if value == "PICTURE" else value for name, value in theirs.items()}
    await sdk.call("submit", url=stub.base_url, application=endpoint, arguments=pictured)
    (expected,) = stub.take()
    assert (sent.method, sent.path) == (expected.method, expected.path)
    assert sent.headers["Authorization"] == expected.headers["Authorization"]
    assert sent.json == expected.json


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_clients_types_accept_what_is_sent(model: Model) -> None:
    if fal_types.file() is None:
        pytest.skip("the vendors' JavaScript clients are not installed: run `make node`")
    for bare in TAKEN["fal", model.id]:
        for option, (_, offer) in offers_of(model, bare, test=False).items():
            for value in (None, *offer.values):
                request = VideoRequest(bare.prompt, media=bare.media, video_task=bare.video_task, **{option: value})
                completed = complete(model, request, test=False)
                files = [(item.role, f"https://files.example/{item.role}") for item in request.media]
                assert_typed(ask_for(model, completed, files, hub="fal"))


def assert_typed(ask: Ask) -> None:
    """Every field is one of the endpoint's, in its type, and none that must be given is missing."""
    name = fal_types.inputs().get(ask.to)
    if name is None:
        assert ask.to.startswith(YOUNGER), ask.to
        return
    fields = fal_types.fields(name)
    for field, value in ask.input.items():
        assert field in fields, (ask.to, field)
        typed = fields[field]
        kinds = {str: "string", bool: "boolean", int: "number", list: "Array<string>"}
        # The package writes the values of whole numbers in quotes too.
        is_literal = json.dumps(str(value)) in typed.literals or json.dumps(value) in typed.literals
        is_later = any(ask.to.startswith(begin) and [field, value] == rest for begin, *rest in LATER)
        assert is_literal or is_later or kinds[type(value)] in typed.kinds, (ask.to, field, value, typed)
    assert {field for field, typed in fields.items() if typed.is_required} <= ask.input.keys(), ask


async def test_the_client_follows_our_fake(start: Start) -> None:
    sdk = await start("fal")
    endpoint = "fal-ai/kling-video/v3/pro/text-to-video"
    async with FakeFal(KEY) as fake:
        where = {"url": fake.base_url, "application": endpoint}
        request_id = await sdk.call("submit", **where, arguments={"prompt": "a mole"})
        running = await sdk.call("status", **where, request_id=request_id)
        ended = await sdk.call("status", **where, request_id=request_id)
        result = await sdk.call("result", **where, request_id=request_id)
    assert (running["kind"], ended["kind"]) == ("InProgress", "Completed")
    assert result["video"]["url"].startswith(fake.base_url)


@pytest.mark.parametrize(("script", "status"), [("no-model", 404), ("bad-key", 401), ("invalid", 422)])
async def test_the_client_reads_our_fakes_refusals(start: Start, script: str, status: int) -> None:
    sdk = await start("fal")
    async with FakeFal(KEY) as fake:
        arguments = {"prompt": f"a mole #fake:{script}"}
        with pytest.raises(SdkError) as caught:
            await sdk.call("submit", url=fake.base_url, application="fal-ai/veo3.1", arguments=arguments)
    assert (caught.value.name, caught.value.status) == ("FalClientHTTPError", status)


@pytest.mark.parametrize("script", ["failed", "refused"])
async def test_the_client_reads_our_fakes_failures(start: Start, script: str) -> None:
    sdk = await start("fal")
    async with FakeFal(KEY) as fake:
        where = {"url": fake.base_url, "application": "fal-ai/veo3.1"}
        request_id = await sdk.call("submit", **where, arguments={"prompt": f"a mole #fake:{script}"})
        with pytest.raises(SdkError) as caught:
            await sdk.call("result", **where, request_id=request_id)
    assert (caught.value.name, caught.value.status) == ("FalClientHTTPError", 422)


async def test_the_client_cancels_at_our_fake(start: Start) -> None:
    sdk = await start("fal")
    async with FakeFal(KEY) as fake:
        where = {"url": fake.base_url, "application": "fal-ai/veo3.1"}
        request_id = await sdk.call("submit", **where, arguments={"prompt": "a mole #fake:stays-queued"})
        queued = await sdk.call("status", **where, request_id=request_id)
        await sdk.call("cancel", **where, request_id=request_id)
    assert queued["kind"] == "Queued"
    assert fake.cancelled == [request_id]
