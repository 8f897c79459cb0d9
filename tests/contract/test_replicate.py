"""Replicate passes the one suite; files are placed by their size, and models are called by name or version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import InputMedia, Role, VideoTask
from rushes.errors import OutputInvalid, ProviderAuth, ProviderQuota, ProviderRejected, ProviderUnavailable
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Credential, Provider
from rushes.providers.replicate import INLINE_BYTES, Replicate
from tests.contract.provider_suite import MEDIA_BYTES, Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.replicate import FakeReplicate

KEY = "r8_contract0123456789abcdef"
VERSION = "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b"


def entry(name: str) -> Model:
    model = shipped_catalogue().find("replicate", name)
    assert model is not None
    return model


class ReplicateHarness(Harness):
    scripts = Scripts(
        well=("ok", "poll-500", "poll-drop", "poll-html", "one", "mixed", "member", "elsewhere"),
        filtered=("refused", "nsfw"),
        failed=("failed", "canceled", "aborted", "removed", "poll-404"),
        unknown_status=("unknown-status",),
        statuses={"ok": Done, "failed": Failed, "refused": Failed, "canceled": Failed, "aborted": Failed},
        refused_key=("bad-key", "forbidden"),
        refused_quota=("rate",),
        refused_credit=("no-credit",),
        refused_request=("invalid", "no-model"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-drop", "submit-nameless"),
        poll_accident=("poll-500", "poll-html"),
        download_accident=("download-500",),
        download_lost=("download-404",),
        download_elsewhere=("elsewhere",),
        cancel_too_late=("cancel-too-late", "cancel-500"),
    )
    options = (
        Option({"duration_s": 15}, ("input", "duration"), 15),
        Option({"aspect_ratio": "9:21"}, ("input", "aspect_ratio"), "9:21"),
        Option({"resolution": "1080p"}, ("input", "resolution"), "1080p"),
        Option({"generate_audio": False}, ("input", "generate_audio"), False),
        Option({"seed": 0}, ("input", "seed"), 0),
        Option({"additional_params": {"style": None}}, ("input", "style"), None),
    )
    undeclared = ({"negative_prompt": ""}, {"person_generation": "allow_adult"}, {"n": 2})

    def __init__(self, upstream: FakeReplicate, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = Credential(kind="api_key", secret=KEY)
        self.provider = Replicate(client, f"{upstream.base_url}/v1")
        self.model = entry("bytedance/seedance-2.0")

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        posted = [recorded for recorded in self.upstream.requests if recorded.path.endswith("/predictions")]
        return [recorded.json for recorded in posted]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return Replicate(self._client, "http://127.0.0.1:1")


@pytest.fixture
async def harness() -> AsyncIterator[ReplicateHarness]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    async with FakeReplicate(KEY) as upstream:
        yield ReplicateHarness(upstream, client)
    await client.close()


class TestReplicate(ProviderContract):
    """The suite."""


async def test_an_official_model_is_called_by_its_name(harness: ReplicateHarness) -> None:
    harness.model = entry("kwaivgi/kling-v3-video")
    options = {"duration_s": 5, "aspect_ratio": "16:9", "resolution": "720p", "generate_audio": False}
    await harness.submit(harness.request(**options))
    (call,) = harness.upstream.requests
    assert (call.method, call.path) == ("POST", "/v1/models/kwaivgi/kling-v3-video/predictions")
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.headers["Cancel-After"] == "3600s"
    assert "Prefer" not in call.headers
    assert call.json == {
        "input": {
            "prompt": call.json["input"]["prompt"], "mode": "standard", "duration": 5, "aspect_ratio": "16:9",
            "generate_audio": False,
        }
    }  # fmt: skip


@pytest.mark.parametrize("to", [VERSION, f"acme/films:{VERSION}"])
async def test_any_other_model_is_called_by_its_version(harness: ReplicateHarness, to: str) -> None:
    wire = {"fields": {"prompt": "text"}, "calls": [{"to": to}]}
    harness.model = harness.model.model_copy(update={"wire": wire, "id": "acme/films"})
    await harness.submit(harness.request())
    (call,) = harness.upstream.requests
    assert call.path == "/v1/predictions"
    assert call.json == {"version": VERSION, "input": {"text": "a red kite over dunes"}}


def large(role: Role) -> InputMedia:
    """A file that says that it is too large for the request."""
    return replace(image(role), size_bytes=INLINE_BYTES + 1)


async def test_small_files_stand_in_the_request_and_larger_ones_are_uploaded(harness: ReplicateHarness) -> None:
    await harness.submit(harness.request(media=(image(Role.INPUT_IMAGE),)))
    assert harness.submitted()[0]["input"]["image"].startswith("data:image/png;base64,")
    assert harness.upstream.uploads == []
    await harness.submit(harness.request(media=(large(Role.INPUT_IMAGE), image(Role.LAST_FRAME))))
    sent = harness.submitted()[1]["input"]
    assert harness.upstream.uploads == [
        ("input_image.png", "image/png", MEDIA_BYTES),
        ("last_frame.png", "image/png", MEDIA_BYTES),
    ]
    assert sent["image"] == "https://api.replicate.com/v1/files/NGZiNmY2YzQ1"
    assert sent["last_frame_image"] == "https://api.replicate.com/v1/files/NGZiNmY2YzQ2"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("drop", ProviderUnavailable),
        ("submit-500", ProviderUnavailable),
        ("nameless", ProviderUnavailable),
        ("bad-key", ProviderAuth),
        ("rate", ProviderQuota),
        ("invalid", ProviderRejected),
    ],
)
async def test_an_upload_that_fails_has_submitted_nothing(
    harness: ReplicateHarness, script: str, error: type[Exception]
) -> None:
    harness.upstream.play_upload(script)
    with pytest.raises(error) as caught:
        await harness.submit(harness.request(media=(large(Role.INPUT_IMAGE),)))
    assert getattr(caught.value, "accepted", False) is False
    assert harness.submitted() == []


async def test_a_rate_limit_says_when_it_ends(harness: ReplicateHarness) -> None:
    harness.play("rate")
    with pytest.raises(ProviderQuota) as caught:
        await harness.submit()
    assert caught.value.retry_after_s == 30


async def test_a_wrong_input_names_its_field(harness: ReplicateHarness) -> None:
    harness.play("invalid")
    with pytest.raises(ProviderRejected, match=r"input\.duration: Must be at most 15"):
        await harness.submit()


@pytest.mark.parametrize(
    ("role", "task", "kind"), [(Role.VIDEO, VideoTask.EDIT, "base"), (Role.REFERENCE_VIDEO, None, "feature")]
)
async def test_one_field_takes_a_video_for_two_uses(
    harness: ReplicateHarness, role: Role, task: VideoTask | None, kind: str
) -> None:
    harness.model = entry("kwaivgi/kling-v3-omni-video")
    await harness.submit(harness.request(media=(image(role),), video_task=task))
    (body,) = harness.submitted()
    assert body["input"]["reference_video"].startswith("data:")
    assert body["input"]["video_reference_type"] == kind


async def test_every_video_of_a_list_is_kept(harness: ReplicateHarness) -> None:
    handle, outputs = await harness.outputs("list")
    assert [await harness.fetch(handle, output) for output in outputs] == [harness.film] * 2


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("image", "files of kind 'image'"),
        ("string", "text"),
        ("nothing", "nothing"),
        ("object", "an object with 'frames'"),
    ],
)
async def test_an_answer_without_a_video_ends_with_a_reason(harness: ReplicateHarness, script: str, said: str) -> None:
    handle, (output,) = await harness.outputs(script)
    with pytest.raises(OutputInvalid, match=f"answered {said}, but no video"):
        await harness.fetch(handle, output)


async def test_an_entry_names_the_member_that_holds_its_video(harness: ReplicateHarness) -> None:
    harness.model = harness.model.model_copy(update={"wire": {**harness.model.wire, "output": "film"}})
    handle, (output,) = await harness.outputs("named")
    assert await harness.fetch(handle, output) == harness.film


async def test_a_cancel_that_comes_too_late_differs_from_one_that_did_not_arrive(harness: ReplicateHarness) -> None:
    for script, error in (("cancel-too-late", ProviderRejected), ("cancel-500", ProviderUnavailable)):
        harness.play(script)
        submission = await harness.submit()
        with pytest.raises(error):
            await harness.provider.cancel(submission.handle, credential=harness.credential)
