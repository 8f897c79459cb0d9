"""What the Bedrock adapter puts on the wire, and what it makes of the answers: over sockets, against the fake."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from rushes.domain.progress import Done, Submission, Working
from rushes.domain.request import Role, VideoRequest
from rushes.errors import (
    ContentFiltered,
    OutputInvalid,
    OutputLost,
    ProviderAuth,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
)
from rushes.providers.base import Credential
from rushes.providers.bedrock import calls
from rushes.providers.bedrock.account import account_of
from tests.contract.provider_suite import MEDIA_BYTES, image
from tests.contract.test_bedrock import KEYS, BedrockHarness
from tests.fixtures.upstreams import bedrock


@pytest.fixture
async def harness() -> AsyncIterator[BedrockHarness]:
    async with bedrock.Bedrock() as upstream:
        harness = BedrockHarness(upstream)
        yield harness
        await harness.provider.close()


async def submit(harness: BedrockHarness, request: VideoRequest | None = None) -> Submission:
    """Submit under one attempt id, as a worker does again after a lost answer."""
    return await harness.provider.submit(
        harness.model,
        request or harness.request(),
        attempt_id="att_once",
        credential=harness.credential,
        read_media=harness.read_media,
    )


async def test_a_submit_from_two_frames_is_exactly_this(harness: BedrockHarness) -> None:
    await submit(
        harness,
        harness.request(
            media=(replace(image(Role.LAST_FRAME), content_type="image/jpeg"), image(Role.INPUT_IMAGE)),
            aspect_ratio="16:9",
            resolution="720p",
            duration_s=5,
            generate_audio=False,
            additional_params={"loop": True},
        ),
    )
    (sent,) = harness.upstream.requests
    data = base64.b64encode(MEDIA_BYTES).decode()
    assert (sent.method, sent.path, sent.query) == ("POST", "/async-invoke", {})
    assert sent.json == {
        "clientRequestToken": "att_once",
        "modelId": "luma.ray-v2:0",
        "modelInput": {
            "prompt": "a red kite over dunes",
            "aspect_ratio": "16:9",
            "duration": "5s",
            "resolution": "720p",
            "keyframes": {
                "frame0": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
                "frame1": {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": data}},
            },
            "loop": True,
        },
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://films-of-ours/rushes"}},
    }


async def test_every_call_is_signed_for_its_service_and_carries_the_session_token(harness: BedrockHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    await harness.fetch(handle, output)
    services = []
    for sent in harness.upstream.requests:
        signed = bedrock.SIGNATURE.fullmatch(sent.headers["Authorization"])
        assert signed is not None
        assert (signed["key"], signed["region"]) == (KEYS["access_key_id"], "us-west-2")
        assert sent.headers["X-Amz-Security-Token"] == KEYS["session_token"]
        assert KEYS["secret_access_key"] not in f"{sent}"
        services.append(signed["service"])
    assert services == ["bedrock"] * 4 + ["s3"]


async def test_the_invocation_is_one_segment_of_the_path(harness: BedrockHarness) -> None:
    submission = await submit(harness)
    assert submission.provider_video_id == "arn:aws:bedrock:us-west-2:123456789012:async-invoke/fake00000000"
    assert submission.handle == {"version": 1, "arn": submission.provider_video_id}
    assert harness.provider.handle_for(submission.provider_video_id) == submission.handle
    # The fake finds it only where its slash is encoded.
    assert isinstance(await harness.provider.poll(submission.handle, credential=harness.credential), Working)


async def test_the_result_is_read_from_the_folder_that_the_reply_names(harness: BedrockHarness) -> None:
    handle, (output,) = await harness.outputs("ok")
    assert output == {"version": 1, "uri": "s3://films-of-ours/rushes/fake00000000/output.mp4"}
    await harness.fetch(handle, output)
    assert harness.upstream.requests[-1].path == "/films-of-ours/rushes/fake00000000/output.mp4"


@pytest.mark.parametrize("script", ["submit-drop", "submit-hang", "submit-bad-json", "submit-no-arn"])
async def test_a_lost_answer_is_had_by_submitting_again(harness: BedrockHarness, script: str) -> None:
    harness.play(script)
    with pytest.raises(ProviderUnavailable):
        await submit(harness)
    found = await submit(harness)
    assert [found.provider_video_id] == list(harness.upstream.invocations)
    first, second = harness.submitted()
    assert first == second


async def test_images_do_not_change_what_a_repeated_submit_says(harness: BedrockHarness) -> None:
    request = harness.request(media=(image(Role.INPUT_IMAGE), image(Role.LAST_FRAME)))
    assert await submit(harness, request) == await submit(harness, request)
    assert len(harness.upstream.invocations) == 1


async def test_a_token_with_another_body_is_refused_for_good(harness: BedrockHarness) -> None:
    await submit(harness)
    with pytest.raises(ProviderRejected) as caught:
        await submit(harness, harness.request(prompt="something else"))
    assert caught.value.provider_error == "ConflictException"
    assert "may go on with and charge" in caught.value.message


@pytest.mark.parametrize(
    ("script", "error", "code"),
    [
        ("bad-key", ProviderAuth, "UnrecognizedClientException"),
        ("expired-token", ProviderAuth, "ExpiredTokenException"),
        ("no-access", ProviderAuth, "AccessDeniedException"),
        ("throttled", ProviderQuota, "ThrottlingException"),
        ("jobs-quota", ProviderQuota, "ServiceQuotaExceededException"),
        ("filtered-at-submit", ContentFiltered, "ValidationException"),
        ("unknown-model", ProviderRejected, "ValidationException"),
        ("retired-model", ProviderRejected, "ResourceNotFoundException"),
        ("submit-503", ProviderUnavailable, "ServiceUnavailableException"),
    ],
)
async def test_the_name_of_an_error_decides(
    harness: BedrockHarness, script: str, error: type[Exception], code: str
) -> None:
    harness.play(script)
    with pytest.raises(error) as caught:
        await submit(harness)
    assert getattr(caught.value, "provider_error", None) == code
    assert "123456789012" not in str(caught.value)


async def test_a_throttled_submit_says_how_long_to_wait(harness: BedrockHarness) -> None:
    harness.play("throttled-wait")
    with pytest.raises(ProviderQuota) as caught:
        await submit(harness)
    assert caught.value.retry_after_s == 7


async def test_a_result_beyond_the_limit_is_not_read(harness: BedrockHarness) -> None:
    handle, (output,) = await harness.outputs("download-oversize")
    with pytest.raises(OutputInvalid):
        await harness.fetch(handle, output)


async def test_a_removed_result_is_lost_and_a_forbidden_one_is_not(harness: BedrockHarness) -> None:
    handle, (output,) = await harness.outputs("download-404")
    with pytest.raises(OutputLost):
        await harness.fetch(handle, output)
    handle, (output,) = await harness.outputs("download-403")
    with pytest.raises(ProviderUnavailable, match="s3:GetObject"):
        await harness.fetch(handle, output)


async def test_a_download_that_is_given_up_gives_its_thread_back(harness: BedrockHarness) -> None:
    handle, (output,) = await harness.outputs("download-endless")
    for _ in range(calls.THREADS + 1):
        source = harness.provider.fetch(handle, output, credential=harness.credential)
        assert await anext(source)
        await source.aclose()
    assert isinstance(await harness.provider.poll(handle, credential=harness.credential), Done)


async def test_calls_do_not_wait_for_one_that_hangs(harness: BedrockHarness) -> None:
    harness.play("poll-hang")
    stuck = await harness.submit()
    well = await harness.submit()
    hanging = asyncio.create_task(harness.provider.poll(stuck.handle, credential=harness.credential))
    await harness.provider.poll(well.handle, credential=harness.credential)
    assert not hanging.done()
    with pytest.raises(ProviderUnavailable):
        await hanging


async def test_the_machines_own_aws_settings_do_not_meddle(
    harness: BedrockHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = touch {ran}\nendpoint_url = http://127.0.0.1:1\n")
    meddling = {
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "nobody",
        "AWS_BEARER_TOKEN_BEDROCK": "somebody-elses-token",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_REGION": "eu-central-1",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    for name, value in meddling.items():
        monkeypatch.setenv(name, value)
    handle, (output,) = await harness.outputs("ok")
    assert await harness.fetch(handle, output) == harness.film
    assert not ran.exists()


async def test_a_client_is_made_once_for_an_account_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_CLIENTS", 2)
    made = calls.AwsCalls("http://127.0.0.1:1")
    accounts = [account_of(Credential("aws", json.dumps({**KEYS, "bucket": f"bucket-{n}"}))) for n in range(3)]
    first = made._line(accounts[0], calls.BEDROCK)
    assert made._line(accounts[0], calls.BEDROCK) is first
    for account in accounts[1:]:
        made._line(account, calls.BEDROCK)
    assert len(made._lines) == 2
    assert made._line(accounts[0], calls.BEDROCK) is not first
    made.close()


def test_boto3_is_loaded_by_the_first_call_only() -> None:
    code = "import sys, rushes.providers.registry; print(any(m in sys.modules for m in ('boto3', 'botocore')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


@pytest.mark.parametrize(
    ("model_input", "status"),
    [
        ({}, 200),
        ({"duration": "9s"}, 200),
        ({"duration": 5}, 400),
        ({"duration": "6s"}, 400),
        ({"resolution": "1080p"}, 400),
        ({"seed": 1}, 400),
        ({"keyframes": {"frame2": {}}}, 400),
    ],
)
async def test_the_fake_refuses_what_aws_refuses(
    harness: BedrockHarness, model_input: dict[str, object], status: int
) -> None:
    scope = "AKIA/20261122/us-west-2/bedrock/aws4_request"
    signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
    body = {
        "clientRequestToken": "token",
        "modelId": "luma.ray-v2:0",
        "modelInput": {"prompt": "x", **model_input},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket"}},
    }
    url = f"{harness.upstream.base_url}/async-invoke"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=body) as unsigned:
            assert unsigned.status == 403
        headers = {"Authorization": signature, "X-Amz-Date": "20261122T100000Z"}
        async with session.post(url, headers=headers, json=body) as response:
            assert response.status == status
            assert status == 200 or response.headers["x-amzn-ErrorType"].startswith("ValidationException")
