"""fal passes the one suite, each request goes to the endpoint for it, and every shape of answer is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role, VideoTask
from rushes.errors import OutputInvalid, ProviderRejected, ProviderUnavailable, UnsupportedOption
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Credential, Provider
from rushes.providers.fal import Fal
from tests.contract.provider_suite import Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.fal import FakeFal
from tests.fixtures.upstreams.film import tiny_mp4

KEY = "fal-contract-id:0123456789abcdef"


def entry(name: str) -> Model:
    model = shipped_catalogue().find("fal", name)
    assert model is not None
    return model


class FalHarness(Harness):
    scripts = Scripts(
        well=("ok", "poll-500", "poll-drop", "poll-html", "result-early", "result-500", "bare", "mixed", "elsewhere"),
        filtered=("refused", "nsfw"),
        failed=("failed", "failed-plain", "failed-500", "result-gone", "poll-404"),
        unknown_status=("unknown-status",),
        statuses={"ok": Done, "failed": Failed, "refused": Failed},
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
        Option({"duration_s": 6}, ("duration",), "6s"),
        Option({"aspect_ratio": "9:16"}, ("aspect_ratio",), "9:16"),
        Option({"resolution": "4k"}, ("resolution",), "4k"),
        Option({"generate_audio": False}, ("generate_audio",), False),
        Option({"seed": 0}, ("seed",), 0),
        Option({"negative_prompt": ""}, ("negative_prompt",), ""),
        Option({"additional_params": {"auto_fix": False}}, ("auto_fix",), False),
    )
    undeclared = ({"person_generation": "allow_adult"}, {"n": 2})

    def __init__(self, upstream: FakeFal, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = Credential(kind="api_key", secret=KEY)
        self.provider = Fal(client, upstream.base_url)
        self.model = entry("fal-ai/veo3.1")

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [recorded.json for recorded in self.upstream.requests if recorded.method == "POST"]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return Fal(self._client, "http://127.0.0.1:1")


@pytest.fixture
async def harness() -> AsyncIterator[FalHarness]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    async with FakeFal(KEY) as upstream:
        yield FalHarness(upstream, client)
    await client.close()


class TestFal(ProviderContract):
    """The suite."""


async def test_a_text_request_says_every_option_in_the_models_own_types(harness: FalHarness) -> None:
    harness.model = entry("bytedance/seedance-2.0")
    options = {"duration_s": 5, "aspect_ratio": "16:9", "resolution": "720p", "generate_audio": True}
    await harness.submit(harness.request(**options))
    (call,) = harness.upstream.requests
    assert (call.method, call.path) == ("POST", "/bytedance/seedance-2.0/text-to-video")
    assert call.headers["Authorization"] == f"Key {KEY}"
    assert call.json == {
        "prompt": call.json["prompt"], "duration": "5", "aspect_ratio": "16:9", "resolution": "720p",
        "generate_audio": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("roles", "task", "path", "fields"),
    [
        ((), None, "/fal-ai/veo3.1", set()),
        ((Role.INPUT_IMAGE,), None, "/fal-ai/veo3.1/image-to-video", {"image_url"}),
        (
            (Role.INPUT_IMAGE, Role.LAST_FRAME),
            None,
            "/fal-ai/veo3.1/first-last-frame-to-video",
            {"first_frame_url", "last_frame_url"},
        ),
        ((Role.REFERENCE_IMAGE, Role.REFERENCE_IMAGE), None, "/fal-ai/veo3.1/reference-to-video", {"image_urls"}),
        ((Role.VIDEO,), VideoTask.EXTEND, "/fal-ai/veo3.1/extend-video", {"video_url"}),
    ],
)
async def test_the_files_choose_the_endpoint_and_its_fields(
    harness: FalHarness, roles: tuple[Role, ...], task: VideoTask | None, path: str, fields: set[str]
) -> None:
    await harness.submit(harness.request(media=tuple(map(image, roles)), video_task=task))
    (call,) = harness.upstream.requests
    assert call.path == path
    assert call.json.keys() == {"prompt", *fields}
    files = [call.json[name] for name in fields]
    for file in [item for value in files for item in (value if isinstance(value, list) else [value])]:
        assert file.startswith("data:image/png;base64,")


async def test_status_result_and_cancel_are_asked_at_the_app_and_not_at_the_endpoint(harness: FalHarness) -> None:
    harness.model = entry("fal-ai/kling-video/v3/pro")
    submission = await harness.submit()
    await harness.finish(submission.handle)
    assert submission.provider_video_id == "fal-ai/kling-video/requests/764cabcf-0000"
    paths = {(call.method, call.path) for call in harness.upstream.requests[1:]}
    where = "/fal-ai/kling-video/requests/764cabcf-0000"
    assert paths == {("GET", f"{where}/status"), ("GET", where)}


async def test_a_request_that_an_operator_found_is_taken_up_by_its_address(harness: FalHarness) -> None:
    submission = await harness.submit()
    assert submission.provider_video_id is not None
    for written in (submission.provider_video_id, f"https://queue.fal.run/{submission.provider_video_id}/status"):
        assert harness.provider.handle_for(written) == submission.handle
    with pytest.raises(UnsupportedOption, match="OWNER/APP/requests/ID"):
        harness.provider.handle_for("764cabcf-0000")


async def test_every_video_of_a_list_is_kept(harness: FalHarness) -> None:
    handle, outputs = await harness.outputs("list")
    assert len(outputs) == 2
    for output in outputs:
        assert await harness.fetch(handle, output) == harness.film


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("image", "an object with 'images', 'seed', but no video"),
        ("still", "files of kind 'image' under 'video', but no video"),
        ("string", "text, but no video"),
        ("object", "an object with 'frames' under 'video', but no video"),
        ("nothing", "an object with 'video', but no video"),
    ],
)
async def test_an_answer_without_a_video_ends_with_a_reason(harness: FalHarness, script: str, said: str) -> None:
    handle, (output,) = await harness.outputs(script)
    with pytest.raises(OutputInvalid) as caught:
        await harness.fetch(handle, output)
    assert said in caught.value.message
    assert "wire.output" in caught.value.message


async def test_an_entry_names_the_member_that_holds_its_video(harness: FalHarness) -> None:
    harness.model = harness.model.model_copy(update={"wire": {**harness.model.wire, "output": "film"}})
    handle, (output,) = await harness.outputs("named")
    assert await harness.fetch(handle, output) == harness.film


async def test_an_option_that_the_chosen_endpoint_lacks_is_refused_before_any_call(harness: FalHarness) -> None:
    media = (image(Role.REFERENCE_IMAGE),)
    with pytest.raises(UnsupportedOption, match="reference-to-video' at fal has no seed") as caught:
        await harness.submit(harness.request(media=media, seed=0))
    assert caught.value.field == "seed"
    assert harness.upstream.requests == []


async def test_a_field_of_the_entry_cannot_be_set_past_it(harness: FalHarness) -> None:
    with pytest.raises(UnsupportedOption, match="additional_params 'image_url' is set from"):
        await harness.submit(harness.request(additional_params={"image_url": "https://example.com/a.png"}))
    assert harness.upstream.requests == []


async def test_a_cancel_that_comes_too_late_differs_from_one_that_did_not_arrive(harness: FalHarness) -> None:
    for script, error in (("cancel-too-late", ProviderRejected), ("cancel-500", ProviderUnavailable)):
        harness.play(script)
        submission = await harness.submit()
        with pytest.raises(error):
            await harness.provider.cancel(submission.handle, credential=harness.credential)
