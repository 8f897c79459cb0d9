"""What the adapter puts on ComfyUI's wire, and what it makes of the answers, against the fake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rushes.domain.progress import Done, Failed, Working
from rushes.domain.request import Role, VideoRequest
from rushes.errors import ProviderRejected, ProviderUnavailable, UnsupportedOption
from rushes.net.client import HttpClient
from rushes.providers.base import NO_CREDENTIAL
from rushes.providers.comfyui import Comfyui
from rushes.providers.comfyui.payload import prompt_id_of
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.contract.test_comfyui import GRAPH, KEY, ComfyuiHarness
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.upstreams import comfyui


@pytest.fixture
async def harness(client: HttpClient, tmp_path: Path) -> AsyncIterator[ComfyuiHarness]:
    async with comfyui.Comfyui(KEY) as upstream:
        harness = ComfyuiHarness(upstream, client, tmp_path)
        yield harness
        await harness.provider.close()


async def again(harness: ComfyuiHarness, request: VideoRequest | None = None) -> Any:
    """Submit once more under the same attempt."""
    return await harness.provider.submit(
        harness.model,
        request or harness.request(),
        attempt_id=harness.attempt_id,
        credential=harness.credential,
        read_media=harness.read_media,
    )


async def test_a_submit_uploads_the_picture_and_then_sends_exactly_this(harness: ComfyuiHarness) -> None:
    submission = await harness.submit(
        harness.request(
            prompt="a kite", negative_prompt="rain", seed=7, duration_s=2, resolution="480p", aspect_ratio="16:9"
        )
    )
    prompt_id = prompt_id_of(harness.attempt_id)
    (upload,) = harness.upstream.uploads
    assert (upload.path, upload.kind) == (f"rushes/{prompt_id}/input_image-0.png", "temp")
    assert (upload.content_type, upload.content) == ("image/png", MEDIA_BYTES)
    (body,) = harness.submitted()
    assert body["prompt_id"] == body["client_id"] == submission.provider_video_id == prompt_id
    assert body["partial_execution_targets"] == ["8"]
    assert set(body) == {"prompt", "prompt_id", "client_id", "partial_execution_targets"}
    inputs = {node: found["inputs"] for node, found in body["prompt"].items()}
    assert inputs["1"]["image"] == f"rushes/{prompt_id}/input_image-0.png [temp]"
    assert inputs["2"] == {**GRAPH["2"]["inputs"], "image": ["1", 0], "width": 832, "height": 480}
    assert inputs["3"]["amount"] == 49
    assert [inputs[node]["value"] for node in ("4", "5", "6")] == ["a kite", "rain", 7]
    assert inputs["8"]["filename_prefix"] == f"rushes/{prompt_id}"


async def test_the_key_is_in_its_header_and_nowhere_else(harness: ComfyuiHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    await harness.fetch(handle, output)
    for sent in harness.upstream.requests:
        assert sent.headers["Authorization"] == f"Bearer {KEY}"
        assert KEY.encode() not in sent.body
        assert KEY not in str(sent.query)


async def test_a_picture_that_may_be_left_out_takes_its_link_along(harness: ComfyuiHarness) -> None:
    del harness.upstream.nodes["ImageScale"]["input"]["required"]["image"]
    await harness.submit(replace(harness.request(), media=()))
    assert "image" not in harness.submitted()[0]["prompt"]["2"]["inputs"]
    assert harness.upstream.uploads == []


async def test_an_uploaded_file_is_called_as_the_server_calls_it(harness: ComfyuiHarness) -> None:
    harness.play("upload-renamed")
    await harness.submit()
    assert harness.submitted()[0]["prompt"]["1"]["inputs"]["image"].endswith("/input_image-0 (1).png [temp]")


@pytest.mark.parametrize(
    ("script", "words"),
    [("upload-413", "input_image is larger"), ("upload-400", "refused input_image")],
)
async def test_a_file_that_is_refused_fails_the_job(harness: ComfyuiHarness, script: str, words: str) -> None:
    harness.play(script)
    with pytest.raises(ProviderRejected, match=words):
        await harness.submit()
    assert harness.submitted() == []


@pytest.mark.parametrize("script", ["upload-500", "upload-no-name"])
async def test_a_broken_upload_has_submitted_nothing(harness: ComfyuiHarness, script: str) -> None:
    harness.play(script)
    with pytest.raises(ProviderUnavailable) as caught:
        await harness.submit()
    assert caught.value.accepted is False
    assert harness.submitted() == []


async def test_a_file_without_a_place_is_refused_before_any_call(harness: ComfyuiHarness) -> None:
    with pytest.raises(UnsupportedOption, match="last_frame is not bound"):
        await harness.submit(harness.request(media=(image(Role.LAST_FRAME),)))
    assert harness.upstream.requests == []


async def test_without_a_seed_each_attempt_gets_its_own_and_a_repeat_the_same(harness: ComfyuiHarness) -> None:
    harness.play("submit-drop-lost")
    with pytest.raises(ProviderUnavailable):
        await harness.submit()
    await again(harness)
    await harness.submit()
    first, repeated, other = (body["prompt"] for body in harness.submitted())
    assert first == repeated
    assert first["6"]["inputs"]["value"] != other["6"]["inputs"]["value"]


@pytest.mark.parametrize("script", ["submit-500-queued", "submit-drop-queued", "submit-hang", "submit-no-id"])
async def test_a_job_whose_answer_was_lost_is_found_and_ends_with_its_video(
    harness: ComfyuiHarness, script: str
) -> None:
    harness.play(script)
    with pytest.raises(ProviderUnavailable):
        await harness.submit()
    found = await harness.provider.find(harness.attempt_id, credential=harness.credential)
    assert found is not None
    ended = await harness.finish(found.handle)
    assert isinstance(ended, Done)
    assert harness.is_film(await harness.fetch(found.handle, ended.outputs[0]))
    assert len(harness.upstream.runs) == 1


async def test_a_job_that_never_arrived_is_not_found(harness: ComfyuiHarness) -> None:
    harness.play("submit-drop-lost")
    with pytest.raises(ProviderUnavailable):
        await harness.submit()
    assert await harness.provider.find(harness.attempt_id, credential=harness.credential) is None


async def test_a_job_that_arrives_after_it_was_looked_for_is_not_run_twice(harness: ComfyuiHarness) -> None:
    harness.play("submit-drop-late")
    with pytest.raises(ProviderUnavailable):
        await harness.submit()
    assert await harness.provider.find(harness.attempt_id, credential=harness.credential) is None
    submission = await again(harness)
    assert len(harness.upstream.runs) == 1
    assert isinstance(await harness.finish(submission.handle), Done)


async def test_a_server_that_cannot_be_asked_does_not_count_as_one_without_the_job(harness: ComfyuiHarness) -> None:
    harness.play("poll-500")
    await harness.submit()
    with pytest.raises(ProviderUnavailable):
        await harness.provider.find(harness.attempt_id, credential=harness.credential)


async def test_a_restarted_server_has_forgotten_its_job_and_keeps_the_file(harness: ComfyuiHarness) -> None:
    submission = await harness.submit()
    harness.upstream.restart()
    ended = await harness.provider.poll(submission.handle, credential=harness.credential)
    assert isinstance(ended, Failed)
    assert "restarted" in ended.error.message
    assert f"'rushes/{submission.provider_video_id}'" in ended.error.message


async def test_progress_is_what_the_socket_says(harness: ComfyuiHarness) -> None:
    harness.play("forever")
    handle = (await harness.submit()).handle
    async with asyncio.timeout(GENEROUS_S):
        while (progress := await harness.provider.poll(handle, credential=harness.credential)) != Working(0.5):
            assert isinstance(progress, Working)
            await asyncio.sleep(0.02)
    # One socket for the job, however often it is polled, and it is left when the job ends.
    assert harness.upstream.sockets == [handle["id"]]
    await harness.provider.cancel(handle, credential=harness.credential)
    assert isinstance(await harness.provider.poll(handle, credential=harness.credential), Failed)


async def test_a_socket_that_redirects_is_left_alone(harness: ComfyuiHarness) -> None:
    harness.play("socket-redirect")
    handle = (await harness.submit()).handle
    async with asyncio.timeout(GENEROUS_S):
        while not harness.upstream.sockets:
            await harness.provider.poll(handle, credential=harness.credential)
            await asyncio.sleep(0.02)
    await harness.provider.close()
    assert harness.upstream.stranger.requests == []


async def test_a_pending_job_is_taken_out_of_the_queue(harness: ComfyuiHarness) -> None:
    handle = (await harness.submit()).handle
    await harness.provider.cancel(handle, credential=harness.credential)
    assert harness.upstream.jobs == {}
    assert harness.upstream.requests[-1].path == f"/api/jobs/{handle['id']}/cancel"


async def test_a_cancelled_job_that_was_finished_all_the_same_has_its_video(harness: ComfyuiHarness) -> None:
    harness.play("cancel-too-late")
    handle = (await harness.submit()).handle
    await harness.provider.cancel(handle, credential=harness.credential)
    assert isinstance(await harness.finish(handle), Done)


async def test_a_failure_names_its_node_and_shows_no_path_and_no_prompt(harness: ComfyuiHarness) -> None:
    harness.play("oom")
    ended = await harness.finish((await harness.submit()).handle)
    assert isinstance(ended, Failed)
    assert ended.error.provider_error == "torch.OutOfMemoryError"
    assert ended.error.message == "the workflow failed at 'my-comfy' at node '7' (KSampler): 'Allocation failed'"


async def test_what_the_request_got_wrong_is_said_with_node_input_and_range(
    harness: ComfyuiHarness,
) -> None:
    with pytest.raises(ProviderRejected) as caught:
        await harness.submit(harness.request(additional_params={"fps": 500}))
    assert caught.value.message == (
        "'my-comfy' refused the request: node '7' (CreateVideo), input 'fps': Value 500 bigger than max of 120: fps; "
        "allowed are 1 to 120"
    )
    assert caught.value.provider_error == "prompt_outputs_failed_validation"


async def test_what_the_workflow_got_wrong_is_said_as_such(harness: ComfyuiHarness) -> None:
    takes = harness.upstream.nodes["ImageScale"]["input"]["required"]
    harness.upstream.nodes["ImageScale"] = {
        "input": {"required": {**takes, "crop": [["disabled"]]}, "optional": {}}, "output_node": False,
    }  # fmt: skip
    with pytest.raises(ProviderRejected) as caught:
        await harness.submit()
    assert caught.value.message.startswith(
        "the workflow does not fit 'my-comfy': node '2' (ImageScale), input 'crop': Value not in list"
    )
    assert caught.value.message.endswith("allowed are 'disabled'")


async def test_an_id_that_an_operator_found_resumes_the_job(harness: ComfyuiHarness) -> None:
    submission = await harness.submit()
    assert submission.provider_video_id is not None
    ended = await harness.finish(harness.provider.handle_for(submission.provider_video_id))
    assert isinstance(ended, Done)


@pytest.mark.parametrize("identity", ["../prompt", "a/b", "a?x=1", "a#b", "%2e%2e", "ü"])
async def test_an_id_cannot_leave_its_path(harness: ComfyuiHarness, identity: str) -> None:
    with contextlib.suppress(ProviderUnavailable):
        await harness.provider.poll({"version": 1, "id": identity}, credential=harness.credential)
    assert harness.upstream.requests[-1].path.startswith("/api/jobs/")
    assert harness.upstream.requests[-1].query == {}


async def test_a_model_that_is_not_listed_any_more_is_not_submitted(harness: ComfyuiHarness) -> None:
    harness.model = harness.model.model_copy(update={"wire": {}})
    with pytest.raises(ProviderRejected, match="no longer configured"):
        await harness.submit()
    assert harness.upstream.requests == []


async def test_a_server_with_every_node_can_run_the_workflow(harness: ComfyuiHarness) -> None:
    assert await harness.provider.misfits([harness.model], credential=harness.credential) == ()


async def test_a_node_that_the_server_lacks_is_named(harness: ComfyuiHarness) -> None:
    del harness.upstream.nodes["RepeatImageBatch"]
    assert await harness.provider.misfits([harness.model], credential=harness.credential) == (
        "model 'still': node '3' (RepeatImageBatch) is not known to the server; install the extension that has it",
    )


async def test_a_server_of_an_old_release_is_named_with_what_is_needed(harness: ComfyuiHarness) -> None:
    harness.upstream.version = "0.3.64"
    found = await harness.provider.misfits([harness.model], credential=harness.credential)
    assert found == ("it is ComfyUI 0.3.64, and at least 0.26 is needed",)


async def test_a_server_that_is_away_cannot_be_asked(harness: ComfyuiHarness) -> None:
    away = harness.unreachable()
    with pytest.raises(ProviderUnavailable):
        await away.misfits([harness.model], credential=NO_CREDENTIAL)
    assert isinstance(away, Comfyui)
    await away.close()


def test_every_script_can_be_played() -> None:
    fake = comfyui.Comfyui()
    for name in comfyui.Comfyui.plays:
        fake.play(name)
    with pytest.raises(KeyError):
        fake.play("no-such-script")
