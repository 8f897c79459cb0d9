"""Runway's own client and our adapter say the same, its types take our body for every model, and it follows our fake.

One test asks one process all that it has to ask, because a process takes a second to start.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from rushes.catalogue.check import complete
from rushes.catalogue.model import Audio, Model
from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask
from rushes.errors import UnsupportedOption
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.body import Inline
from rushes.providers.runway import Runway, call_for
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.runway import FakeRunway
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError
from tests.oracles.stub import Stub

PICTURE = f"data:image/png;base64,{base64.b64encode(MEDIA_BYTES).decode()}"
MODELS = shipped_catalogue().models("runway")


def entry(name: str) -> Model:
    model = shipped_catalogue().find("runway", name)
    assert model is not None
    return model


async def read_media(media: InputMedia) -> bytes:
    return MEDIA_BYTES


async def ours(stub: Stub, model: str, request: VideoRequest) -> Any:
    """The request that our adapter sends."""
    client = HttpClient()
    try:
        await Runway(client, stub.base_url).submit(
            entry(model),
            request,
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
        "text_to_video",
        {
            "model": "veo3.1", "prompt_text": "a mole", "ratio": "1280:720", "duration": 6, "seed": 0,
            "audio": False, "negative_prompt": "rain",
        },
        {
            "aspect_ratio": "16:9", "resolution": "720p", "duration_s": 6, "seed": 0,
            "generate_audio": False, "negative_prompt": "rain",
        },
    ),
    (
        "image_to_video",
        {
            "model": "gen4.5", "prompt_text": "a mole", "ratio": "960:960", "duration": 5,
            "prompt_image": [{"uri": PICTURE, "position": "first"}],
        },
        {"aspect_ratio": "1:1", "resolution": "720p", "duration_s": 5, "media": (image(Role.INPUT_IMAGE),)},
    ),
    (
        "video_to_video",
        {
            "model": "gemini_omni_flash_1.1", "prompt_text": "a mole", "video_uri": PICTURE, "duration": 8,
            "mode": "extend",
        },
        {"duration_s": 8, "media": (image(Role.VIDEO),), "video_task": VideoTask.EXTEND},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "theirs", "options"), CASES, ids=[case[0] for case in CASES])
async def test_the_same_intent_is_the_same_request(
    start: Start, stub: Stub, endpoint: str, theirs: dict[str, Any], options: dict[str, Any]
) -> None:
    sdk = await start("runway")
    stub.reply({"id": "t1", "estimatedCost": {"credits": 60}})
    await sdk.call("create", url=stub.base_url, endpoint=endpoint, **theirs)
    (expected,) = stub.take()
    sent = await ours(stub, theirs["model"], VideoRequest("a mole", **options))
    assert (sent.method, sent.path) == (expected.method, expected.path) == ("POST", f"/v1/{endpoint}")
    for header in ("Authorization", "X-Runway-Version"):
        assert sent.headers[header] == expected.headers[header]
    assert sent.json == expected.json


def requests_of(model: Model) -> list[VideoRequest]:
    """One completed request for every value of every option that the entry offers, in every way to make a video."""
    ways: list[dict[str, Any]] = [] if model.required_inputs else [{}]
    ways += [{"media": (image(role),)} for role in model.inputs if role not in (Role.VIDEO, Role.LAST_FRAME)]
    ways += [{"media": (image(Role.VIDEO),), "video_task": task} for task in model.video_tasks]
    if Role.LAST_FRAME in model.inputs:
        ways.append({"media": (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))})
    if {Role.REFERENCE_IMAGE, Role.REFERENCE_AUDIO} <= model.inputs.keys():
        ways.append({"media": (image(Role.REFERENCE_IMAGE), image(Role.REFERENCE_AUDIO))})
    values: list[dict[str, Any]] = [{}]
    values += [
        {"resolution": resolution, "aspect_ratio": ratio}
        for resolution in model.resolutions
        for ratio in model.aspect_ratios
    ]
    values += [{"resolution": resolution} for resolution in model.resolutions]
    values += [{"duration_s": duration_s} for duration_s in (model.durations_s[:1] + model.durations_s[-1:])]
    values += [{"seed": 0}] if model.seed else []
    values += [{"negative_prompt": ""}] if model.negative_prompt else []
    values += [{"generate_audio": False}] if model.audio is Audio.OPTIONAL else []
    found = []
    for way in ways:
        for value in values:
            try:
                found.append(complete(model, VideoRequest("a mole", **way, **value), test=False))
            except UnsupportedOption:
                # The entry itself says that these do not go together.
                continue
    return found


def in_json(request: VideoRequest, model: Model) -> tuple[str, dict[str, Any]]:
    """The call that a request makes, with its media as text."""
    media = [(item.role, Inline(b"0", prefix="data:,")) for item in request.media]
    path, document = call_for(model, request, media)
    return path.rsplit("/", 1)[-1], json.loads(json.dumps(document, default=lambda inline: inline.prefix))


async def test_their_type_of_each_model_accepts_all_that_our_entry_offers(start: Start) -> None:
    sdk = await start("runway")
    calls = {json.dumps(in_json(request, model)) for model in MODELS for request in requests_of(model)}
    assert {json.loads(call)[1]["model"] for call in calls} == {model.id for model in MODELS}
    found = await sdk.call("problems", calls=[json.loads(call) for call in sorted(calls)])
    assert found == []


async def test_every_model_that_their_types_have_is_in_our_catalogue(start: Start) -> None:
    sdk = await start("runway")
    theirs = await sdk.call("models")
    for endpoint, ids in theirs.items():
        # Hailuo 3 takes a video as a reference, which our entry says as reference_videos.
        ours = sorted(model.id for model in MODELS if endpoint.partition("_")[0] in model.wire)
        assert ours == [name for name in ids if (endpoint, name) != ("video_to_video", "hailuo3")]


async def test_their_types_refuse_what_they_do_not_have(start: Start) -> None:
    sdk = await start("runway")
    for wrong in ({"negativePrompt": "rain"}, {"ratio": "16:9"}, {"duration": "5"}, {"audio": True}):
        body = {"model": "gen4.5", "promptText": "a mole", "ratio": "1280:720", "duration": 5, **wrong}
        with pytest.raises(SdkError, match="validation error"):
            await sdk.call("validate", endpoint="text_to_video", body=body)


ENDS = {
    "ok": ("RUNNING", "SUCCEEDED"),
    "throttled": ("THROTTLED", "SUCCEEDED"),
    "pending": ("PENDING", "SUCCEEDED"),
    "failed": ("RUNNING", "FAILED"),
    "refused-prompt": ("RUNNING", "FAILED"),
    "cancelled": ("RUNNING", "CANCELLED"),
}
REFUSED = {"bad-key": 401, "rate": 429, "invalid": 400, "submit-500": 500}


async def test_the_client_follows_our_fake(start: Start) -> None:
    sdk = await start("runway")
    async with FakeRunway("fake") as fake:
        for script, (first, last) in ENDS.items():
            task = await sdk.call("create", url=fake.base_url, endpoint="text_to_video", **playing(script))
            assert (await sdk.call("retrieve", url=fake.base_url, task_id=task["id"]))["status"] == first
            ended = await sdk.call("retrieve", url=fake.base_url, task_id=task["id"])
            assert ended["status"] == last
            assert last != "SUCCEEDED" or ended["output"][0].startswith("http")
            await sdk.call("delete", url=fake.base_url, task_id=task["id"])
            assert fake.deleted[-1] == task["id"]


async def test_the_client_raises_its_own_errors(start: Start) -> None:
    sdk = await start("runway")
    async with FakeRunway("fake") as fake:
        for script, status in REFUSED.items():
            with pytest.raises(SdkError) as refusal:
                await sdk.call("create", url=fake.base_url, endpoint="text_to_video", **playing(script))
            assert refusal.value.status == status, script


def playing(script: str) -> dict[str, Any]:
    """A request that our fake plays this script for."""
    return {"model": "gen4.5", "prompt_text": f"a mole #fake:{script}", "ratio": "1280:720", "duration": 5}
