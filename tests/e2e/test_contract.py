"""The contract's routes through the real service: every field, type and word of their answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.service import QUICK, Client, Key, Service

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ENVELOPE = {
    "request_id": str, "created_at": str, "duration_ms": int | float, "provider": str, "model": str, "success": bool,
    "message": str, "byok_api_key": bool, "job_id": str, "status": str, "usage": dict, "data": dict, "warnings": list,
}  # fmt: skip
JOB = {
    "job_id", "status", "progress", "provider", "model", "prompt", "created_at", "completed_at", "result", "started_at",
    "error", "error_code", "cancelled_at", "provider_video_id", "served_model", "n", "usage", "warnings", "request",
}  # fmt: skip
VIDEO = {
    "url", "video_url", "file_size", "content_type", "duration", "width", "height", "sha256", "expires_at",
    "url_expires_at", "thumbnail_url",
}  # fmt: skip


@pytest.fixture(scope="module")
def waiting_key(held: Service) -> Key:
    """A test key of the service that starts nothing."""
    return held.key()


@pytest.fixture
async def waiting(held: Service, waiting_key: Key) -> AsyncIterator[Client]:
    """A client whose jobs are accepted and never drawn."""
    async with Client(held, waiting_key.text) as opened:
        yield opened


async def test_a_create_answers_the_envelope_of_the_contract(client: Client) -> None:
    answer = await client.generate(prompt="a harbour", **QUICK)
    envelope = answer.ok()
    for field, kind in ENVELOPE.items():
        assert isinstance(envelope[field], kind), field
    job_id = envelope["job_id"]
    status_url = f"/api/v1/videos/jobs/{job_id}"
    assert job_id.startswith("job_")
    assert answer.headers["Location"] == status_url
    assert envelope["request_id"] == answer.headers["X-Request-Id"]
    assert TIME.fullmatch(envelope["created_at"])
    assert envelope["message"] == "Video generation started"
    assert (envelope["success"], envelope["byok_api_key"], envelope["status"]) == (True, False, "pending")
    assert envelope["usage"] == {"cost": 0, "currency": "USD", "estimated": False}
    assert envelope["data"] == {
        "job_id": job_id,
        "status": "pending",
        "is_async": True,
        "provider_video_id": None,
        "status_url": status_url,
    }


async def test_the_published_example_runs_with_a_test_key(client: Client) -> None:
    """The default model, no option but the prompt: answered as Google's, drawn by the animatic at no cost."""
    prompt = "A golden retriever playing in autumn leaves"
    envelope = (await client.generate(prompt=prompt)).ok()
    assert (envelope["provider"], envelope["model"]) == ("google", "veo-3.0-generate-001")
    assert envelope["usage"]["cost"] == 0
    job = await client.reached(envelope["job_id"])
    assert (job["status"], job["progress"], job["prompt"]) == ("completed", 100, prompt)
    assert (job["provider"], job["model"]) == ("google", "veo-3.0-generate-001")
    assert job["served_model"] == "animatic/storyboard"
    assert any("animatic" in warning for warning in job["warnings"])
    assert job["usage"]["cost"] == 0
    assert job["request"]["duration"] == job["result"]["duration"] == 8
    assert (job["request"]["aspect_ratio"], job["request"]["resolution"]) == ("16:9", "720p")


