"""Luma passes the one suite, and each option and input stands on the wire as its documents have it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from rushes.domain.progress import Done, Failed
from rushes.domain.request import PreviousVideo, Role, VideoTask
from rushes.errors import UnsupportedOption
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Credential, Provider
from rushes.providers.credentials import Pinned
from rushes.providers.luma import Luma
from tests.contract.provider_suite import Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.luma import FAILURES, FakeLuma

KEY = "luma-contract-0123456789"
CREDENTIAL = Credential(kind="api_key", secret=KEY)
PATH = "/v1/generations"


class LumaHarness(Harness):
    scripts = Scripts(
        well=("ok", "queued", "dreaming", "poll-500", "poll-429", "poll-drop", "poll-html", "elsewhere"),
        filtered=("moderated",),
        failed=("failed", "budget", "corrupt", "poll-404"),
        unknown_status=("unknown-status", "no-video"),
        statuses={"ok": Done, "queued": Done, "dreaming": Done, **dict.fromkeys(FAILURES, Failed)},
        refused_key=("bad-key", "forbidden"),
        refused_quota=("rate", "busy"),
        refused_credit=("no-credit",),
        refused_request=("invalid", "malformed", "too-large"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-503", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-429", "poll-html"),
        download_accident=("download-500",),
        download_expired=("expired-link",),
        download_lost=("download-404",),
        download_elsewhere=("elsewhere",),
    )
    options = (
        Option({"duration_s": 10}, ("video", "duration"), "10s"),
        Option({"aspect_ratio": "9:16"}, ("aspect_ratio",), "9:16"),
        Option({"resolution": "1080p"}, ("video", "resolution"), "1080p"),
        Option({"additional_params": {"loop": False}}, ("video", "loop"), False),
    )
    undeclared = ({"negative_prompt": ""}, {"person_generation": "allow_adult"}, {"n": 2}, {"seed": 0})

    def __init__(self, upstream: FakeLuma, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = CREDENTIAL
        self.provider = Luma(client, f"{upstream.base_url}/v1")
        model = shipped_catalogue().find("luma", "ray-3.2")
        assert model is not None
        self.model = model

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [recorded.json for recorded in self.upstream.requests if recorded.path == PATH]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return Luma(self._client, "http://127.0.0.1:1")


@pytest.fixture
async def harness() -> AsyncIterator[LumaHarness]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    async with FakeLuma(KEY) as upstream:
        yield LumaHarness(upstream, client)
    await client.close()


class TestLuma(ProviderContract):
    """The suite."""


async def sent(harness: LumaHarness, **options: Any) -> dict[str, Any]:
    """The body that this request makes."""
    await harness.submit(replace(harness.request(), **options))
    (call,) = harness.upstream.requests
    assert (call.method, call.path, call.headers["Authorization"]) == ("POST", PATH, f"Bearer {KEY}")
    body: dict[str, Any] = call.json
    return body


async def test_a_request_always_says_model_and_type(harness: LumaHarness) -> None:
    body = await sent(harness, duration_s=5, aspect_ratio="16:9", resolution="720p")
    assert body == {
        "model": "ray-3.2", "type": "video", "prompt": body["prompt"], "aspect_ratio": "16:9",
        "video": {"resolution": "720p", "duration": "5s"},
    }  # fmt: skip


async def test_five_seconds_have_a_start_and_an_end_frame(harness: LumaHarness) -> None:
    body = await sent(harness, duration_s=5, media=(image(Role.INPUT_IMAGE), image(Role.LAST_FRAME)))
    assert body["video"].keys() == {"duration", "start_frame", "end_frame"}
    assert body["video"]["start_frame"].keys() == {"data", "media_type"}
    assert body["video"]["end_frame"]["media_type"] == "image/png"


@pytest.mark.parametrize(
    ("roles", "indexes"), [((Role.INPUT_IMAGE,), [0]), ((Role.INPUT_IMAGE, Role.LAST_FRAME), [0, 240])]
)
async def test_ten_seconds_have_keyframes_on_the_grid(
    harness: LumaHarness, roles: tuple[Role, ...], indexes: list[int]
) -> None:
    body = await sent(harness, duration_s=10, media=tuple(map(image, roles)))
    assert body["video"].keys() == {"duration", "keyframes", "keyframe_indexes"}
    assert body["video"]["keyframe_indexes"] == indexes
    assert len(body["video"]["keyframes"]) == len(indexes)


def previous(**changes: Any) -> PreviousVideo:
    known = PreviousVideo(
        job_id="job_1", index=0, provider="luma", model="ray-3.2", api=None,
        credential=Pinned(CREDENTIAL, None).fingerprint, provider_video_id="g1", handle={"version": 1, "id": "g1"},
        handle_index=0, completed_at=0,
    )  # fmt: skip
    return replace(known, **changes)


async def test_an_own_video_is_edited_and_extended_by_its_id(harness: LumaHarness) -> None:
    video = {"media": (image(Role.VIDEO),), "previous": previous()}
    body = await sent(harness, video_task=VideoTask.EXTEND, duration_s=5, **video)
    assert body["video"] == {"duration": "5s", "start_frame": {"generation_id": "g1"}}
    harness.upstream.requests.clear()
    body = await sent(harness, video_task=VideoTask.EDIT, **video)
    assert (body["type"], body["source"]) == ("video_edit", {"generation_id": "g1"})


@pytest.mark.parametrize("source", [None, previous(provider="google"), previous(credential="another")])
async def test_a_video_of_others_is_sent_whole_to_be_edited_and_never_extended(
    harness: LumaHarness, source: PreviousVideo | None
) -> None:
    video = {"media": (image(Role.VIDEO),), "previous": source}
    with pytest.raises(UnsupportedOption, match="previous_job_id"):
        await sent(harness, video_task=VideoTask.EXTEND, **video)
    assert not harness.upstream.requests
    body = await sent(harness, video_task=VideoTask.EDIT, **video)
    assert body["source"].keys() == {"data", "media_type"}
