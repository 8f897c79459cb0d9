"""Runway passes the one suite, and each option and input stands on the wire as its model's own type has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import InputMedia, Role, VideoTask
from rushes.errors import ProviderRejected, ProviderUnavailable, UnsupportedOption
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Credential, Provider
from rushes.providers.runway import LARGEST_DATA_URI_BYTES, Runway
from tests.contract.provider_suite import Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.runway import FAILURES, PATHS, FakeRunway

KEY = "runway-contract-0123456789"
TEXT, IMAGE, VIDEO = PATHS


def entry(name: str) -> Model:
    model = shipped_catalogue().find("runway", name)
    assert model is not None
    return model


class RunwayHarness(Harness):
    scripts = Scripts(
        well=("ok", "pending", "throttled", "poll-500", "poll-429", "poll-drop", "poll-html", "elsewhere"),
        filtered=("refused-prompt", "refused-output", "refused-third-party"),
        failed=("failed", "failed-codeless", "bad-asset", "cancelled", "poll-404"),
        unknown_status=("unknown-status", "no-output"),
        statuses={"ok": Done, "pending": Done, "throttled": Done, "cancelled": Failed}
        | dict.fromkeys(FAILURES, Failed),
        refused_key=("bad-key", "forbidden"),
        refused_quota=("rate",),
        refused_credit=("no-credit",),
        refused_request=("invalid", "not-allowed"),
        submit_unknown=("submit-500", "submit-502", "submit-504", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-429", "poll-html"),
        download_accident=("download-500",),
        download_expired=("expired-link",),
        download_lost=("download-404",),
        download_elsewhere=("elsewhere",),
        cancel_too_late=("cancel-too-late",),
    )
    options = (
        Option({"duration_s": 8}, ("duration",), 8),
        Option({"aspect_ratio": "9:16", "resolution": "1080p"}, ("ratio",), "1080:1920"),
        Option({"generate_audio": False}, ("audio",), False),
        Option({"negative_prompt": ""}, ("negativePrompt",), ""),
        Option({"seed": 0}, ("seed",), 0),
        Option({"additional_params": {"style": "noir"}}, ("style",), "noir"),
    )
    undeclared = ({"person_generation": "allow_adult"}, {"n": 2})

    def __init__(self, upstream: FakeRunway, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = Credential(kind="api_key", secret=KEY)
        self.provider = Runway(client, upstream.base_url)
        self.model = entry("veo3.1")
        self.content = b""

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [recorded.json for recorded in self.upstream.requests if recorded.path in PATHS]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return Runway(self._client, "http://127.0.0.1:1")

    async def read_media(self, media: InputMedia) -> bytes:
        return self.content or await super().read_media(media)


@pytest.fixture
async def harness() -> AsyncIterator[RunwayHarness]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    async with FakeRunway(KEY) as upstream:
        yield RunwayHarness(upstream, client)
    await client.close()


class TestRunway(ProviderContract):
    """The suite."""


async def sent(harness: RunwayHarness, model: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """The path and the body that this request makes."""
    harness.model = entry(model)
    await harness.submit(harness.request(**options))
    call = harness.upstream.requests[-1]
    assert (call.headers["Authorization"], call.headers["X-Runway-Version"]) == (f"Bearer {KEY}", "2024-11-06")
    return call.path, call.json


async def test_a_request_says_what_was_given_and_no_more(harness: RunwayHarness) -> None:
    path, body = await sent(harness, "gen4.5", duration_s=5, aspect_ratio="16:9", resolution="720p", seed=3)
    assert path == TEXT
    assert body == {
        "model": "gen4.5", "promptText": body["promptText"], "ratio": "1280:720", "duration": 5, "seed": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("seedance2", {"resolution": "480p", "aspect_ratio": "21:9"}, {"ratio": "992:432"}),
        ("seedance2", {"resolution": "4k", "aspect_ratio": "16:9"}, {"ratio": "3840:2160"}),
        ("hailuo3", {"resolution": "2k", "aspect_ratio": "9:16"}, {"resolution": "2k", "ratio": "9:16"}),
        ("h3_max", {"resolution": "480p"}, {"resolution": "480p"}),
        ("grok_imagine_1_5", {"resolution": "1080p", "aspect_ratio": "2:3"}, {"resolution": "1080p", "ratio": "2:3"}),
    ],
)
async def test_size_is_said_as_the_model_takes_it(
    harness: RunwayHarness, model: str, options: dict[str, Any], said: dict[str, Any]
) -> None:
    _, body = await sent(harness, model, **options)
    assert {name: body[name] for name in ("ratio", "resolution") if name in body} == said


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("wan3", {"ratio": "auto_720p"}),
        ("grok_imagine_1_5", {"resolution": "720p"}),
        ("happyhorse_1_0", {"resolution": "720p"}),
        ("kling2.5_turbo_pro", {}),
    ],
)
async def test_a_first_frame_decides_the_shape_where_the_model_says_so(
    harness: RunwayHarness, model: str, said: dict[str, Any]
) -> None:
    path, body = await sent(harness, model, resolution="720p", media=(image(Role.INPUT_IMAGE),))
    assert path == IMAGE
    assert {name: body[name] for name in ("ratio", "resolution") if name in body} == said


async def test_frames_have_their_places(harness: RunwayHarness) -> None:
    media = (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))
    path, body = await sent(harness, "veo3.1", media=media, aspect_ratio="16:9", resolution="720p")
    assert path == IMAGE
    assert [item["position"] for item in body["promptImage"]] == ["first", "last"]
    assert all(item["uri"].startswith("data:image/png;base64,") for item in body["promptImage"])


async def test_references_have_lists_of_their_own(harness: RunwayHarness) -> None:
    media = (image(Role.REFERENCE_IMAGE), image(Role.REFERENCE_VIDEO), image(Role.REFERENCE_AUDIO))
    path, body = await sent(harness, "seedance2_5", media=media)
    assert path == TEXT
    assert body["references"][0].keys() == {"uri"}
    assert body["referenceVideos"][0]["type"] == "video"
    assert body["referenceAudio"][0]["type"] == "audio"
    _, body = await sent(harness, "gemini_omni_flash_1.1", media=(image(Role.REFERENCE_VIDEO),))
    assert body["referenceVideos"][0].keys() == {"uri"}


@pytest.mark.parametrize(
    ("model", "task", "field", "more"),
    [
        ("aleph2", VideoTask.EDIT, "videoUri", {}),
        ("klingO3_pro", VideoTask.EDIT, "promptVideo", {}),
        ("kling_4", VideoTask.EDIT, "videoUri", {}),
        ("seedance2", VideoTask.EXTEND, "promptVideo", {}),
        ("seedance2_5", VideoTask.EXTEND, "promptVideo", {"mode": "extend"}),
        ("seedance2_5", VideoTask.EDIT, "promptVideo", {"mode": "edit", "duration": "auto"}),
        ("gemini_omni_flash_1.1", VideoTask.EXTEND, "videoUri", {"mode": "extend"}),
    ],
)
async def test_a_video_is_named_as_the_model_names_it(
    harness: RunwayHarness, model: str, task: VideoTask, field: str, more: dict[str, Any]
) -> None:
    path, body = await sent(harness, model, media=(image(Role.VIDEO),), video_task=task)
    assert path == VIDEO
    assert body.keys() == {"model", "promptText", field, *more}
    assert {name: body[name] for name in more} == more


async def test_a_large_file_is_uploaded_first_and_no_key_goes_with_it(harness: RunwayHarness) -> None:
    harness.content = bytes(LARGEST_DATA_URI_BYTES)
    _, body = await sent(harness, "aleph2", media=(image(Role.VIDEO),), video_task=VideoTask.EDIT)
    assert harness.upstream.uploads[body["videoUri"]] == harness.content
    await sent(harness, "gen4.5", media=(image(Role.INPUT_IMAGE),), aspect_ratio="1:1", resolution="720p")
    (stranger,) = harness.upstream.stranger.requests
    assert stranger.path == "/bucket"
    assert harness.leaks() == []


async def test_a_file_that_cannot_be_uploaded_means_that_nothing_was_submitted(harness: RunwayHarness) -> None:
    harness.content = bytes(LARGEST_DATA_URI_BYTES)
    harness.upstream.uploads_fail = True
    with pytest.raises(ProviderUnavailable) as caught:
        await sent(harness, "aleph2", media=(image(Role.VIDEO),), video_task=VideoTask.EDIT)
    assert caught.value.accepted is False
    assert harness.submitted() == []


async def test_progress_is_reported_as_a_fraction(harness: RunwayHarness) -> None:
    submission = await harness.submit()
    progress = await harness.provider.poll(submission.handle, credential=harness.credential)
    assert getattr(progress, "fraction", None) == pytest.approx(0.42)


async def test_a_finished_task_is_not_erased_by_a_cancellation(harness: RunwayHarness) -> None:
    handle, _ = await harness.outputs("ok")
    with pytest.raises(ProviderRejected):
        await harness.provider.cancel(handle, credential=harness.credential)
    assert harness.upstream.deleted == []


@pytest.mark.parametrize(
    ("model", "options", "field"),
    [
        ("gen4_turbo", {}, "input_image"),
        ("gen4.5", {"negative_prompt": "rain"}, "negative_prompt"),
        ("kling_4", {"seed": 1}, "seed"),
        ("klingO3_pro", {"media": (image(Role.VIDEO), *[image(Role.REFERENCE_IMAGE)] * 5)}, "reference_image"),
        ("veo3.1", {"prompt": "\N{CINEMA}" * 501}, "prompt"),
    ],
)
async def test_what_a_type_has_no_field_for_is_refused_before_any_call(
    harness: RunwayHarness, model: str, options: dict[str, Any], field: str
) -> None:
    harness.model = entry(model)
    with pytest.raises(UnsupportedOption) as caught:
        await harness.submit(replace(harness.request(), **options))
    assert caught.value.field == field
    assert harness.upstream.requests == []
