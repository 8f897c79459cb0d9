"""Seedance passes the one suite, and each option and input stands on the wire as its document has it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role, VideoTask
from rushes.errors import ProviderRejected
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.providers.seedance import PROVIDER, REGIONS, Seedance, SeedanceOptions
from tests.contract.provider_suite import Option, ProviderContract, Scripts, WireHarness, image, shipped
from tests.fixtures.upstreams.seedance import PREFIX, FakeSeedance

KEY = "ark-contract-0123456789"


def entry(name: str) -> Model:
    return shipped("seedance", name)


class SeedanceHarness(WireHarness[FakeSeedance]):
    scripts = Scripts(
        well=("ok", "poll-500", "poll-drop", "poll-html", "elsewhere"),
        filtered=("refused",),
        failed=("failed", "cancelled", "expired", "poll-404"),
        unknown_status=("unknown-status", "no-link"),
        statuses={"ok": Done, "failed": Failed, "refused": Failed, "cancelled": Failed, "expired": Failed},
        refused_key=("bad-key", "not-open", "not-allowed"),
        refused_quota=("rate", "quota", "busy"),
        refused_credit=("overdue", "service-overdue"),
        refused_request=("invalid", "no-model"),
        refused_content=("filtered-text", "filtered-face", "filtered-risk"),
        submit_unknown=("submit-500", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-html"),
        download_accident=("download-500",),
        download_lost=("download-404",),
        download_elsewhere=("elsewhere",),
        cancel_too_late=("cancel-too-late",),
    )
    options = (
        Option({"duration_s": 30}, ("duration",), 30),
        Option({"aspect_ratio": "21:9"}, ("ratio",), "21:9"),
        Option({"resolution": "1080p"}, ("resolution",), "1080p"),
        Option({"generate_audio": False}, ("generate_audio",), False),
        Option({"seed": 0}, ("seed",), 0),
        Option({"additional_params": {"watermark": False}}, ("watermark",), False),
    )
    undeclared = ({"negative_prompt": ""}, {"person_generation": "allow_adult"}, {"n": 2})

    def __init__(self, upstream: FakeSeedance, client: HttpClient) -> None:
        super().__init__(upstream, client, entry("seedance-2-5-260628"), KEY)

    def at(self, base_url: str) -> Provider:
        return Seedance(self.client, f"{base_url}/api/v3")


@pytest.fixture
async def harness(client: HttpClient) -> AsyncIterator[SeedanceHarness]:
    async with FakeSeedance(KEY) as upstream:
        yield SeedanceHarness(upstream, client)


class TestSeedance(ProviderContract):
    """The suite."""


async def test_a_request_says_what_was_given_and_no_more(harness: SeedanceHarness) -> None:
    options = {"duration_s": 5, "aspect_ratio": "16:9", "resolution": "720p", "generate_audio": True, "seed": 7}
    await harness.submit(harness.request(**options))
    (call,) = harness.upstream.requests
    assert (call.method, call.path, call.headers["Authorization"]) == ("POST", PREFIX, f"Bearer {KEY}")
    assert call.json == {
        "model": "dreamina-seedance-2-5-260628", "content": [{"type": "text", "text": call.json["content"][0]["text"]}],
        "ratio": "16:9", "resolution": "720p", "duration": 5, "seed": 7, "generate_audio": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "kind", "their_role"),
    [
        (Role.INPUT_IMAGE, "image_url", "first_frame"),
        (Role.LAST_FRAME, "image_url", "last_frame"),
        (Role.REFERENCE_IMAGE, "image_url", "reference_image"),
        (Role.REFERENCE_VIDEO, "video_url", "reference_video"),
        (Role.REFERENCE_AUDIO, "audio_url", "reference_audio"),
        (Role.VIDEO, "video_url", "reference_video"),
    ],
)
async def test_each_input_is_a_content_item_with_its_role(
    harness: SeedanceHarness, role: Role, kind: str, their_role: str
) -> None:
    task = VideoTask.EXTEND if role is Role.VIDEO else None
    await harness.submit(harness.request(media=(image(role),), video_task=task))
    (body,) = harness.submitted()
    _, item = body["content"]
    assert (item["type"], item["role"]) == (kind, their_role)
    assert item[kind]["url"].startswith("data:image/png;base64,")


async def test_a_silent_model_is_not_asked_about_sound(harness: SeedanceHarness) -> None:
    harness.model = entry("seedance-1-0-pro-250528")
    await harness.submit(harness.request(generate_audio=False))
    (body,) = harness.submitted()
    assert "generate_audio" not in body
    assert body["model"] == "seedance-1-0-pro-250528"


@pytest.mark.parametrize(("region", "prefix"), [("ark", "doubao-"), ("byteplus", "dreamina-")])
def test_each_region_has_its_address_and_names(region: str, prefix: str) -> None:
    options = SeedanceOptions.model_validate({"region": region})
    assert PROVIDER.region(options) == region
    assert region in ("ark", "byteplus")
    assert REGIONS[region].startswith("https://ark.")
    assert entry("seedance-2-0-260128").upstream_id(region) == f"{prefix}seedance-2-0-260128"


async def test_a_queued_task_is_cancelled(harness: SeedanceHarness) -> None:
    harness.play("stays-queued")
    submission = await harness.submit(harness.request())
    await harness.provider.cancel(submission.handle, credential=harness.credential)
    assert harness.upstream.cancelled == [submission.provider_video_id]
    assert isinstance(await harness.provider.poll(submission.handle, credential=harness.credential), Failed)


async def test_the_record_of_a_finished_task_is_never_erased(harness: SeedanceHarness) -> None:
    submission = await harness.submit(harness.request())
    for _ in range(2):
        await harness.provider.poll(submission.handle, credential=harness.credential)
    with pytest.raises(ProviderRejected):
        await harness.provider.cancel(submission.handle, credential=harness.credential)
    assert not [call for call in harness.upstream.requests if call.method == "DELETE"]
