"""xAI passes the one suite, and each option and input stands on the wire as its document has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role, VideoTask
from rushes.errors import UnexpectedResponse
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.providers.xai import Xai
from tests.contract.provider_suite import Option, ProviderContract, Scripts, WireHarness, image, shipped
from tests.fixtures.upstreams.xai import FakeXai

KEY = "xai-contract-0123456789"


def entry(name: str) -> Model:
    return shipped("xai", name)


class XaiHarness(WireHarness[FakeXai]):
    scripts = Scripts(
        well=("ok", "poll-500", "poll-drop", "poll-html", "poll-empty", "elsewhere"),
        filtered=("refused", "withheld"),
        failed=("failed", "failed-plain", "expired", "poll-404"),
        unknown_status=("unknown-status",),
        statuses={"ok": Done, "failed": Failed, "refused": Failed, "withheld": Failed, "expired": Failed},
        refused_key=("bad-key", "forbidden"),
        refused_quota=("rate",),
        refused_credit=("no-credit",),
        refused_request=("invalid", "schema", "no-model"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-html"),
        download_accident=("download-500",),
        download_lost=("download-404",),
        download_elsewhere=("elsewhere",),
    )
    options = (
        Option({"duration_s": 1}, ("duration",), 1),
        Option({"aspect_ratio": "9:16"}, ("aspect_ratio",), "9:16"),
        Option({"resolution": "1080p"}, ("resolution",), "1080p"),
        Option({"generate_audio": False}, ("generate_audio",), False),
        Option({"additional_params": {"user": "u1"}}, ("user",), "u1"),
    )
    undeclared = ({"negative_prompt": ""}, {"person_generation": "allow_adult"}, {"n": 2}, {"seed": 0})

    def __init__(self, upstream: FakeXai, client: HttpClient) -> None:
        super().__init__(upstream, client, entry("grok-imagine-video-1.5"), KEY)

    def at(self, base_url: str) -> Provider:
        return Xai(self.client, f"{base_url}/v1")


@pytest.fixture
async def harness(client: HttpClient) -> AsyncIterator[XaiHarness]:
    async with FakeXai(KEY) as upstream:
        yield XaiHarness(upstream, client)


class TestXai(ProviderContract):
    """The suite."""


async def sent(harness: XaiHarness, model: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """The path and the body that this request makes."""
    harness.model = entry(model)
    await harness.submit(harness.request(**options))
    (call,) = harness.upstream.requests
    assert (call.method, call.headers["Authorization"]) == ("POST", f"Bearer {KEY}")
    return call.path, call.json


async def test_a_text_request_says_every_option(harness: XaiHarness) -> None:
    path, body = await sent(
        harness, "grok-imagine-video", duration_s=6, aspect_ratio="16:9", resolution="720p", generate_audio=True
    )
    assert path == "/v1/videos/generations"
    assert body == {
        "model": "grok-imagine-video", "prompt": body["prompt"], "duration": 6, "aspect_ratio": "16:9",
        "resolution": "720p",
    }  # fmt: skip


async def test_frames_are_data_urls_and_the_image_decides_the_ratio(harness: XaiHarness) -> None:
    media = (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))
    _, body = await sent(harness, "grok-imagine-video-1.5", aspect_ratio="16:9", generate_audio=False, media=media)
    assert body["image"]["url"].startswith("data:image/png;base64,")
    assert body["last_frame"]["url"].startswith("data:image/png;base64,")
    assert body["generate_audio"] is False
    assert "aspect_ratio" not in body


async def test_references_are_lists_of_urls(harness: XaiHarness) -> None:
    media = (image(Role.REFERENCE_IMAGE), image(Role.REFERENCE_IMAGE), image(Role.REFERENCE_AUDIO))
    _, body = await sent(harness, "grok-imagine-video-1.5", media=media)
    assert [sorted(item) for item in body["reference_images"]] == [["url"], ["url"]]
    assert [sorted(item) for item in body["reference_audios"]] == [["url"]]


async def test_an_extension_names_the_video_and_how_much_is_added(harness: XaiHarness) -> None:
    path, body = await sent(
        harness, "grok-imagine-video", duration_s=6, media=(image(Role.VIDEO),), video_task=VideoTask.EXTEND
    )
    assert path == "/v1/videos/extensions"
    assert body.keys() == {"model", "prompt", "duration", "video"}
    assert body["duration"] == 6


async def test_an_edit_has_no_length_of_its_own(harness: XaiHarness) -> None:
    path, body = await sent(harness, "grok-imagine-video", media=(image(Role.VIDEO),), video_task=VideoTask.EDIT)
    assert path == "/v1/videos/edits"
    assert body.keys() == {"model", "prompt", "video"}


async def test_done_without_a_link_is_not_success(harness: XaiHarness) -> None:
    from rushes.providers.failure import Reply
    from rushes.providers.xai import progress_of

    with pytest.raises(UnexpectedResponse):
        progress_of(Reply(200, {"status": "done", "video": {"respect_moderation": True}}), secret="")
