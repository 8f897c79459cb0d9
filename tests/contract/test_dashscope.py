"""DashScope passes the one suite, and each option and input stands on the wire as its document has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role, VideoTask
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.providers.dashscope import Dashscope
from tests.contract.provider_suite import Option, ProviderContract, Scripts, WireHarness, image, shipped
from tests.fixtures.upstreams.dashscope import PATHS, FakeDashscope

KEY = "dashscope-contract-0123456789"


def entry(name: str) -> Model:
    return shipped("dashscope", name)


class DashscopeHarness(WireHarness[FakeDashscope]):
    scripts = Scripts(
        well=("ok", "suspended", "poll-500", "poll-drop", "poll-html", "elsewhere"),
        filtered=("refused",),
        failed=("failed", "cancelled", "lost", "poll-404"),
        unknown_status=("unknown-status",),
        statuses={"ok": Done, "failed": Failed, "refused": Failed, "cancelled": Failed, "lost": Failed},
        refused_key=("bad-key", "no-right"),
        refused_quota=("rate", "quota"),
        refused_credit=("unpaid",),
        refused_request=("invalid", "no-model"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-html"),
        download_accident=("download-500",),
        download_lost=("download-404",),
        download_elsewhere=("elsewhere",),
        cancel_too_late=("cancel-too-late",),
    )
    options = (
        Option({"duration_s": 30}, ("parameters", "duration"), 30),
        Option({"aspect_ratio": "9:16"}, ("parameters", "ratio"), "9:16"),
        Option({"resolution": "480p"}, ("parameters", "resolution"), "480P"),
        Option({"generate_audio": False}, ("parameters", "audio"), False),
        Option({"seed": 0}, ("parameters", "seed"), 0),
        Option({"additional_params": {"watermark": False}}, ("parameters", "watermark"), False),
    )
    undeclared = ({"negative_prompt": ""}, {"person_generation": "allow_adult"}, {"n": 2})

    def __init__(self, upstream: FakeDashscope, client: HttpClient) -> None:
        super().__init__(upstream, client, entry("wan3.0-video"), KEY)

    def at(self, base_url: str) -> Provider:
        return Dashscope(self.client, base_url)

    def submitted(self) -> list[Any]:
        found = [recorded for recorded in self.upstream.requests if recorded.path in PATHS]
        return [recorded.json for recorded in found]


@pytest.fixture
async def harness(client: HttpClient) -> AsyncIterator[DashscopeHarness]:
    async with FakeDashscope(KEY) as upstream:
        yield DashscopeHarness(upstream, client)


class TestDashscope(ProviderContract):
    """The suite."""


async def sent(harness: DashscopeHarness, model: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """The path and the body that this request makes."""
    harness.model = entry(model)
    await harness.submit(harness.request(**options))
    (call,) = harness.upstream.requests
    assert (call.headers["Authorization"], call.headers["X-DashScope-Async"]) == (f"Bearer {KEY}", "enable")
    return call.path, call.json


async def test_a_request_says_what_was_given_and_no_more(harness: DashscopeHarness) -> None:
    options = {"duration_s": 5, "aspect_ratio": "16:9", "resolution": "720p", "generate_audio": True, "seed": 3}
    path, body = await sent(harness, "wan3.0-video", **options)
    assert path == PATHS[0]
    assert body == {
        "model": "wan3.0-video", "input": {"prompt": body["input"]["prompt"]},
        "parameters": {"resolution": "720P", "ratio": "16:9", "duration": 5, "audio": True, "seed": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "role", "task", "kind"),
    [
        ("wan3.0-video", Role.INPUT_IMAGE, None, "first_frame"),
        ("wan3.0-video", Role.LAST_FRAME, None, "last_frame"),
        ("wan3.0-video", Role.REFERENCE_IMAGE, None, "reference_image"),
        ("wan3.0-video", Role.REFERENCE_VIDEO, None, "reference_video"),
        ("wan3.0-video", Role.REFERENCE_AUDIO, None, "reference_audio"),
        ("wan3.0-video", Role.VIDEO, VideoTask.EDIT, "video"),
        ("wan3.0-video", Role.VIDEO, VideoTask.EXTEND, "video"),
        ("wan2.7-i2v", Role.VIDEO, VideoTask.EXTEND, "first_clip"),
        ("wan2.7-i2v", Role.INPUT_IMAGE, None, "first_frame"),
    ],
)
async def test_each_input_is_a_media_entry(
    harness: DashscopeHarness, model: str, role: Role, task: VideoTask | None, kind: str
) -> None:
    _, body = await sent(harness, model, media=(image(role),), video_task=task)
    (item,) = body["input"]["media"]
    assert item["type"] == kind
    assert item["url"].startswith("data:image/png;base64,")


async def test_a_negative_prompt_goes_where_the_model_takes_one(harness: DashscopeHarness) -> None:
    _, body = await sent(harness, "wan2.7-t2v", negative_prompt="rain")
    assert body["input"]["negative_prompt"] == "rain"
    assert "audio" not in body["parameters"]


async def test_older_text_models_take_pixels_with_an_asterisk(harness: DashscopeHarness) -> None:
    path, body = await sent(harness, "wan2.6-t2v", resolution="720p", aspect_ratio="16:9", duration_s=5)
    assert path == PATHS[0]
    assert body["parameters"] == {"size": "1280*720", "duration": 5}


async def test_older_image_models_have_fields_of_their_own(harness: DashscopeHarness) -> None:
    _, body = await sent(harness, "wan2.5-i2v-preview", resolution="720p", media=(image(Role.INPUT_IMAGE),))
    assert body["input"].keys() == {"prompt", "img_url"}
    assert body["parameters"]["resolution"] == "720P"


async def test_two_frames_of_older_models_have_a_path_of_their_own(harness: DashscopeHarness) -> None:
    media = (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))
    path, body = await sent(harness, "wan2.2-kf2v-flash", resolution="720p", media=media)
    assert path == PATHS[1]
    assert body["input"].keys() == {"prompt", "first_frame_url", "last_frame_url"}
