"""What the Gemini adapter puts on the wire, and what it makes of the answers: over sockets, against the fake."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role, VideoTask
from rushes.errors import ContentFiltered, ProviderAuth, ProviderQuota, ProviderRejected, ProviderUnavailable
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Credential
from rushes.providers.google import Gemini
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.contract.test_providers import GeminiHarness
from tests.fixtures.upstreams import gemini, gemini_scripts


@pytest.fixture
async def harness() -> AsyncIterator[GeminiHarness]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    async with gemini.Gemini() as upstream:
        yield GeminiHarness(upstream, client)
        await client.close()


async def test_an_image_to_video_submit_is_exactly_this(harness: GeminiHarness) -> None:
    request = harness.request(
        media=(image(Role.INPUT_IMAGE),), aspect_ratio="16:9", resolution="720p", duration_s=6, seed=0
    )
    await harness.submit(request)
    (sent,) = harness.upstream.requests
    assert (sent.method, sent.path, sent.query) == ("POST", "/v1beta/interactions", {})
    assert sent.json == {
        "model": "gemini-omni-1.2-flash",
        "input": [
            {"type": "image", "data": base64.b64encode(MEDIA_BYTES).decode(), "mime_type": "image/png"},
            {"type": "text", "text": "<FIRST_FRAME> a red kite over dunes"},
        ],
        "background": True,
        "response_format": {
            "type": "video",
            "delivery": "uri",
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "duration": "6s",
        },
        "generation_config": {"seed": 0, "video_config": {"task": "image_to_video"}},
    }
    assert sent.headers["Content-Type"] == "application/json"
    assert "Transfer-Encoding" not in sent.headers


async def test_the_key_is_in_its_header_and_nowhere_else(harness: GeminiHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    await harness.fetch(handle, output)
    for sent in harness.upstream.requests:
        assert sent.headers["x-goog-api-key"] == harness.credential.secret
        assert "Authorization" not in sent.headers
        assert "key" not in sent.query
        assert harness.credential.secret.encode() not in sent.body


async def test_media_are_sent_in_the_order_first_last_references_video(harness: GeminiHarness) -> None:
    roles = (Role.VIDEO, Role.REFERENCE_IMAGE, Role.LAST_FRAME, Role.INPUT_IMAGE)
    media = tuple(
        replace(image(role), content_type="video/mp4" if role is Role.VIDEO else "image/png") for role in roles
    )
    await harness.submit(harness.request(media=media))
    body = harness.submitted()[-1]
    assert [block["type"] for block in body["input"]] == ["image", "image", "image", "video", "text"]
    assert body["generation_config"]["video_config"]["task"] == "extend"


async def test_an_edit_names_the_task_and_neither_length_nor_shape(harness: GeminiHarness) -> None:
    video = replace(image(Role.VIDEO), content_type="video/mp4")
    await harness.submit(harness.request(media=(video,), video_task=VideoTask.EDIT))
    body = harness.submitted()[-1]
    assert body["generation_config"]["video_config"]["task"] == "edit"
    assert body["response_format"].keys() <= {"type", "delivery", "resolution"}


async def test_the_list_of_models_is_that_of_video_models(harness: GeminiHarness) -> None:
    ids = await harness.provider.list_models(credential=harness.credential)
    assert ids == ("gemini-omni-1.2-flash", "gemini-omni-1.1-flash")


BODY = {"model": "gemini-omni-1.2-flash", "input": "x", "background": True}


@pytest.mark.parametrize(
    ("status", "headers", "query", "body"),
    [
        (200, {}, "", {"response_format": {"type": "video", "duration": "6s"}}),
        (400, {}, "", {"response_format": {"type": "video", "duration": 6}}),
        (400, {}, "", {"response_format": {"type": "video", "duration": "6"}}),
        (400, {}, "", {"response_format": {"type": "video", "duration": "16s"}}),
        (400, {}, "", {"response_format": {"type": "video", "aspect_ratio": "1:1"}}),
        (400, {}, "", {"response_format": {"type": "video"}, "negative_prompt": "rain"}),
        (400, {"Authorization": "Bearer x"}, "", {"response_format": {"type": "video"}}),
        (400, {}, "?key=x", {"response_format": {"type": "video"}}),
        (404, {}, "", {"response_format": {"type": "video"}, "model": "veo-3.0-generate-001"}),
    ],
)
async def test_the_fake_refuses_what_google_refuses(
    harness: GeminiHarness, status: int, headers: dict[str, str], query: str, body: dict[str, object]
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{harness.upstream.base_url}/v1beta/interactions{query}",
            headers={"x-goog-api-key": "k", **headers},
            json={**BODY, **body},
        ) as response,
    ):
        assert response.status == status


async def test_a_wrong_key_is_an_auth_error_although_it_is_http_400(harness: GeminiHarness) -> None:
    harness.credential = Credential("api_key", "bad-key")
    with pytest.raises(ProviderAuth) as caught:
        await harness.submit()
    assert caught.value.provider_error == "INVALID_ARGUMENT (API_KEY_INVALID)"


@pytest.mark.parametrize("secret", ["", "a\nb", "a b", "schlüssel", "key\r\nX-Injected: 1"])
async def test_a_key_that_is_none_is_refused_before_any_call(harness: GeminiHarness, secret: str) -> None:
    harness.credential = Credential("api_key", secret)
    with pytest.raises(ProviderAuth):
        await harness.submit()
    assert harness.upstream.requests == []


async def test_another_kind_of_credential_is_refused_before_any_call(harness: GeminiHarness) -> None:
    harness.credential = Credential("service_account", "{}")
    with pytest.raises(ProviderAuth):
        await harness.submit()


@pytest.mark.parametrize(("script", "wait_s"), [("quota-header", 7.0), ("quota-retry-info", 34.5), ("quota", None)])
async def test_quota_says_how_long_to_wait(harness: GeminiHarness, script: str, wait_s: float | None) -> None:
    harness.play(script)
    with pytest.raises(ProviderQuota) as caught:
        await harness.submit()
    assert caught.value.retry_after_s == wait_s


async def test_a_retired_model_is_named_in_the_error(harness: GeminiHarness) -> None:
    harness.model = harness.model.model_copy(update={"id": "veo-3.0-generate-001"})
    with pytest.raises(ProviderRejected, match=r"'veo-3\.0-generate-001'"):
        await harness.submit()


async def test_a_submit_uses_a_connection_of_its_own(harness: GeminiHarness) -> None:
    # A kept connection that the other side just closed would leave us not knowing whether it was accepted.
    await harness.submit()
    await harness.submit()
    assert all(sent.headers.get("Connection") == "close" for sent in harness.upstream.requests)


async def test_an_answer_that_was_lost_leaves_the_job_at_google(harness: GeminiHarness) -> None:
    harness.play("submit-drop")
    with pytest.raises(ProviderUnavailable):
        await harness.submit()
    assert len(harness.upstream.interactions) == 1


async def test_a_submit_may_answer_with_the_video_already(harness: GeminiHarness) -> None:
    harness.play("instant")
    submission = await harness.submit()
    assert isinstance(submission.progress, Done)
    assert await harness.fetch(submission.handle, submission.progress.outputs[0]) == harness.film


async def test_filtered_keeps_the_models_words(harness: GeminiHarness) -> None:
    harness.play("filtered")
    ended = await harness.finish((await harness.submit()).handle)
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, ContentFiltered)
    assert "I can't make videos of that." in ended.error.message


async def test_an_inline_video_stays_out_of_the_row(harness: GeminiHarness) -> None:
    _, outputs = await harness.outputs("inline")
    assert outputs == ({"version": 1, "inline": True},)


async def test_a_google_link_is_fetched_from_the_configured_origin(harness: GeminiHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    assert str(output["uri"]).startswith(gemini.GOOGLE)
    await harness.fetch(handle, output)
    assert harness.upstream.requests[-1].path == "/v1beta/files/file1a:download"


async def test_the_id_at_google_is_told(harness: GeminiHarness) -> None:
    submission = await harness.submit()
    assert submission.provider_video_id == submission.handle["id"]
    assert submission.provider_video_id in harness.upstream.interactions


async def test_an_id_that_an_operator_found_resumes_the_job(harness: GeminiHarness) -> None:
    harness.play("submit-drop")
    with pytest.raises(ProviderUnavailable):
        await harness.submit()
    (identity,) = harness.upstream.interactions
    assert isinstance(harness.provider, Gemini)
    assert isinstance(await harness.finish(harness.provider.handle_for(identity)), Done)


async def test_a_private_result_address_is_not_called(harness: GeminiHarness) -> None:
    handle, (output,) = await harness.outputs("uri-private")
    with pytest.raises(ProviderUnavailable) as caught:
        await harness.fetch(handle, output)
    assert caught.value.provider_error == "refused_address"


async def test_an_unpermitted_stranger_on_loopback_is_not_called(harness: GeminiHarness) -> None:
    handle, (output,) = await harness.outputs("uri-stranger")
    client = HttpClient()
    strict = Gemini(client, harness.upstream.base_url)
    with pytest.raises(ProviderUnavailable):
        async for _ in strict.fetch(handle, output, credential=harness.credential):
            pass
    await client.close()
    assert harness.upstream.stranger.requests == []


@pytest.mark.parametrize("identity", ["../files/x", "a/b", "a?key=1", "a#b", "%2e%2e", "ü"])
async def test_an_id_cannot_leave_its_path(harness: GeminiHarness, identity: str) -> None:
    ended = await harness.provider.poll({"version": 1, "id": identity}, credential=harness.credential)
    assert isinstance(ended, Failed)
    assert harness.upstream.requests[-1].path.startswith("/v1beta/interactions/")
    assert harness.upstream.requests[-1].query == {}


def test_every_script_can_be_played() -> None:
    fake = gemini.Gemini()
    for name in gemini_scripts.ALL:
        fake.play(name)
    with pytest.raises(KeyError):
        fake.play("no-such-script")
