"""Bedrock behind the real service: a video from AWS to our storage, paid for once whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.contract.test_bedrock import KEYS
from tests.e2e.conftest import Start
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.bedrock import SIGNATURE, Bedrock
from tests.fixtures.upstreams.film import tiny_mp4

RAY = {"model": "bedrock/luma.ray-v2:0", "prompt": "a red kite over dunes"}


@pytest.fixture
async def upstream() -> AsyncIterator[Bedrock]:
    async with Bedrock() as upstream:
        yield upstream


def settings(upstream: Bedrock, **more: str) -> dict[str, str]:
    return {
        "RUSHES_PROVIDERS__BEDROCK__BASE_URL": upstream.base_url,
        "RUSHES_PROVIDERS__BEDROCK__STORAGE_URL": upstream.base_url,
        **more,
    }


def client_of(service: Service) -> Client:
    return Client(service, service.key(test=False).text)


async def test_awss_usual_variables_and_a_bucket_are_enough(start: Start, upstream: Bedrock) -> None:
    service = start(
        **settings(
            upstream,
            AWS_ACCESS_KEY_ID=KEYS["access_key_id"],
            AWS_SECRET_ACCESS_KEY=KEYS["secret_access_key"],
            AWS_REGION="us-west-2",
            RUSHES_PROVIDERS__BEDROCK__BUCKET="films-of-ours",
        )
    )
    async with client_of(service) as client:
        envelope = (await client.generate(**RAY, duration=9, aspect_ratio="21:9")).ok()
        await client.reached(envelope["job_id"], "completed")
        content = await client.get(f"/api/v1/videos/jobs/{envelope['job_id']}/content")
        assert content.body == tiny_mp4()
    (submit,) = [item.json for item in upstream.requests if item.path == "/async-invoke"]
    assert submit["modelInput"] == {
        "prompt": RAY["prompt"],
        "aspect_ratio": "21:9",
        "duration": "9s",
        "resolution": "720p",
    }
    assert KEYS["secret_access_key"] not in service.log_text()


async def test_a_lost_answer_is_asked_for_again_and_paid_for_once(start: Start, upstream: Bedrock) -> None:
    service = start(**settings(upstream, RUSHES_PROVIDERS__BEDROCK__API_KEY=json.dumps(KEYS)))
    async with client_of(service) as client:
        upstream.play("submit-drop")
        envelope = (await client.generate(**RAY)).ok()
        await client.reached(envelope["job_id"], "completed")
    submits = [item for item in upstream.requests if item.path == "/async-invoke"]
    assert len(submits) == 2
    assert len(upstream.invocations) == 1


async def test_a_crash_while_it_is_submitted_does_not_pay_twice(start: Start, upstream: Bedrock) -> None:
    service = start(**settings(upstream, RUSHES_PROVIDERS__BEDROCK__API_KEY=json.dumps(KEYS)))
    async with client_of(service) as client:
        upstream.play("submit-hang")
        envelope = (await client.generate(**RAY)).ok()
        await upstream.accepted()
        service.kill()
        service.start()
        await client.reached(envelope["job_id"], "completed")
    assert len(upstream.invocations) == 1


async def test_a_call_that_hangs_does_not_keep_the_service_from_stopping(start: Start, upstream: Bedrock) -> None:
    service = start(**settings(upstream, RUSHES_PROVIDERS__BEDROCK__API_KEY=json.dumps(KEYS)))
    async with client_of(service) as client:
        upstream.play("poll-hang")
        (await client.generate(**RAY)).ok()
        await upstream.polled()
    assert service.stop() == 0


async def test_a_callers_own_keys_sign_and_its_bucket_takes_the_result(start: Start, upstream: Bedrock) -> None:
    service = start(**settings(upstream, RUSHES_PROVIDERS__BEDROCK__API_KEY=json.dumps(KEYS)))
    own = {**KEYS, "access_key_id": "AKIACALLERSCALLERS00", "bucket": "the-callers"}
    del own["session_token"]
    async with client_of(service) as client:
        envelope = (await client.generate(**RAY, byok_api_key=json.dumps(own))).ok()
        await client.reached(envelope["job_id"], "completed")
    for sent in upstream.requests:
        signed = SIGNATURE.fullmatch(sent.headers["Authorization"])
        assert signed is not None
        assert signed["key"] == own["access_key_id"]
        assert "X-Amz-Security-Token" not in sent.headers
    assert upstream.requests[-1].path.startswith("/the-callers/")


async def test_keys_that_could_reach_into_our_machine_are_refused(start: Start, upstream: Bedrock) -> None:
    service = start(**settings(upstream))
    async with client_of(service) as client:
        own = json.dumps({**KEYS, "credential_process": "id"})
        problem = (await client.generate(**RAY, byok_api_key=own)).problem(422)
        assert problem["errors"][0]["field"] == "byok_api_key"
        assert KEYS["secret_access_key"] not in json.dumps(problem)
    assert upstream.requests == []


async def test_a_retired_model_without_successor_is_refused(start: Start, upstream: Bedrock) -> None:
    service = start(**settings(upstream, RUSHES_PROVIDERS__BEDROCK__API_KEY=json.dumps(KEYS)))
    async with client_of(service) as client:
        problem = (await client.generate(model="bedrock/amazon.nova-reel-v1:1", prompt="x")).problem(400, 410)
        assert problem["code"] == "model_retired"
    assert upstream.requests == []