async def test_a_completed_job_has_every_field_of_the_contract(client: Client) -> None:
    envelope = await client.create(
        prompt="a quay", seed=0, negative_prompt="rain", additional_params={"mood": ["calm", None, 0]}
    )
    job = await client.reached(envelope["job_id"])
    assert job.keys() >= JOB
    assert (job["job_id"], job["status"], job["progress"]) == (envelope["job_id"], "completed", 100)
    assert type(job["progress"]) is int
    assert (job["error"], job["error_code"], job["cancelled_at"]) == (None, None, None)
    for moment in ("created_at", "started_at", "completed_at"):
        assert TIME.fullmatch(job[moment]), moment
    assert job["created_at"] <= job["started_at"] <= job["completed_at"]
    assert (job["provider"], job["model"], job["served_model"], job["n"]) == (
        "animatic", "storyboard", "storyboard", 1,
    )  # fmt: skip
    assert isinstance(job["provider_video_id"], str)
    assert job["request"] == {
        "prompt": "a quay", "model": "storyboard", "provider": "animatic", "aspect_ratio": "16:9", "resolution": "360p",
        "duration": 1, "n": 1, "response_format": "url", "seed": 0, "negative_prompt": "rain", "generate_audio": False,
        "additional_params": {"mood": ["calm", None, 0]},
    }  # fmt: skip
    result = job["result"]
    assert result.keys() == VIDEO | {"data"}
    assert result["url"] == result["video_url"]
    assert result["data"] == [{name: result[name] for name in VIDEO}]
    assert (result["content_type"], result["width"], result["height"]) == ("video/mp4", 640, 360)
    assert re.fullmatch("[0-9a-f]{64}", result["sha256"])
    assert TIME.fullmatch(result["url_expires_at"])


async def test_a_job_before_its_end_has_no_result(client: Client) -> None:
    envelope = await client.create(model="animatic/stuck")
    job = await client.reached(envelope["job_id"], "in_progress")
    assert job["result"] is None
    assert job["completed_at"] is None
    assert 0 <= job["progress"] <= 95


@pytest.mark.parametrize(
    ("fields", "provider", "model"),
    [
        ({"model": "animatic/storyboard"}, "animatic", "storyboard"),
        ({"model": "storyboard", "provider": "animatic"}, "animatic", "storyboard"),
        ({"model": "animatic/storyboard", "provider": "animatic"}, "animatic", "storyboard"),
        ({"model": "storyboard"}, "animatic", "storyboard"),
        ({"model": "google/veo-3.0-generate-001", "resolution": None, "duration": None}, "google",
         "veo-3.0-generate-001"),
        ({"model": None, "provider": "google", "resolution": None, "duration": None}, "google", "veo-3.0-generate-001"),
    ],
)  # fmt: skip
async def test_a_model_is_answered_by_its_bare_id(
    waiting: Client, fields: dict[str, Any], provider: str, model: str
) -> None:
    envelope = await waiting.create(**fields)
    assert (envelope["provider"], envelope["model"]) == (provider, model)


@pytest.mark.parametrize("aspect_ratio", ["16:9", "9:16", "1:1"])
async def test_the_default_model_takes_every_published_ratio_in_test_mode(waiting: Client, aspect_ratio: str) -> None:
    envelope = (await waiting.generate(prompt="a pier", aspect_ratio=aspect_ratio, duration=4)).ok()
    assert (await waiting.job(envelope["job_id"]))["request"]["aspect_ratio"] == aspect_ratio


async def test_null_means_not_given(waiting: Client) -> None:
    fields = ("model", "provider", "aspect_ratio", "resolution", "duration", "n", "response_format", "seed",
              "negative_prompt", "generate_audio", "person_generation", "size", "additional_params")  # fmt: skip
    envelope = (await waiting.generate(prompt="nothing else", **dict.fromkeys(fields))).ok()
    assert envelope["model"] == "veo-3.0-generate-001"


async def test_a_portable_name_in_additional_params_counts_as_the_field(client: Client) -> None:
    envelope = await client.create(additional_params={"seed": 7, "mood": "calm"})
    request = (await client.job(envelope["job_id"]))["request"]
    assert request["seed"] == 7
    assert request["additional_params"] == {"mood": "calm"}


async def test_even_the_prompt_may_come_in_additional_params(client: Client) -> None:
    envelope = (await client.generate(additional_params={"prompt": "a buoy", **QUICK})).ok()
    job = await client.job(envelope["job_id"])
    assert (job["prompt"], job["model"], job["request"]["additional_params"]) == ("a buoy", "storyboard", {})


async def test_size_stands_for_ratio_and_resolution(client: Client) -> None:
    envelope = await client.create(resolution=None, size="360x640")
    job = await client.reached(envelope["job_id"])
    assert (job["request"]["aspect_ratio"], job["request"]["resolution"]) == ("9:16", "360p")
    assert (job["result"]["width"], job["result"]["height"]) == (360, 640)


