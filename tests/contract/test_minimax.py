"""MiniMax passes the one suite on both of its APIs, and each option and input stands on the wire as documented."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import PreviousVideo, Role, VideoTask
from rushes.errors import ProviderRejected, UnsupportedOption
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider
from rushes.providers.credentials import Pinned
from rushes.providers.minimax import Minimax
from tests.contract.provider_suite import Option, ProviderContract, Scripts, WireHarness, image, shipped
from tests.fixtures.upstreams.minimax import FakeMinimax

KEY = "minimax-contract-0123456789"
FINGERPRINT = Pinned(Credential(kind="api_key", secret=KEY), None).fingerprint
V2 = Scripts(
    well=("ok", "poll-500", "poll-drop", "poll-html", "elsewhere"),
    filtered=("refused",),
    failed=("failed", "cancelled", "expired", "poll-404"),
    unknown_status=("unknown-status",),
    statuses={"ok": Done, "failed": Failed, "refused": Failed, "cancelled": Failed, "expired": Failed},
    refused_key=("bad-key", "bad-key-too", "not-in-plan"),
    refused_quota=("rate", "tokens"),
    refused_credit=("no-credit",),
    refused_request=("invalid",),
    refused_content=("filtered-at-submit",),
    submit_unknown=("submit-500", "submit-drop", "submit-nameless"),
    poll_accident=("poll-500", "poll-html"),
    download_accident=("download-500",),
    download_lost=("download-404",),
    download_elsewhere=("elsewhere",),
    cancel_too_late=("cancel-too-late",),
)
V1 = replace(
    V2,
    failed=("failed", "failed-too", "poll-404"),
    statuses={"ok": Done, "failed": Failed, "failed-too": Failed, "refused": Failed},
    cancel_too_late=(),
)


def entry(name: str) -> Model:
    return shipped("minimax", name)


class MinimaxHarness(WireHarness[FakeMinimax]):
    scripts = V2
    options: Sequence[Option] = (
        Option({"duration_s": 15}, ("duration",), 15),
        Option({"aspect_ratio": "9:16"}, ("ratio",), "9:16"),
        Option({"resolution": "2k"}, ("resolution",), "2K"),
        Option({"additional_params": {"aigc_watermark": False}}, ("aigc_watermark",), False),
    )
    undeclared: Sequence[dict[str, Any]] = (
        {"negative_prompt": ""},
        {"person_generation": "allow_adult"},
        {"n": 2},
        {"seed": 0},
    )
    named = "MiniMax-H3"

    def __init__(self, upstream: FakeMinimax, client: HttpClient) -> None:
        super().__init__(upstream, client, entry(self.named), KEY)

    def at(self, base_url: str) -> Provider:
        return Minimax(self.client, base_url)


class HailuoHarness(MinimaxHarness):
    scripts = V1
    options = (
        Option({"duration_s": 6}, ("duration",), 6),
        Option({"resolution": "1080p"}, ("resolution",), "1080P"),
        Option({"additional_params": {"prompt_optimizer": False}}, ("prompt_optimizer",), False),
    )
    undeclared = (*MinimaxHarness.undeclared, {"aspect_ratio": "16:9"})
    named = "MiniMax-Hailuo-02"


@pytest.fixture
async def upstream() -> AsyncIterator[FakeMinimax]:
    async with FakeMinimax(KEY) as fake:
        yield fake


class TestV2(ProviderContract):
    """The suite, on the V2 API."""

    @pytest.fixture
    def harness(self, upstream: FakeMinimax, client: HttpClient) -> MinimaxHarness:
        return MinimaxHarness(upstream, client)


class TestV1(ProviderContract):
    """The suite, on the V1 API."""

    @pytest.fixture
    def harness(self, upstream: FakeMinimax, client: HttpClient) -> MinimaxHarness:
        return HailuoHarness(upstream, client)


@pytest.fixture
def h3(upstream: FakeMinimax, client: HttpClient) -> MinimaxHarness:
    return MinimaxHarness(upstream, client)


@pytest.fixture
def hailuo(upstream: FakeMinimax, client: HttpClient) -> MinimaxHarness:
    return HailuoHarness(upstream, client)


async def test_a_v2_request_says_what_was_given_and_no_more(h3: MinimaxHarness) -> None:
    await h3.submit(h3.request(duration_s=5, aspect_ratio="16:9", resolution="768p"))
    (call,) = h3.upstream.requests
    assert (call.method, call.path, call.headers["Authorization"]) == ("POST", "/v2/video_generation", f"Bearer {KEY}")
    assert call.json == {
        "model": "MiniMax-H3", "content": [{"type": "text", "text": call.json["content"][0]["text"]}],
        "resolution": "768P", "duration": 5, "ratio": "16:9",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "kind", "their_role"),
    [
        (Role.INPUT_IMAGE, "image_url", "first_frame"),
        (Role.LAST_FRAME, "image_url", "last_frame"),
        (Role.REFERENCE_IMAGE, "image_url", "reference_image"),
        (Role.REFERENCE_VIDEO, "video_url", "reference_video"),
        (Role.REFERENCE_AUDIO, "audio_url", "reference_audio"),
    ],
)
async def test_each_input_is_a_content_item_with_its_role(
    h3: MinimaxHarness, role: Role, kind: str, their_role: str
) -> None:
    await h3.submit(h3.request(media=(image(role),)))
    (body,) = h3.submitted()
    _, item = body["content"]
    assert (item["type"], item["role"]) == (kind, their_role)
    assert item[kind]["url"].startswith("data:image/png;base64,")


async def test_a_v1_request_has_fields_of_its_own(hailuo: MinimaxHarness) -> None:
    media = (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))
    await hailuo.submit(hailuo.request(duration_s=6, resolution="768p", media=media))
    (call,) = hailuo.upstream.requests
    assert call.path == "/v1/video_generation"
    assert call.json.keys() == {"model", "prompt", "duration", "resolution", "first_frame_image", "last_frame_image"}
    assert call.json["first_frame_image"].startswith("data:image/png;base64,")


def previous(**changes: Any) -> PreviousVideo:
    known = PreviousVideo(
        job_id="job_1", index=0, provider="minimax", model="MiniMax-H3", api=None, credential=FINGERPRINT,
        provider_video_id="4240", handle={"version": 1, "id": "4240", "api": "v2"}, handle_index=0, completed_at=0,
    )  # fmt: skip
    return replace(known, **changes)


async def test_an_upscale_names_the_task_that_made_the_video(h3: MinimaxHarness) -> None:
    request = h3.request(media=(image(Role.VIDEO),), video_task=VideoTask.UPSCALE, previous=previous())
    await h3.submit(request)
    (call,) = h3.upstream.requests
    assert call.path == "/v2/video_regeneration"
    assert call.json == {"model": "MiniMax-H3", "source_task_id": "4240", "resolution": "2K"}


@pytest.mark.parametrize(
    "source", [None, previous(provider="google"), previous(handle=None), previous(credential="another")]
)
async def test_a_video_of_others_is_not_upscaled(h3: MinimaxHarness, source: PreviousVideo | None) -> None:
    with pytest.raises(UnsupportedOption, match="previous_job_id"):
        await h3.submit(h3.request(media=(image(Role.VIDEO),), video_task=VideoTask.UPSCALE, previous=source))
    assert not h3.upstream.requests


async def test_the_record_of_a_finished_task_is_never_erased(h3: MinimaxHarness) -> None:
    submission = await h3.submit(h3.request())
    for _ in range(2):
        await h3.provider.poll(submission.handle, credential=h3.credential)
    with pytest.raises(ProviderRejected):
        await h3.provider.cancel(submission.handle, credential=h3.credential)
    assert not [call for call in h3.upstream.requests if call.method == "DELETE"]
