"""Kling passes the one suite on both of its APIs, and each option and input stands on the wire as recorded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role, VideoTask
from rushes.errors import UnsupportedOption
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider
from rushes.providers.kling import Kling, KlingLegacy
from rushes.providers.kling.legacy import signed_token
from tests.contract.provider_suite import Option, ProviderContract, Scripts, WireHarness, image, shipped
from tests.fixtures.upstreams.kling import FakeKling

KEY = "kling-contract-0123456789"
PAIR = {"access_key": "access-0123456789abcdef", "secret_key": "secret-0123456789abcdef"}


def entry(name: str) -> Model:
    return shipped("kling", name)


class KlingHarness(WireHarness[FakeKling]):
    scripts = Scripts(
        well=("ok", "poll-500", "poll-busy", "poll-drop", "poll-html", "elsewhere"),
        filtered=("refused",),
        failed=("failed", "poll-404"),
        unknown_status=("unknown-status",),
        statuses={"ok": Done, "failed": Failed, "refused": Failed},
        refused_key=("bad-key", "expired-token", "no-right", "blocked-address"),
        refused_quota=("rate", "parallel"),
        refused_credit=("arrears", "no-credit"),
        refused_request=("invalid", "no-model"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-html"),
        download_accident=("download-500",),
        download_lost=("download-404",),
        download_elsewhere=("elsewhere",),
    )
    options: Sequence[Option] = (
        Option({"duration_s": 15}, ("settings", "duration"), 15),
        Option({"aspect_ratio": "9:16"}, ("settings", "aspect_ratio"), "9:16"),
        Option({"resolution": "4k"}, ("settings", "resolution"), "4k"),
        Option({"generate_audio": True}, ("settings", "audio"), "native"),
        Option({"generate_audio": False}, ("settings", "audio"), "off"),
        Option({"additional_params": {"cfg_scale": 0}}, ("settings", "cfg_scale"), 0),
    )
    undeclared = ({"negative_prompt": ""}, {"person_generation": "allow_adult"}, {"n": 2}, {"seed": 0})

    def __init__(self, upstream: FakeKling, client: HttpClient) -> None:
        super().__init__(upstream, client, entry("kling-3.0"), KEY)

    def at(self, base_url: str) -> Provider:
        return Kling(self.client, base_url)


class LegacyHarness(KlingHarness):
    options = (
        Option({"duration_s": 15}, ("duration",), "15"),
        Option({"aspect_ratio": "9:16"}, ("aspect_ratio",), "9:16"),
        Option({"resolution": "1080p"}, ("mode",), "pro"),
        Option({"generate_audio": False}, ("sound",), "off"),
        Option({"additional_params": {"cfg_scale": 0}}, ("cfg_scale",), 0),
    )

    def __init__(self, upstream: FakeKling, client: HttpClient) -> None:
        super().__init__(upstream, client)
        self.credential = Credential(kind="key_pair", secret=json.dumps(PAIR))

    def at(self, base_url: str) -> Provider:
        return KlingLegacy(self.client, base_url)


@pytest.fixture
async def upstream() -> AsyncIterator[FakeKling]:
    async with FakeKling(KEY, **PAIR) as fake:
        yield fake


class TestUnified(ProviderContract):
    """The suite, on the API of 2026."""

    @pytest.fixture
    def harness(self, upstream: FakeKling, client: HttpClient) -> KlingHarness:
        return KlingHarness(upstream, client)


class TestLegacy(ProviderContract):
    """The suite, on the API before."""

    @pytest.fixture
    def harness(self, upstream: FakeKling, client: HttpClient) -> KlingHarness:
        return LegacyHarness(upstream, client)


@pytest.fixture
def unified(upstream: FakeKling, client: HttpClient) -> KlingHarness:
    return KlingHarness(upstream, client)


@pytest.fixture
def legacy(upstream: FakeKling, client: HttpClient) -> KlingHarness:
    return LegacyHarness(upstream, client)


async def sent(harness: KlingHarness, model: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """The path and the body that this request makes."""
    harness.model = entry(model)
    await harness.submit(harness.request(**options))
    (call,) = harness.upstream.requests
    return call.path, call.json


async def test_text_has_a_prompt_at_the_top_and_no_contents(unified: KlingHarness) -> None:
    options = {"duration_s": 5, "aspect_ratio": "16:9", "resolution": "1080p", "generate_audio": True}
    path, body = await sent(unified, "kling-3.0", **options)
    assert path == "/text-to-video/kling-3.0"
    assert unified.upstream.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert body.keys() == {"prompt", "settings", "options"}
    assert body["settings"] == {
        "resolution": "1080p", "duration": 5, "audio": "native", "aspect_ratio": "16:9", "multi_shot": False,
    }  # fmt: skip


async def test_frames_are_contents_and_the_image_decides_the_ratio(unified: KlingHarness) -> None:
    media = (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))
    path, body = await sent(unified, "kling-2.5-turbo", aspect_ratio="16:9", generate_audio=False, media=media)
    assert path == "/image-to-video/kling-2.5-turbo"
    assert [item["type"] for item in body["contents"]] == ["prompt", "first_frame", "last_frame"]
    assert not body["contents"][1]["url"].startswith("data:")
    assert body["settings"].keys().isdisjoint({"aspect_ratio", "audio", "multi_shot"})


@pytest.mark.parametrize(
    ("role", "task", "kind"),
    [
        (Role.REFERENCE_IMAGE, None, "refer_image"),
        (Role.REFERENCE_VIDEO, None, "feature_video"),
        (Role.VIDEO, VideoTask.EDIT, "base_video"),
        (Role.VIDEO, VideoTask.EXTEND, "feature_video"),
    ],
)
async def test_references_and_videos_go_to_omni(
    unified: KlingHarness, role: Role, task: VideoTask | None, kind: str
) -> None:
    path, body = await sent(unified, "kling-4.0", media=(image(role),), video_task=task)
    assert path == "/omni-video/kling-4.0"
    assert [item["type"] for item in body["contents"]] == ["prompt", kind]


async def test_a_video_keeps_its_sound_where_sound_is_asked_for(unified: KlingHarness) -> None:
    options = {"media": (image(Role.VIDEO),), "video_task": VideoTask.EDIT, "generate_audio": True}
    _, body = await sent(unified, "kling-3.0-omni", **options)
    assert body["settings"]["audio"] in ("native", "original")


@pytest.mark.parametrize("api", ["unified", "legacy"])
async def test_a_submit_that_is_repeated_after_a_lost_answer_pays_once(
    api: str, unified: KlingHarness, legacy: KlingHarness
) -> None:
    harness = unified if api == "unified" else legacy
    harness.play("submit-drop")
    attempt: dict[str, Any] = {
        "attempt_id": "att_once",
        "credential": harness.credential,
        "read_media": harness.read_media,
    }
    request = harness.request()
    with pytest.raises(Exception, match="Kling"):
        await harness.provider.submit(harness.model, request, **attempt)
    again = await harness.provider.submit(harness.model, request, **attempt)
    found = await harness.provider.find("att_once", credential=harness.credential)
    assert found == again
    assert harness.upstream.made == 1
    assert await harness.provider.find("att_other", credential=harness.credential) is None


async def test_the_older_api_is_called_with_a_signed_token(legacy: KlingHarness) -> None:
    path, body = await sent(legacy, "kling-2.6", duration_s=5, aspect_ratio="16:9", resolution="720p")
    assert path == "/v1/videos/text2video"
    assert body["model_name"] == "kling-v2-6"
    assert (body["duration"], body["mode"]) == ("5", "std")
    token = legacy.upstream.requests[0].headers["Authorization"].removeprefix("Bearer ")
    assert PAIR["secret_key"] not in token


async def test_a_reference_needs_an_api_key(legacy: KlingHarness) -> None:
    with pytest.raises(UnsupportedOption, match="API key"):
        await sent(legacy, "kling-3.0", media=(image(Role.REFERENCE_IMAGE),))


def test_a_token_is_what_rfc_7519_says() -> None:
    token = signed_token("ak", "sk", now_s=1_000)
    assert token.split(".")[0] == "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    assert token.split(".")[1] == "eyJpc3MiOiJhayIsImV4cCI6MjgwMCwibmJmIjo5OTV9"
