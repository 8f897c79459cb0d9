"""What the Vertex adapter puts on the wire, and what it makes of the answers: over sockets, against the fake."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from rushes.domain.progress import Done, Failed, Working
from rushes.domain.request import Role
from rushes.errors import (
    ContentFiltered,
    OutputLost,
    ProviderAuth,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
)
from rushes.net.client import HttpClient, Sink
from rushes.providers.base import Credential
from rushes.providers.google import Place, Vertex
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.contract.test_providers import VertexHarness, VertexInlineHarness, VertexOmniBucketHarness, VertexOmniHarness
from tests.fixtures.upstreams import vertex, vertex_scripts, vertex_veo

B64 = base64.b64encode(MEDIA_BYTES).decode()
FILE = {"bytesBase64Encoded": B64, "mimeType": "image/png"}


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    yield client
    await client.close()


@pytest.fixture
async def upstream() -> AsyncIterator[vertex.Vertex]:
    async with vertex.Vertex() as upstream:
        yield upstream


@pytest.fixture
def harness(upstream: vertex.Vertex, client: HttpClient) -> VertexHarness:
    return VertexHarness(upstream, client)


@pytest.fixture
def inline(upstream: vertex.Vertex, client: HttpClient) -> VertexInlineHarness:
    return VertexInlineHarness(upstream, client)


@pytest.fixture
def omni(upstream: vertex.Vertex, client: HttpClient) -> VertexOmniHarness:
    return VertexOmniHarness(upstream, client)


def paths(upstream: vertex.Vertex) -> list[str]:
    return [sent.path for sent in upstream.requests]


def everything(**options: Any) -> dict[str, Any]:
    return {
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration_s": 6,
        "n": 2,
        "seed": 0,
        "negative_prompt": "rain",
        "generate_audio": True,
        "person_generation": "allow_adult",
        **options,
    }


# The body of a submit


async def test_an_image_to_video_submit_is_exactly_this(harness: VertexHarness) -> None:
    media = (image(Role.INPUT_IMAGE), image(Role.LAST_FRAME))
    await harness.submit(harness.request(**everything(media=media, additional_params={"resizeMode": "pad"})))
    sent = harness.upstream.requests[-1]
    assert (sent.method, sent.query) == ("POST", {})
    assert sent.path == (
        "/v1/projects/studio-1/locations/us-central1/publishers/google/models/veo-3.1-generate-001:predictLongRunning"
    )
    assert sent.json == {
        "instances": [{"prompt": "a red kite over dunes", "image": FILE, "lastFrame": FILE}],
        "parameters": {
            "sampleCount": 2,
            "durationSeconds": 6,
            "aspectRatio": "16:9",
            "resolution": "720p",
            "generateAudio": True,
            "negativePrompt": "rain",
            "personGeneration": "allow_adult",
            "seed": 0,
            "storageUri": f"gs://studio-films/{harness.attempt_id}/",
            "resizeMode": "pad",
        },
    }
    kinds = {name: type(value) for name, value in sent.json["parameters"].items()}
    assert (kinds["sampleCount"], kinds["durationSeconds"], kinds["seed"]) == (int, int, int)
    assert kinds["generateAudio"] is bool
    assert sent.headers["Content-Type"] == "application/json"
    assert "Transfer-Encoding" not in sent.headers


async def test_without_a_bucket_nothing_is_said_of_storage(inline: VertexInlineHarness) -> None:
    await inline.submit()
    assert inline.submitted() == [
        {"instances": [{"prompt": "a red kite over dunes"}], "parameters": {"sampleCount": 1}}
    ]


async def test_references_and_a_video_have_their_places(harness: VertexHarness) -> None:
    await harness.submit(harness.request(media=(image(Role.REFERENCE_IMAGE),) * 3, duration_s=8))
    reference = {"image": FILE, "referenceType": "asset"}
    assert harness.submitted()[-1]["instances"][0]["referenceImages"] == [reference] * 3
    await harness.submit(harness.request(media=(replace(image(Role.VIDEO), content_type="video/mp4"),)))
    assert harness.submitted()[-1]["instances"][0]["video"] == {"bytesBase64Encoded": B64, "mimeType": "video/mp4"}


async def test_a_param_that_contradicts_a_field_is_refused_before_any_call(harness: VertexHarness) -> None:
    with pytest.raises(ProviderRejected, match="sampleCount"):
        await harness.submit(harness.request(n=1, additional_params={"sampleCount": 4}))
    assert harness.submitted() == []


async def test_a_submit_uses_a_connection_of_its_own(harness: VertexHarness) -> None:
    await harness.submit()
    assert harness.upstream.requests[-1].headers["Connection"] == "close"


async def test_the_id_at_google_is_the_operations_name(harness: VertexHarness) -> None:
    submission = await harness.submit()
    (name,) = harness.upstream.operations
    assert submission.provider_video_id == name
    assert submission.handle == {"version": 1, "api": "veo", "operation": name, "n": 1}


# Polls and what they find


async def test_a_poll_posts_the_operations_name_to_its_model(harness: VertexHarness) -> None:
    submission = await harness.submit()
    assert await harness.provider.poll(submission.handle, credential=harness.credential) == Working()
    sent = harness.upstream.requests[-1]
    assert sent.method == "POST"
    assert sent.path.endswith("/publishers/google/models/veo-3.1-generate-001:fetchPredictOperation")
    assert sent.json == {"operationName": submission.provider_video_id}


async def test_every_video_of_a_sample_is_delivered(harness: VertexHarness, inline: VertexInlineHarness) -> None:
    for each in (harness, inline):
        submission = await each.submit(each.request(n=4))
        done = await each.finish(submission.handle)
        assert isinstance(done, Done)
        assert done.missing is None
        films = [await each.fetch(submission.handle, output) for output in done.outputs]
        assert films == [vertex_veo.film(index) for index in range(4)]


async def test_a_partial_filter_delivers_the_rest_and_says_why(harness: VertexHarness) -> None:
    harness.play("partial")
    done = await harness.finish((await harness.submit(harness.request(n=2))).handle)
    assert isinstance(done, Done)
    assert len(done.outputs) == 1
    assert done.missing is not None
    assert "1 of 2 videos (violence)" in done.missing
    assert "61493863" in done.missing


async def test_fewer_videos_without_a_reason_are_told_too(harness: VertexHarness) -> None:
    harness.play("partial-silent")
    done = await harness.finish((await harness.submit(harness.request(n=3))).handle)
    assert isinstance(done, Done)
    assert done.missing == "Google delivered 2 of 3 videos and gave no reason"


async def test_all_filtered_names_the_category(harness: VertexHarness) -> None:
    harness.play("filtered")
    ended = await harness.finish((await harness.submit()).handle)
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, ContentFiltered)
    assert "(violence)" in ended.error.message
    assert ended.error.provider_error == "support codes 61493863"


async def test_a_blocked_prompt_names_the_category_at_submit(harness: VertexHarness) -> None:
    harness.play("filtered-at-submit")
    with pytest.raises(ContentFiltered, match=r"\(celebrity\)"):
        await harness.submit()


@pytest.mark.parametrize(("script", "wait_s"), [("quota-header", 7.0), ("quota-retry-info", 34.5), ("quota", None)])
async def test_quota_says_how_long_to_wait(harness: VertexHarness, script: str, wait_s: float | None) -> None:
    harness.play(script)
    with pytest.raises(ProviderQuota) as caught:
        await harness.submit()
    assert caught.value.retry_after_s == wait_s


async def test_a_missing_role_says_which(harness: VertexHarness) -> None:
    harness.play("no-role")
    with pytest.raises(ProviderAuth, match=r"'studio-1'.*Vertex AI User"):
        await harness.submit()


async def test_an_operation_that_an_operator_found_resumes_the_job(harness: VertexHarness) -> None:
    harness.play("submit-drop")
    with pytest.raises(ProviderUnavailable):
        await harness.submit()
    (name,) = harness.upstream.operations
    assert isinstance(await harness.finish(harness.provider.handle_for(name)), Done)


async def test_a_running_generation_is_polled_where_it_was_submitted(
    upstream: vertex.Vertex, client: HttpClient
) -> None:
    harness = VertexHarness(upstream, client)
    submission = await harness.submit()
    place = Place("europe-west4", base_url=upstream.base_url, token_url=upstream.token_url)
    moved = Vertex(client, place)
    await moved.poll(submission.handle, credential=harness.credential)
    assert "/locations/us-central1/" in upstream.requests[-1].path


async def test_a_handle_that_leads_elsewhere_is_not_followed(harness: VertexHarness) -> None:
    name = "projects/p/locations/evil.example/publishers/google/models/m/operations/1"
    with pytest.raises(ProviderUnavailable):
        await harness.provider.poll({"version": 1, "api": "veo", "operation": name}, credential=harness.credential)
    assert paths(harness.upstream) == ["/token"]


# Results


async def test_a_result_in_the_bucket_is_fetched_from_the_storages_origin(harness: VertexHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    assert output == {"version": 1, "uri": f"gs://studio-films/{harness.attempt_id}/12345671/sample_0.mp4"}
    await harness.fetch(handle, output)
    sent = harness.upstream.requests[-1]
    assert sent.path == f"/storage/v1/b/studio-films/o/{harness.attempt_id}/12345671/sample_0.mp4"
    assert sent.query == {"alt": "media"}
    assert sent.headers["Authorization"].startswith("Bearer ya29.")


async def test_an_inline_video_stays_out_of_the_row(inline: VertexInlineHarness) -> None:
    _, outputs = await inline.outputs("ok")
    assert outputs == ({"version": 1, "inline": 0},)


async def test_an_inline_video_that_is_gone_is_lost(inline: VertexInlineHarness) -> None:
    handle, (output,) = await inline.outputs("inline-once")
    with pytest.raises(OutputLost):
        await inline.fetch(handle, output)


async def test_large_inline_videos_take_no_memory(inline: VertexInlineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    block = bytes(192 * 1024)
    encoded = base64.b64encode(block)

    async def deliver(request: web.Request, *_: object) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"done": true, "response": {"videos": [{"bytesBase64Encoded": "')
        for _block in range(200):
            await response.write(encoded)
        await response.write(b'"}]}}')
        return response

    monkeypatch.setattr(vertex_veo, "_deliver", deliver)
    submission = await inline.submit()
    received = 0
    tracemalloc.start()
    done = await inline.finish(submission.handle)
    assert isinstance(done, Done)
    async for chunk in inline.provider.fetch(submission.handle, done.outputs[0], credential=inline.credential):
        received += len(chunk)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert received == 200 * len(block)
    assert peak_bytes < 8 * 1024 * 1024


# Tokens and accounts


async def test_the_token_is_in_its_header_and_nowhere_else(harness: VertexHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    await harness.fetch(handle, output)
    (token,) = harness.upstream.tokens
    secret = json.loads(harness.credential.secret)["private_key"].splitlines()[1]
    for sent in harness.upstream.requests:
        assert sent.headers.get("Authorization") == (None if sent.path == "/token" else f"Bearer {token}")
        assert "x-goog-api-key" not in sent.headers
        assert "key" not in sent.query
        assert token.encode() not in sent.body
        assert secret.encode() not in sent.body


async def test_one_token_serves_many_calls(harness: VertexHarness) -> None:
    await harness.outputs("ok")
    await harness.submit()
    assert paths(harness.upstream).count("/token") == 1


async def test_the_accounts_own_token_address_is_never_called(harness: VertexHarness) -> None:
    await harness.outputs("ok")
    assert harness.upstream.stranger.requests == []
    assert harness.upstream.stranger_url in harness.credential.secret


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("invalid-grant", ProviderAuth),
        ("disabled", ProviderAuth),
        ("busy", ProviderUnavailable),
        ("broken", ProviderUnavailable),
        ("page", ProviderUnavailable),
        ("forbidden-page", ProviderUnavailable),
        ("no-token", ProviderUnavailable),
        ("odd-token", ProviderUnavailable),
    ],
)
async def test_without_a_token_nothing_is_submitted(
    harness: VertexHarness, trouble: str, error: type[Exception]
) -> None:
    harness.upstream.token_trouble = vertex_scripts.TOKEN_TROUBLES[trouble]
    with pytest.raises(error) as caught:
        await harness.submit()
    if isinstance(caught.value, ProviderUnavailable):
        assert caught.value.accepted is False
    assert harness.submitted() == []
    harness.upstream.token_trouble = None
    await harness.submit()


async def test_an_account_in_trouble_does_not_end_a_paid_generation(harness: VertexHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    harness.upstream.token_trouble = vertex_scripts.TOKEN_TROUBLES["invalid-grant"]
    later = harness._at(harness.upstream.base_url)
    with pytest.raises(ProviderUnavailable):
        await later.poll(handle, credential=harness.credential)
    with pytest.raises(ProviderUnavailable):
        _ = [chunk async for chunk in later.fetch(handle, output, credential=harness.credential)]


async def test_a_withdrawn_token_is_replaced_without_failing_the_job(harness: VertexHarness) -> None:
    await harness.submit()
    harness.upstream.tokens.clear()
    with pytest.raises(ProviderUnavailable) as caught:
        await harness.submit()
    assert caught.value.accepted is False
    await harness.submit()
    assert len(harness.upstream.operations) == 2


async def test_a_withdrawn_token_is_replaced_by_the_next_poll(harness: VertexHarness) -> None:
    submission = await harness.submit()
    harness.upstream.tokens.clear()
    with pytest.raises(ProviderUnavailable):
        await harness.provider.poll(submission.handle, credential=harness.credential)
    assert await harness.provider.poll(submission.handle, credential=harness.credential) == Working()


async def test_a_wrong_private_key_is_an_auth_error(harness: VertexHarness) -> None:
    account = json.loads(harness.credential.secret)
    pem = account["private_key"].splitlines()
    for broken in ("nonsense", "", "\n".join([*pem[:3], *pem[5:]])):
        secret = json.dumps({**account, "private_key": broken})
        harness.credential = Credential("service_account", secret)
        with pytest.raises(ProviderAuth, match="private_key"):
            await harness.submit()
    assert harness.upstream.requests == []


@pytest.mark.parametrize("kind", ["api_key", "service_account"])
async def test_what_is_no_service_account_is_refused_before_any_call(harness: VertexHarness, kind: str) -> None:
    harness.credential = Credential(kind, "AIzaSyContract-0123456789_abcdefghijklm")
    with pytest.raises(ProviderAuth):
        await harness.submit()
    assert harness.upstream.requests == []


@pytest.mark.parametrize("project", ["../..", "a/b", "", "p?x=1", None, 3])
async def test_a_project_cannot_leave_its_path(harness: VertexHarness, project: object) -> None:
    account = {**json.loads(harness.credential.secret), "project_id": project}
    harness.credential = Credential("service_account", json.dumps(account))
    with pytest.raises(ProviderAuth, match="project_id"):
        await harness.submit()
    assert harness.upstream.requests == []


async def test_the_operators_project_and_bucket_are_for_the_operators_account_only(
    upstream: vertex.Vertex, client: HttpClient
) -> None:
    place = Place(
        project="films-2",
        bucket="gs://studio-films/renders/",
        base_url=upstream.base_url,
        token_url=upstream.token_url,
        storage_url=upstream.base_url,
    )
    harness = VertexHarness(upstream, client)
    harness.provider = Vertex(client, place)
    await harness.submit()
    assert "/projects/films-2/" in upstream.requests[-1].path
    assert harness.submitted()[-1]["parameters"]["storageUri"] == f"gs://studio-films/renders/{harness.attempt_id}/"
    harness.credential = replace(harness.credential, is_callers=True)
    await harness.submit()
    assert "/projects/studio-1/" in upstream.requests[-1].path
    assert "storageUri" not in harness.submitted()[-1]["parameters"]


async def test_a_caller_may_name_a_bucket_of_their_own(inline: VertexInlineHarness) -> None:
    inline.credential = replace(inline.credential, is_callers=True)
    submission = await inline.submit(inline.request(additional_params={"storageUri": "gs://my-own/"}))
    done = await inline.finish(submission.handle)
    assert isinstance(done, Done)
    assert await inline.fetch(submission.handle, done.outputs[0]) == inline.film


async def test_no_key_and_no_token_shows_anywhere(harness: VertexHarness, caplog: pytest.LogCaptureFixture) -> None:
    private_key = json.loads(harness.credential.secret)["private_key"]
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for script in ("ok", "no-role", "submit-drop", "submit-html", "invalid"):
            harness.play(script)
            try:
                submission = await harness.submit()
                shown.append(repr(submission))
            except (ProviderAuth, ProviderUnavailable, ProviderRejected) as error:
                shown.append(f"{error!r} {vars(error)!r} {error.__cause__!r}")
        harness.upstream.token_trouble = 400, {"error": "x", "error_description": private_key}, {}
        with pytest.raises(ProviderAuth) as caught:
            await harness._at(harness.upstream.base_url).submit(
                harness.model, harness.request(), attempt_id="a", credential=harness.credential,
                read_media=harness.read_media,
            )  # fmt: skip
        shown.append(str(caught.value))
    (token,) = harness.upstream.tokens
    everything_shown = caplog.text + "".join(shown)
    assert token not in everything_shown
    assert not [line for line in private_key.splitlines()[1:-1] if line in everything_shown]


# Gemini Omni on Vertex


async def test_an_omni_submit_is_exactly_this(omni: VertexOmniHarness) -> None:
    request = omni.request(media=(image(Role.INPUT_IMAGE),), aspect_ratio="16:9", resolution="720p", duration_s=6)
    await omni.submit(request)
    sent = omni.upstream.requests[-1]
    assert sent.path == "/v1beta1/projects/studio-1/locations/global/interactions"
    assert sent.json == {
        "model": "gemini-omni-1.2-flash",
        "input": [
            {"type": "image", "data": B64, "mime_type": "image/png"},
            {"type": "text", "text": "<FIRST_FRAME> a red kite over dunes"},
        ],
        "background": True,
        "response_format": {
            "type": "video",
            "delivery": "inline",
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "duration": "6s",
        },
        "generation_config": {"video_config": {"task": "image_to_video"}},
    }


async def test_omni_delivers_into_the_bucket_where_there_is_one(upstream: vertex.Vertex, client: HttpClient) -> None:
    omni = VertexOmniBucketHarness(upstream, client)
    await omni.submit()
    video = omni.submitted()[-1]["response_format"]
    assert (video["delivery"], video["gcs_uri"]) == ("uri", f"gs://studio-films/omni/{omni.attempt_id}/")


async def test_an_omni_video_that_google_does_not_mention_is_found_in_the_bucket(
    upstream: vertex.Vertex, client: HttpClient
) -> None:
    omni = VertexOmniBucketHarness(upstream, client)
    handle, outputs = await omni.outputs("unsaid")
    assert outputs == ({"version": 1, "uri": f"gs://studio-films/omni/{omni.attempt_id}/video_0.mp4"},)
    assert await omni.fetch(handle, outputs[0]) == omni.film


async def test_an_inline_omni_video_is_told_from_the_images_around_it(omni: VertexOmniHarness) -> None:
    _, outputs = await omni.outputs("ok")
    assert outputs == ({"version": 1, "inline": 1},)


async def test_omni_1_1_has_another_name_on_vertex(upstream: vertex.Vertex, client: HttpClient) -> None:
    class OlderHarness(VertexOmniHarness):
        model_id = "gemini-omni-1.1-flash"

    harness = OlderHarness(upstream, client)
    await harness.submit()
    assert harness.submitted()[-1]["model"] == "gemini-omni-1.1-flash-preview"


@pytest.mark.parametrize("identity", ["../files/x", "a/b", "a?key=1", "a#b", "%2e%2e", "ü"])
async def test_an_interactions_id_cannot_leave_its_path(omni: VertexOmniHarness, identity: str) -> None:
    ended = await omni.provider.poll(omni.provider.handle_for(identity), credential=omni.credential)
    assert isinstance(ended, Failed)
    assert omni.upstream.requests[-1].path.startswith("/v1beta1/projects/studio-1/locations/global/interactions/")
    assert omni.upstream.requests[-1].query == {}


# The fake itself


@pytest.mark.parametrize(
    ("status", "model", "change"),
    [
        (200, "veo-3.1-generate-001", {}),
        (404, "veo-3.0-generate-001", {}),
        (400, "veo-3.1-generate-001", {"parameters": {"durationSeconds": "6"}}),
        (400, "veo-3.1-generate-001", {"parameters": {"durationSeconds": 5}}),
        (400, "veo-3.1-generate-001", {"parameters": {"sampleCount": 5}}),
        (400, "veo-3.1-generate-001", {"parameters": {"seed": -1}}),
        (400, "veo-3.1-generate-001", {"parameters": {"aspectRatio": "1:1"}}),
        (400, "veo-3.1-generate-001", {"parameters": {"storageUri": "https://bucket/"}}),
        (400, "veo-3.1-lite-generate-001", {"parameters": {"resolution": "4k"}}),
        (400, "veo-3.1-generate-001", {"instances": [{"prompt": "x", "lastFrame": FILE}]}),
        (400, "veo-3.1-generate-001", {"instances": [{"prompt": "x", "image": {"uri": "http://x"}}]}),
        (400, "veo-3.1-generate-001", {"instance": []}),
    ],
)
async def test_the_fake_refuses_what_google_refuses(
    harness: VertexHarness, status: int, model: str, change: dict[str, object]
) -> None:
    body = {"instances": [{"prompt": "x"}], "parameters": {}, **change}
    refusal = vertex_veo.refusal_of(model, body)
    assert (200 if refusal is None else refusal[0]) == status


async def test_the_fake_knows_a_forged_statement(harness: VertexHarness) -> None:
    account = json.loads(harness.credential.secret)
    harness.credential = Credential("service_account", json.dumps({**account, "private_key_id": "another"}))
    with pytest.raises(ProviderAuth) as caught:
        await harness.submit()
    assert caught.value.provider_error == "invalid_grant"


def test_every_script_can_be_played() -> None:
    fake = vertex.Vertex()
    for name in vertex_scripts.ALL:
        fake.play(name)
    with pytest.raises(KeyError):
        fake.play("no-such-script")


async def test_many_calls_at_once_ask_for_one_token(harness: VertexHarness) -> None:
    harness.upstream.token_gate = asyncio.Event()
    submits = [asyncio.create_task(harness.submit()) for _ in range(20)]
    await harness.upstream.token_asked.wait()
    submits[0].cancel()
    harness.upstream.token_gate.set()
    done = await asyncio.gather(*submits, return_exceptions=True)
    assert sum(isinstance(one, BaseException) for one in done) == 1
    assert paths(harness.upstream).count("/token") == 1
