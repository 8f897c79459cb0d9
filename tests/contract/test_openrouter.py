"""OpenRouter passes the one suite, and each option and input stands on the wire as its documents have it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import PreviousVideo, Role, VideoTask
from rushes.errors import OutputLost, ProviderAuth, ProviderUnavailable, UnsupportedOption
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Credential, Provider
from rushes.providers.credentials import Pinned
from rushes.providers.openrouter import Openrouter
from tests.contract.provider_suite import Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.openrouter import FakeOpenrouter

KEY = "openrouter-contract-0123456789"
CREDENTIAL = Credential(kind="api_key", secret=KEY)
PATH = "/api/v1/videos"


def entry(name: str) -> Model:
    model = shipped_catalogue().find("openrouter", name)
    assert model is not None
    return model


class OpenrouterHarness(Harness):
    scripts = Scripts(
        well=("ok", "pending", "signed", "poll-500", "poll-429", "poll-drop", "poll-html", "elsewhere"),
        filtered=("moderated",),
        failed=("failed", "cancelled", "expired", "poll-404"),
        unknown_status=("unknown-status", "no-link"),
        statuses={
            "ok": Done, "pending": Done, "failed": Failed, "moderated": Failed, "cancelled": Failed, "expired": Failed,
        },
        refused_key=("bad-key", "forbidden"),
        refused_quota=("rate",),
        refused_credit=("no-credit",),
        refused_request=("invalid", "no-model", "too-large"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-503", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-429", "poll-html"),
        download_accident=("download-500", "content-409", "content-502"),
        download_expired=("expired-link",),
        download_lost=("download-404", "content-410"),
        download_elsewhere=("elsewhere",),
    )  # fmt: skip
    options = (
        Option({"duration_s": 6}, ("duration",), 6),
        Option({"aspect_ratio": "9:16"}, ("aspect_ratio",), "9:16"),
        Option({"resolution": "4k"}, ("resolution",), "4K"),
        Option({"generate_audio": False}, ("generate_audio",), False),
        Option({"seed": 0}, ("seed",), 0),
        Option({"negative_prompt": ""}, ("provider", "options", "google-vertex", "negativePrompt"), ""),
        Option({"additional_params": {"session_id": "s"}}, ("session_id",), "s"),
    )
    undeclared = ({"n": 2},)

    def __init__(self, upstream: FakeOpenrouter, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = CREDENTIAL
        self.provider = Openrouter(client, f"{upstream.base_url}/api/v1")
        self.model = entry("google/veo-3.1")

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [recorded.json for recorded in self.upstream.requests if recorded.path == PATH]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return Openrouter(self._client, "http://127.0.0.1:1")


@pytest.fixture
async def harness() -> AsyncIterator[OpenrouterHarness]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    async with FakeOpenrouter(KEY) as upstream:
        yield OpenrouterHarness(upstream, client)
    await client.close()


class TestOpenrouter(ProviderContract):
    """The suite."""


async def sent(harness: OpenrouterHarness, model: str, **options: Any) -> dict[str, Any]:
    """The body that this request makes."""
    harness.model = entry(model)
    await harness.submit(replace(harness.request(), **options))
    call = harness.upstream.requests[-1]
    assert (call.method, call.path, call.headers["Authorization"]) == ("POST", PATH, f"Bearer {KEY}")
    body: dict[str, Any] = call.json
    return body


async def test_a_request_says_what_was_given_and_no_more(harness: OpenrouterHarness) -> None:
    options = {"duration_s": 5, "aspect_ratio": "16:9", "resolution": "720p", "generate_audio": True, "seed": 3}
    body = await sent(harness, "bytedance/seedance-2.5", **options)
    assert body == {
        "model": "bytedance/seedance-2.5", "prompt": body["prompt"], "duration": 5, "aspect_ratio": "16:9",
        "resolution": "720p", "generate_audio": True, "seed": 3,
    }  # fmt: skip


async def test_frames_and_references_have_lists_of_their_own(harness: OpenrouterHarness) -> None:
    body = await sent(harness, "google/veo-3.1", media=(image(Role.INPUT_IMAGE), image(Role.LAST_FRAME)))
    assert [(item["type"], item["frame_type"]) for item in body["frame_images"]] == [
        ("image_url", "first_frame"), ("image_url", "last_frame"),
    ]  # fmt: skip
    roles = (Role.REFERENCE_IMAGE, Role.REFERENCE_VIDEO, Role.REFERENCE_AUDIO)
    body = await sent(harness, "bytedance/seedance-2.5", media=tuple(map(image, roles)))
    assert [item["type"] for item in body["input_references"]] == ["image_url", "video_url", "audio_url"]
    assert body["input_references"][1]["video_url"]["url"].startswith("data:image/png;base64,")


async def test_what_google_alone_knows_goes_beside_the_callers_own_options(harness: OpenrouterHarness) -> None:
    given = {"provider": {"options": {"google-vertex": {"enhancePrompt": True}, "other": {"a": 1}}}}
    body = await sent(harness, "google/veo-3.1", person_generation="dont_allow", additional_params=given)
    assert body["provider"]["options"] == {
        "google-vertex": {"enhancePrompt": True, "personGeneration": "dont_allow"}, "other": {"a": 1},
    }  # fmt: skip
    with pytest.raises(UnsupportedOption):
        await sent(harness, "kwaivgi/kling-v3.0-pro", negative_prompt="rain")


def previous(**changes: Any) -> PreviousVideo:
    known = PreviousVideo(
        job_id="job_1", index=0, provider="openrouter", model="black-forest-labs/flux-3-video", api=None,
        credential=Pinned(CREDENTIAL, None).fingerprint, provider_video_id="gen-vid-1",
        handle={"version": 1, "id": "gen-vid-1"}, handle_index=0, completed_at=0,
    )  # fmt: skip
    return replace(known, **changes)


async def test_a_job_goes_on_from_its_own_and_from_no_other(harness: OpenrouterHarness) -> None:
    options: dict[str, Any] = {"media": (image(Role.VIDEO),), "video_task": VideoTask.EXTEND}
    body = await sent(harness, "black-forest-labs/flux-3-video", previous=previous(), **options)
    assert body["previous_job_id"] == "gen-vid-1"
    assert "input_references" not in body
    for other in (None, previous(credential="another"), previous(model="google/veo-3.1"), previous(provider="xai")):
        body = await sent(harness, "black-forest-labs/flux-3-video", previous=other, **options)
        assert [item["type"] for item in body["input_references"]] == ["video_url"]
        assert "previous_job_id" not in body


async def test_the_key_goes_to_the_configured_origin_alone(harness: OpenrouterHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    assert "url" not in output
    assert harness.is_film(await harness.fetch(handle, output))
    call = harness.upstream.requests[-1]
    assert (call.path, call.query) == (f"{PATH}/{handle['id']}/content", {"index": "0"})
    handle, (output,) = await harness.outputs("signed")
    assert harness.is_film(await harness.fetch(handle, output))
    assert "Authorization" not in harness.upstream.requests[-1].headers
    assert harness.upstream.stranger.requests == []


async def test_content_that_is_gone_is_lost(harness: OpenrouterHarness) -> None:
    handle, (output,) = await harness.outputs("content-410")
    with pytest.raises(OutputLost):
        await harness.fetch(handle, output)


async def test_the_list_is_read_with_the_key(harness: OpenrouterHarness) -> None:
    entries = await harness.provider.list_entries(credential=CREDENTIAL)
    assert {"id", "aspect_ratios", "prices"} <= entries[0].keys()
    assert "google/veo-3.1" in await harness.provider.list_models(credential=CREDENTIAL)
    with pytest.raises(ProviderUnavailable):
        await harness.provider.list_models(credential=replace(CREDENTIAL, secret="another-key"))


async def test_a_key_without_rights_is_not_taken_for_moderation(harness: OpenrouterHarness) -> None:
    harness.play("forbidden")
    with pytest.raises(ProviderAuth):
        await harness.submit()