@pytest.mark.parametrize(("model", "code"), [("fail", "provider_rejected"), ("filtered", "content_filtered")])
async def test_a_failed_job_says_why(client: Client, model: str, code: str) -> None:
    envelope = await client.create(model=f"animatic/{model}")
    job = await client.reached(envelope["job_id"])
    assert (job["status"], job["error_code"], job["result"]) == ("failed", code, None)
    assert model in job["error"]
    assert TIME.fullmatch(job["completed_at"])
    assert job["progress"] < 100
    assert job["cancelled_at"] is None


async def test_slow_runs_two_at_once_and_holds_up_no_other_model(client: Client) -> None:
    slow = [(await client.create(model="animatic/slow"))["job_id"] for _ in range(4)]
    for job_id in slow[:2]:
        await client.reached(job_id, "in_progress")
    quick = await client.reached((await client.create())["job_id"])
    assert quick["status"] == "completed"
    assert [(await client.job(job_id))["status"] for job_id in slow] == ["in_progress"] * 2 + ["pending"] * 2
    for job_id in slow[2:]:
        (await client.cancel(job_id)).ok()


async def test_another_accounts_job_does_not_exist(service: Service, client: Client) -> None:
    job_id = (await client.create())["job_id"]
    async with Client(service, service.key(account="stranger").text) as stranger:
        answers = [await stranger.get(f"/api/v1/videos/jobs/{job_id}"), await stranger.cancel(job_id)]
        assert (await stranger.jobs())["total"] == 0
    for answer in answers:
        problem = answer.problem(404)
        assert problem["code"] == "job_not_found"
        assert "model" not in problem["detail"].lower()
        assert "provider" not in problem["detail"].lower()


async def test_another_key_of_the_account_sees_the_same_jobs(service: Service, client: Client) -> None:
    job_id = (await client.create())["job_id"]
    async with Client(service, service.key().text) as colleague:
        assert (await colleague.job(job_id))["job_id"] == job_id


async def test_a_live_key_without_credentials_says_what_to_set(service: Service) -> None:
    async with Client(service, service.key(account="live", test=False).text) as live:
        problem = (await live.generate(prompt="a whale")).problem(503)
        assert problem["code"] == "no_credentials"
        for word in ("model", "RUSHES_PROVIDERS__GOOGLE__API_KEY", "byok_api_key"):
            assert word in problem["detail"]
        assert (await live.jobs())["total"] == 0


async def test_a_live_key_draws_animatics_without_a_test_warning(service: Service) -> None:
    async with Client(service, service.key(account="live", test=False).text) as live:
        envelope = await live.create()
        assert envelope["warnings"] == []
        assert (await live.reached(envelope["job_id"]))["status"] == "completed"


async def test_the_root_names_the_service_without_a_key(client: Client) -> None:
    content = (await client.get("/", plain=True)).ok()
    assert content.keys() >= {"name", "version", "docs"}
    assert content["name"] == "rushes"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_answered_without_a_key(client: Client, path: str) -> None:
    (await client.get(path, plain=True)).ok()


async def test_the_openapi_document_lists_the_routes_and_the_docs_page_opens(client: Client) -> None:
    paths = (await client.get("/openapi.json", plain=True)).ok()["paths"]
    assert paths.keys() >= {
        "/api/v1/videos/generations",
        "/api/v1/videos/jobs",
        "/api/v1/videos/jobs/{job_id}",
        "/api/v1/videos/jobs/{job_id}/cancel",
    }
    docs = await client.get("/docs", plain=True)
    assert docs.status == 200
    for link in re.findall(rb'(?:src|href)="([^"]+)"', docs.body):
        assert not link.startswith(b"http"), "the page must work where nothing else can be reached"
        assert (await client.get(link.decode(), plain=True)).status == 200


async def test_every_request_has_its_own_id(client: Client) -> None:
    ids = {(await client.get("/healthz")).headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5
