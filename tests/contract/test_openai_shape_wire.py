"""What the adapter puts on the wire for each flavor, and what it makes of the answers, against the fake."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from rushes.domain.progress import Done, Failed, Working
from rushes.domain.request import InputMedia, Role
from rushes.errors import (
    ProviderAuth,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedOption,
)
from rushes.net.client import HttpClient
from rushes.providers.base import NO_CREDENTIAL, Credential
from rushes.providers.form import FormBody, Part
from rushes.providers.openai_shape import FLAVORS, OpenaiShape, Server
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.contract.test_openai_shape import KEY, OpenaiHarness, OpenaiShapeHarness, SglangHarness, VllmOmniHarness
from tests.fixtures.upstreams import openai_shape, openai_shape_scripts
from tests.fixtures.upstreams.openai_shape import File

DATA_URL = f"data:image/png;base64,{base64.b64encode(MEDIA_BYTES).decode()}"


HARNESSES = {"openai": OpenaiHarness, "vllm-omni": VllmOmniHarness, "sglang": SglangHarness}


@asynccontextmanager
async def running(flavor: str, client: HttpClient) -> AsyncIterator[OpenaiShapeHarness]:
    kind = HARNESSES[flavor]
    async with openai_shape.OpenaiShape(flavor, kind.key) as upstream:
        yield kind(upstream, client)


@pytest.fixture
async def openai(client: HttpClient) -> AsyncIterator[OpenaiShapeHarness]:
    async with running("openai", client) as harness:
        yield harness


@pytest.fixture
async def vllm(client: HttpClient) -> AsyncIterator[OpenaiShapeHarness]:
    async with running("vllm-omni", client) as harness:
        yield harness


@pytest.fixture
async def sglang(client: HttpClient) -> AsyncIterator[OpenaiShapeHarness]:
    async with running("sglang", client) as harness:
        yield harness


EVERYTHING: dict[str, Any] = {
    "aspect_ratio": "9:16",
    "resolution": "720p",
    "duration_s": 6,
    "media": (image(Role.INPUT_IMAGE),),
}


async def test_a_submit_to_an_openai_server_is_exactly_this_form(openai: OpenaiShapeHarness) -> None:
    await openai.submit(openai.request(**EVERYTHING))
    (sent,) = openai.upstream.requests
    assert (sent.method, sent.path, sent.query) == ("POST", "/v1/videos", {})
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert sent.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert int(sent.headers["Content-Length"]) == len(sent.body)
    assert "Transfer-Encoding" not in sent.headers
    assert openai.submitted() == [
        {
            "prompt": "a red kite over dunes",
            "model": "wan-2.2",
            "seconds": "6",
            "size": "720x1280",
            "input_reference": File("input_image.png", "image/png", MEDIA_BYTES),
        }
    ]


async def test_a_submit_without_any_option_is_a_form_too(vllm: OpenaiShapeHarness) -> None:
    await vllm.submit()
    assert vllm.upstream.requests[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert vllm.submitted() == [{"prompt": "a red kite over dunes", "model": "wan-2.2"}]


async def test_vllm_omni_gets_both_frames_as_json_in_a_string(vllm: OpenaiShapeHarness) -> None:
    media = (image(Role.LAST_FRAME), image(Role.INPUT_IMAGE))
    await vllm.submit(vllm.request(media=media))
    (sent,) = vllm.submitted()
    assert json.loads(sent["image_reference"]) == [{"image_url": DATA_URL}, {"image_url": DATA_URL}]
    assert "input_reference" not in sent


async def test_vllm_omni_gets_references_as_files(vllm: OpenaiShapeHarness) -> None:
    await vllm.submit(vllm.request(media=(image(Role.REFERENCE_IMAGE), image(Role.REFERENCE_IMAGE))))
    (sent,) = vllm.submitted()
    assert sent["input_references"] == [File("reference_image.png", "image/png", MEDIA_BYTES)] * 2


async def test_vllm_omni_gets_a_video_as_json_in_a_string(vllm: OpenaiShapeHarness) -> None:
    await vllm.submit(vllm.request(media=(video(),)))
    (sent,) = vllm.submitted()
    assert json.loads(sent["video_reference"]) == {
        "video_url": DATA_URL.replace("image/png", "video/mp4"),
    }


async def test_sglang_gets_a_video_as_a_file(sglang: OpenaiShapeHarness) -> None:
    await sglang.submit(sglang.request(media=(video(),)))
    assert sglang.submitted()[0]["video_reference"] == File("video.mp4", "video/mp4", MEDIA_BYTES)


@pytest.mark.parametrize(
    ("flavor", "roles", "field"),
    [
        ("openai", (Role.REFERENCE_IMAGE,), "reference_image"),
        ("openai", (Role.VIDEO,), "video"),
        ("openai", (Role.INPUT_IMAGE, Role.LAST_FRAME), "last_frame"),
        ("sglang", (Role.INPUT_IMAGE, Role.LAST_FRAME), "last_frame"),
        ("vllm-omni", (Role.LAST_FRAME,), "last_frame"),
        ("vllm-omni", (Role.INPUT_IMAGE, Role.REFERENCE_IMAGE), "reference_image"),
        ("vllm-omni", (Role.INPUT_IMAGE, Role.VIDEO), "video"),
    ],
)
async def test_media_that_cannot_be_said_are_refused_before_any_call(
    client: HttpClient, flavor: str, roles: tuple[Role, ...], field: str
) -> None:
    async with running(flavor, client) as harness:
        with pytest.raises(ProviderRejected, match=f"^{field} "):
            await harness.submit(harness.request(media=tuple(image(role) for role in roles)))
        assert harness.upstream.requests == []


async def test_text_in_a_form_cannot_leave_its_part(vllm: OpenaiShapeHarness) -> None:
    prompt = 'a kite\r\n--rushes-\r\nContent-Disposition: form-data; name="model"\r\n\r\nother'
    with pytest.raises(ProviderRejected, match="Unknown parameter"):
        await vllm.submit(vllm.request(additional_params={"user": prompt, 'fps"; name="model': 24}))
    (sent,) = vllm.upstream.requests
    form = openai_shape.parsed(sent)
    assert form["user"] == prompt
    assert form["model"] == "wan-2.2"
    assert b'name="fps%22; name=%22model"' in sent.body


async def test_an_additional_param_that_contradicts_a_field_is_refused(vllm: OpenaiShapeHarness) -> None:
    with pytest.raises(ProviderRejected, match="'seconds' contradicts"):
        await vllm.submit(vllm.request(duration_s=4, additional_params={"seconds": "5"}))
    assert vllm.upstream.requests == []


async def test_without_a_credential_no_authorization_is_sent(vllm: OpenaiShapeHarness) -> None:
    handle, (output,) = await vllm.outputs("ok")
    await vllm.fetch(handle, output)
    assert vllm.credential is NO_CREDENTIAL
    assert all("Authorization" not in sent.headers for sent in vllm.upstream.requests)


async def test_the_key_is_in_its_header_and_nowhere_else(sglang: OpenaiShapeHarness) -> None:
    handle, (output,) = await sglang.outputs("ok")
    await sglang.fetch(handle, output)
    for sent in sglang.upstream.requests:
        assert sent.headers["Authorization"] == f"Bearer {KEY}"
        assert KEY.encode() not in sent.body
        assert KEY not in str(sent.query)


async def test_a_key_may_go_into_a_header_of_another_name(client: HttpClient) -> None:
    async with openai_shape.OpenaiShape("openai") as upstream:
        server = Server("azure", FLAVORS["openai"], upstream.base_url, key_header="api-key", needs_key=True)
        await OpenaiShape(client, server).list_models(credential=Credential("api_key", KEY))
        assert upstream.requests[0].headers["api-key"] == KEY
        assert "Authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize(
    ("base_url", "path"),
    [("", "/v1/models"), ("/", "/v1/models"), ("/v1", "/v1/models"), ("/v1/", "/v1/models"), ("/a/v2", "/a/v2/models")],
)
async def test_a_base_url_without_a_path_means_v1(client: HttpClient, base_url: str, path: str) -> None:
    async with openai_shape.OpenaiShape("vllm-omni") as upstream:
        server = Server("my-gpu", FLAVORS["vllm-omni"], upstream.base_url + base_url)
        try:
            await OpenaiShape(client, server).list_models(credential=NO_CREDENTIAL)
        except ProviderUnavailable:
            assert path == "/a/v2/models"
        assert [sent.path for sent in upstream.requests] == [path]


@pytest.mark.parametrize("secret", ["", "a\nb", "a b", "schlüssel", "key\r\nX-Injected: 1"])
async def test_a_key_that_is_none_is_refused_before_any_call(openai: OpenaiShapeHarness, secret: str) -> None:
    openai.credential = Credential("api_key", secret)
    with pytest.raises(ProviderAuth):
        await openai.submit()
    assert openai.upstream.requests == []


async def test_sglang_outputs_are_told_apart_by_index(sglang: OpenaiShapeHarness) -> None:
    submission = await sglang.submit(sglang.request(n=3))
    ended = await sglang.finish(submission.handle)
    assert isinstance(ended, Done)
    assert ended.missing is None
    for output in ended.outputs:
        assert sglang.is_film(await sglang.fetch(submission.handle, output))
    downloads = [sent.query for sent in sglang.upstream.requests if sent.path.endswith("/content")]
    assert downloads == [{"variant": "0"}, {"variant": "1"}, {"variant": "2"}]


async def test_the_only_output_is_fetched_without_a_variant(openai: OpenaiShapeHarness) -> None:
    handle, (output,) = await openai.outputs("ok")
    await openai.fetch(handle, output)
    assert openai.upstream.requests[-1].query == {}


async def test_fewer_outputs_than_asked_for_are_told(sglang: OpenaiShapeHarness) -> None:
    sglang.play("one-missing")
    ended = await sglang.finish((await sglang.submit(sglang.request(n=3))).handle)
    assert isinstance(ended, Done)
    assert len(ended.outputs) == 2
    assert ended.missing == "'my-gpu' made 2 of 3 videos"


async def test_sglang_reports_real_progress(sglang: OpenaiShapeHarness) -> None:
    handle = (await sglang.submit()).handle
    await sglang.provider.poll(handle, credential=sglang.credential)
    assert await sglang.provider.poll(handle, credential=sglang.credential) == Working(0.37)


async def test_vllm_omnis_progress_is_none(vllm: OpenaiShapeHarness) -> None:
    handle = (await vllm.submit()).handle
    assert await vllm.provider.poll(handle, credential=vllm.credential) == Working(None)


async def test_vllm_omnis_failed_poll_is_the_end_although_it_is_http_500(vllm: OpenaiShapeHarness) -> None:
    vllm.play("failed")
    ended = await vllm.finish((await vllm.submit()).handle)
    assert isinstance(ended, Failed)
    assert ended.error.provider_error == "500"
    assert "CUDA out of memory" in ended.error.message


async def test_a_server_that_was_restarted_has_lost_its_generation(vllm: OpenaiShapeHarness) -> None:
    handle = (await vllm.submit()).handle
    vllm.upstream.videos.clear()
    ended = await vllm.provider.poll(handle, credential=vllm.credential)
    assert isinstance(ended, Failed)
    assert "restarted" in ended.error.message


async def test_a_download_that_comes_too_early_is_tried_again_and_not_lost(sglang: OpenaiShapeHarness) -> None:
    handle, (output,) = await sglang.outputs("download-early")
    with pytest.raises(ProviderUnavailable, match="still making"):
        await sglang.fetch(handle, output)
    assert isinstance(await sglang.finish(handle), Done)
    assert sglang.is_film(await sglang.fetch(handle, output))


async def test_a_result_in_a_cloud_is_fetched_there_without_the_key(sglang: OpenaiShapeHarness) -> None:
    handle, (output,) = await sglang.outputs("cloud-stranger")
    assert sglang.is_film(await sglang.fetch(handle, output))
    (seen,) = sglang.upstream.stranger.requests
    assert "Authorization" not in seen.headers
    assert sglang.upstream.stranger.leaks == []


async def test_a_result_url_at_the_same_origin_gets_the_key(sglang: OpenaiShapeHarness) -> None:
    handle, (output,) = await sglang.outputs("cloud-own")
    assert sglang.is_film(await sglang.fetch(handle, output))
    assert sglang.upstream.requests[-1].headers["Authorization"] == f"Bearer {KEY}"


async def test_each_output_in_a_cloud_has_its_own_url(sglang: OpenaiShapeHarness) -> None:
    sglang.play("cloud-stranger")
    handle = (await sglang.submit(sglang.request(n=2))).handle
    ended = await sglang.finish(handle)
    assert isinstance(ended, Done)
    for output in ended.outputs:
        await sglang.fetch(handle, output)
    assert [sent.path.rpartition("-")[2] for sent in sglang.upstream.stranger.requests] == ["0.mp4", "1.mp4"]


async def test_a_cloud_on_loopback_is_not_called_unless_permitted(sglang: OpenaiShapeHarness) -> None:
    handle, (output,) = await sglang.outputs("cloud-stranger")
    client = HttpClient()
    strict = OpenaiShape(client, Server("my-gpu", FLAVORS["sglang"], sglang.upstream.base_url))
    with pytest.raises(ProviderUnavailable):
        async for _ in strict.fetch(handle, output, credential=sglang.credential):
            pass
    await client.close()
    assert sglang.upstream.stranger.requests == []


async def test_vllm_omnis_delete_aborts(vllm: OpenaiShapeHarness) -> None:
    submission = await vllm.submit()
    await vllm.provider.cancel(submission.handle, credential=vllm.credential)
    assert vllm.upstream.aborted == [submission.provider_video_id]


async def test_an_abort_under_way_is_no_error(vllm: OpenaiShapeHarness) -> None:
    vllm.play("cancel-409")
    await vllm.provider.cancel((await vllm.submit()).handle, credential=vllm.credential)


async def test_a_finished_video_is_never_deleted_by_a_cancel(vllm: OpenaiShapeHarness) -> None:
    vllm.play("cancel-finished")
    handle = (await vllm.submit()).handle
    with pytest.raises(ProviderRejected):
        await vllm.provider.cancel(handle, credential=vllm.credential)
    assert "DELETE" not in [sent.method for sent in vllm.upstream.requests]


@pytest.mark.parametrize("flavor", ["openai", "sglang"])
async def test_delete_is_not_sent_where_it_does_not_stop_the_work(client: HttpClient, flavor: str) -> None:
    async with running(flavor, client) as harness:
        handle = (await harness.submit()).handle
        with pytest.raises(UnsupportedOption):
            await harness.provider.cancel(handle, credential=harness.credential)
        assert len(harness.upstream.requests) == 1


async def test_a_lost_answer_cannot_be_looked_up(vllm: OpenaiShapeHarness) -> None:
    vllm.play("submit-drop")
    with pytest.raises(ProviderUnavailable):
        await vllm.submit()
    assert len(vllm.upstream.videos) == 1
    with pytest.raises(SubmissionUnknown):
        await vllm.provider.find("att_contract", credential=vllm.credential)


async def test_an_id_that_an_operator_found_resumes_the_job(vllm: OpenaiShapeHarness) -> None:
    vllm.play("submit-drop")
    with pytest.raises(ProviderUnavailable):
        await vllm.submit()
    (identity,) = vllm.upstream.videos
    assert isinstance(await vllm.finish(vllm.provider.handle_for(identity)), Done)


async def test_a_submit_may_answer_with_the_video_already(openai: OpenaiShapeHarness) -> None:
    openai.play("instant")
    submission = await openai.submit()
    assert isinstance(submission.progress, Done)
    assert openai.is_film(await openai.fetch(submission.handle, submission.progress.outputs[0]))


@pytest.mark.parametrize(("script", "wait_s"), [("rate-header", 7.0), ("rate", None)])
async def test_quota_says_how_long_to_wait(openai: OpenaiShapeHarness, script: str, wait_s: float | None) -> None:
    openai.play(script)
    with pytest.raises(ProviderQuota) as caught:
        await openai.submit()
    assert caught.value.retry_after_s == wait_s


async def test_fastapis_list_of_wrong_fields_becomes_words(vllm: OpenaiShapeHarness) -> None:
    vllm.play("invalid-422")
    with pytest.raises(ProviderRejected, match=r"'body\.seconds: Input should be a valid integer'"):
        await vllm.submit()


async def test_a_model_that_the_server_lacks_is_named(vllm: OpenaiShapeHarness) -> None:
    vllm.model = vllm.model.model_copy(update={"id": "sora-2"})
    with pytest.raises(ProviderRejected, match="'sora-2'"):
        await vllm.submit()


async def test_the_servers_models_are_listed(vllm: OpenaiShapeHarness) -> None:
    assert await vllm.provider.list_models(credential=vllm.credential) == openai_shape.MODELS


@pytest.mark.parametrize("identity", ["../models", "a/b", "a?key=1", "a#b", "%2e%2e", "ü"])
async def test_an_id_cannot_leave_its_path(vllm: OpenaiShapeHarness, identity: str) -> None:
    ended = await vllm.provider.poll({"version": 1, "id": identity}, credential=vllm.credential)
    assert isinstance(ended, Failed)
    assert vllm.upstream.requests[-1].path.startswith("/v1/videos/")
    assert vllm.upstream.requests[-1].query == {}


@pytest.mark.parametrize(
    ("flavor", "status", "fields"),
    [
        ("openai", 200, {}),
        ("openai", 400, {"seconds": "4s"}),
        ("openai", 400, {"size": "720p"}),
        ("openai", 400, {"seed": "7"}),
        ("openai", 404, {"model": "sora-2"}),
        ("vllm-omni", 200, {"seed": "7", "image_reference": '{"image_url": "https://a.example/a.png"}'}),
        ("vllm-omni", 400, {"image_reference": "https://a.example/a.png"}),
        ("vllm-omni", 400, {"extra_params": "x" * (openai_shape.FIELD_LIMIT_BYTES + 1)}),
        ("vllm-omni", 422, {"input_reference": "https://a.example/a.png"}),
        ("sglang", 200, {"seconds": "4"}),
        ("sglang", 422, {"seconds": "4.5"}),
    ],
)
async def test_the_fake_refuses_what_the_real_servers_refuse(flavor: str, status: int, fields: dict[str, str]) -> None:
    async with openai_shape.OpenaiShape(flavor) as upstream, aiohttp.ClientSession() as session:
        form = FormBody([Part(name, text) for name, text in {"prompt": "x", **fields}.items()])
        headers = {"Content-Type": form.content_type}
        async with session.post(f"{upstream.base_url}/v1/videos", data=form, headers=headers) as response:
            assert response.status == status


async def test_the_fake_vllm_omni_reads_no_json() -> None:
    async with (
        openai_shape.OpenaiShape("vllm-omni") as upstream,
        aiohttp.ClientSession() as session,
        session.post(f"{upstream.base_url}/v1/videos", json={"prompt": "x"}) as response,
    ):
        assert response.status == 422


def test_every_script_can_be_played() -> None:
    fake = openai_shape.OpenaiShape()
    for name in openai_shape_scripts.ALL:
        fake.play(name)
    with pytest.raises(KeyError):
        fake.play("no-such-script")


def video() -> InputMedia:
    return replace(image(Role.VIDEO), content_type="video/mp4")
