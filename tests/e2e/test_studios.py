"""Runway, Luma and OpenRouter behind the real service: videos stored, a task stopped, a caller's key used once."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.fixtures.media import image
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.luma import FakeLuma
from tests.fixtures.upstreams.openrouter import FakeOpenrouter
from tests.fixtures.upstreams.runway import FakeRunway

RUNWAY_KEY = f"key_{'0123456789abcdef' * 8}"
LUMA_KEY = "luma-api-0123456789abcdef"
OPENROUTER_KEY = "sk-or-v1-0123456789abcdef"


@pytest.fixture(scope="module")
def runway() -> Iterator[FakeRunway]:
    with beside(FakeRunway(RUNWAY_KEY)) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def luma() -> Iterator[FakeLuma]:
    with beside(FakeLuma(LUMA_KEY)) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def openrouter() -> Iterator[FakeOpenrouter]:
    with beside(FakeOpenrouter(OPENROUTER_KEY)) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def studios(
    tmp_path_factory: pytest.TempPathFactory, runway: FakeRunway, luma: FakeLuma, openrouter: FakeOpenrouter
) -> Iterator[Service]:
    """A service that takes the fakes for the providers; of Luma it has no key."""
    running = Service(
        tmp_path_factory.mktemp("studios"),
        RUNWAYML_API_SECRET=RUNWAY_KEY,
        RUSHES_PROVIDERS__RUNWAY__BASE_URL=runway.base_url,
        RUSHES_PROVIDERS__LUMA__BASE_URL=f"{luma.base_url}/v1",
        OPENROUTER_API_KEY=OPENROUTER_KEY,
        RUSHES_PROVIDERS__OPENROUTER__BASE_URL=f"{openrouter.base_url}/api/v1",
        RUSHES_POLL_INTERVAL_S=0.03,
    ).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def live_key(studios: Service) -> str:
    return studios.key(test=False).text


async def test_a_frame_becomes_a_video_of_runway_in_our_storage(
    studios: Service, live_key: str, runway: FakeRunway
) -> None:
    picture = base64.b64encode(image()).decode()
    async with Client(studios, live_key) as client:
        wanted = {"model": "runway/gen4_turbo", "prompt": "a kite", "aspect_ratio": "1:1", "seed": 0}
        assert "input_image" in (await client.generate(**wanted)).problem(400)["detail"]
        job_id = (await client.generate(**wanted, input_image=picture)).ok()["job_id"]
        job = await client.reached(job_id)
        assert job["status"] == "completed", job
        assert job["usage"]["cost"] == pytest.approx(5 * 0.05)
        assert (await client.get(f"/api/v1/videos/jobs/{job_id}/content")).body == tiny_mp4()
    (sent,) = [one for one in runway.requests if one.path == "/v1/image_to_video"]
    assert (sent.json["ratio"], sent.json["seed"]) == ("960:960", 0)
    assert RUNWAY_KEY not in studios.log_text()


async def test_a_running_task_of_runway_is_stopped_there(studios: Service, live_key: str, runway: FakeRunway) -> None:
    async with Client(studios, live_key) as client:
        job_id = (await client.generate(model="runway/gen4.5", prompt="#fake:unending")).ok()["job_id"]
        while (await client.job(job_id))["provider_video_id"] is None:
            pass
        done = studios.run("jobs", "abort", job_id, "--no-wait")
        assert done.returncode == 0, done.stderr
        job = await client.reached(job_id)
    assert (job["status"], job["error_code"]) == ("failed", "aborted")
    assert job["provider_video_id"] in runway.deleted


async def test_a_callers_key_of_luma_serves_one_job(studios: Service, live_key: str, luma: FakeLuma) -> None:
    async with Client(studios, live_key) as client:
        wanted = {"model": "luma/ray-3.2", "prompt": "a kite", "duration": 10}
        assert (await client.generate(**wanted)).status == 503
        job = await client.reached((await client.generate(**wanted, byok_api_key=LUMA_KEY)).ok()["job_id"])
    assert (job["status"], job["usage"]["cost"]) == ("completed", 0), job
    (sent,) = [one for one in luma.requests if one.method == "POST"]
    assert (sent.json["type"], sent.json["video"]["duration"]) == ("video", "10s")
    assert LUMA_KEY not in studios.log_text()


async def test_a_video_of_openrouter_reaches_our_storage_and_its_list_is_read(
    studios: Service, live_key: str, openrouter: FakeOpenrouter
) -> None:
    async with Client(studios, live_key) as client:
        wanted = {"provider": "openrouter", "model": "google/veo-3.1", "prompt": "a kite", "generate_audio": False}
        job = await client.reached((await client.generate(**wanted)).ok()["job_id"])
    assert job["status"] == "completed", job
    assert job["usage"]["cost"] == pytest.approx(8 * 0.20)
    assert "model_list_differs" in studios.log_text()
    done = studios.run("models", "check", "--json")
    assert '"alibaba/wan-2.6"' in done.stdout
    assert openrouter.stranger.leaks == []
