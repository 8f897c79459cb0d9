"""Hubs behind the real service: the examples of docs/guides/hub-models.md as they are, and answers without a video."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.media import image
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.fal import FakeFal
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.replicate import FakeReplicate
from tests.fixtures.upstreams.server import Recorded, Upstream

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "hub-models.md"
FAL_KEY = "operators-id:0123456789abcdef"
REPLICATE_KEY = "r8_operators0123456789abcdef"
VEO = {"model": "fal/fal-ai/veo3.1"}
SEEDANCE = {"model": "replicate/bytedance/seedance-2.0"}


def written_examples(folder: Path) -> Path:
    """The catalogue files of the page, in a folder."""
    folder.mkdir()
    for text in re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL):
        provider = re.search(r'^provider = "(\w+)"', text, re.MULTILINE)
        assert provider is not None
        (folder / f"{provider[1]}.toml").write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def fal() -> Iterator[FakeFal]:
    with beside(FakeFal(FAL_KEY)) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def replicate() -> Iterator[FakeReplicate]:
    with beside(FakeReplicate(REPLICATE_KEY)) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory, fal: FakeFal, replicate: FakeReplicate) -> Iterator[Service]:
    """A service that takes the fakes for the hubs, with the operator's catalogue of the page."""
    folder = tmp_path_factory.mktemp("hubs")
    running = Service(
        folder,
        FAL_KEY=FAL_KEY,
        RUSHES_PROVIDERS__FAL__BASE_URL=fal.base_url,
        REPLICATE_API_TOKEN=REPLICATE_KEY,
        RUSHES_PROVIDERS__REPLICATE__BASE_URL=f"{replicate.base_url}/v1",
        RUSHES_CATALOGUE_DIR=written_examples(folder / "catalogue"),
        RUSHES_POLL_INTERVAL_S=0.03,
    ).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def hub_key(hubs: Service) -> str:
    return hubs.key(test=False).text


def submits(upstream: Upstream, words: str) -> list[Recorded]:
    """The submits whose prompt ended with these words."""
    posted = [request for request in list(upstream.requests) if request.method == "POST"]
    return [request for request in posted if request.body.startswith(b"{") and prompt_of(request).endswith(words)]


def prompt_of(request: Recorded) -> str:
    body = request.json
    return str(body.get("input", body).get("prompt", ""))


async def test_a_video_of_fal_reaches_our_storage(hubs: Service, hub_key: str, fal: FakeFal) -> None:
    async with Client(hubs, hub_key) as client:
        job_id = (await client.generate(**VEO, prompt="over the dunes", duration=6, seed=0)).ok()["job_id"]
        job = await client.reached(job_id)
        assert job["status"] == "completed", job
        assert job["usage"]["cost"] == pytest.approx(6 * 0.40)
        assert (await client.get(f"/api/v1/videos/jobs/{job_id}/content")).body == tiny_mp4()
    (sent,) = submits(fal, "over the dunes")
    assert (sent.path, sent.json["duration"], sent.json["seed"]) == ("/fal-ai/veo3.1", "6s", 0)
    assert FAL_KEY not in hubs.log_text()


async def test_a_video_of_replicate_reaches_our_storage(hubs: Service, hub_key: str, replicate: FakeReplicate) -> None:
    async with Client(hubs, hub_key) as client:
        job_id = (await client.generate(**SEEDANCE, prompt="of replicate", duration=6, seed=0)).ok()["job_id"]
        job = await client.reached(job_id)
        assert job["status"] == "completed", job
        assert job["usage"]["cost"] == pytest.approx(6 * 0.18)
        assert (await client.get(f"/api/v1/videos/jobs/{job_id}/content")).body == tiny_mp4()
    (sent,) = submits(replicate, "of replicate")
    assert sent.path == "/v1/models/bytedance/seedance-2.0/predictions"
    assert (sent.json["input"]["duration"], sent.json["input"]["seed"]) == (6, 0)
    assert REPLICATE_KEY not in hubs.log_text()


async def test_the_model_of_the_page_takes_its_image_and_needs_one(
    hubs: Service, hub_key: str, replicate: FakeReplicate
) -> None:
    wan = {"model": "replicate/wan-video/wan-2.5-i2v", "prompt": "an image of the page"}
    async with Client(hubs, hub_key) as client:
        refused = (await client.generate(**wan)).problem(400)
        assert "input_image" in refused["detail"]
        picture = base64.b64encode(image()).decode()
        job = await client.reached((await client.generate(**wan, input_image=picture)).ok()["job_id"])
        assert job["status"] == "completed", job
    (sent,) = submits(replicate, "an image of the page")
    assert sent.path == "/v1/models/wan-video/wan-2.5-i2v/predictions"
    assert sent.json["input"]["image"].startswith("data:image/png;base64,")


async def test_a_result_that_replicate_has_deleted_is_lost_and_not_made_again(
    hubs: Service, hub_key: str, replicate: FakeReplicate
) -> None:
    async with Client(hubs, hub_key) as client:
        job = await client.reached((await client.generate(**SEEDANCE, prompt="#fake:download-404")).ok()["job_id"])
    assert (job["status"], job["error_code"]) == ("failed", "output_lost")
    assert len(submits(replicate, "#fake:download-404")) == 1


async def test_a_callers_own_key_is_the_one_that_is_sent(hubs: Service, hub_key: str, fal: FakeFal) -> None:
    async with Client(hubs, hub_key) as client:
        fields = {**VEO, "prompt": "with my own key", "byok_api_key": "callers-id:0123456789"}
        job = await client.reached((await client.generate(**fields)).ok()["job_id"])
    assert (job["status"], job["error_code"]) == ("failed", "provider_auth")
    (sent,) = submits(fal, "with my own key")
    assert sent.headers["Authorization"] == "Key callers-id:0123456789"


async def test_the_models_of_the_page_work_as_it_says(hubs: Service, hub_key: str, fal: FakeFal) -> None:
    async with Client(hubs, hub_key) as client:
        pixverse = {"model": "fal/fal-ai/pixverse/v6", "prompt": "a kite of the page", "duration": 4}
        ltx = {"model": "fal/fal-ai/ltx-2-19b/text-to-video", "prompt": "frames of the page", "aspect_ratio": "9:16"}
        for fields in (pixverse, ltx):
            job = await client.reached((await client.generate(**fields, generate_audio=False)).ok()["job_id"])
            assert job["status"] == "completed", job
        refused = (await client.generate(**pixverse, resolution="8k")).problem(400)
        assert "it offers '540p', '720p', '1080p'" in refused["detail"]
    (first,) = submits(fal, "a kite of the page")
    assert first.path == "/fal-ai/pixverse/v6/text-to-video"
    assert first.json == {
        "prompt": "a kite of the page", "aspect_ratio": "16:9", "resolution": "720p", "duration": 4,
        "generate_audio_switch": False,
    }  # fmt: skip
    (second,) = submits(fal, "frames of the page")
    assert second.path == "/fal-ai/ltx-2-19b/text-to-video"
    assert second.json == {
        "prompt": "frames of the page", "fps": 25, "video_size": "portrait_16_9", "num_frames": 126,
        "generate_audio": False,
    }  # fmt: skip


@pytest.mark.parametrize("hub", ["fal", "replicate"])
async def test_every_file_of_a_list_is_stored(
    hubs: Service, hub_key: str, hub: str, request: pytest.FixtureRequest
) -> None:
    model = {"fal": VEO, "replicate": SEEDANCE}[hub]
    async with Client(hubs, hub_key) as client:
        job = await client.reached((await client.generate(**model, prompt="#fake:list")).ok()["job_id"])
    assert job["status"] == "completed", job
    assert len(job["result"]["data"]) == 2
    assert len(submits(request.getfixturevalue(hub), "#fake:list")) == 1


@pytest.mark.parametrize(
    ("hub", "script", "said"),
    [
        ("fal", "image", "an object with 'images', 'seed'"),
        ("fal", "string", "text"),
        ("fal", "nothing", "an object with 'video'"),
        ("replicate", "image", "files of kind 'image'"),
        ("replicate", "object", "an object with 'frames'"),
        ("replicate", "nothing", "nothing"),
    ],
)
async def test_an_answer_that_is_no_video_fails_the_job_once_and_says_what_came(
    hubs: Service, hub_key: str, request: pytest.FixtureRequest, hub: str, script: str, said: str
) -> None:
    model = {"fal": VEO, "replicate": SEEDANCE}[hub]
    async with Client(hubs, hub_key) as client:
        job = await client.reached((await client.generate(**model, prompt=f"#fake:{script}")).ok()["job_id"])
    assert (job["status"], job["error_code"]) == ("failed", "output_invalid")
    assert f"answered {said}, but no video" in job["error"]
    assert len(submits(request.getfixturevalue(hub), f"#fake:{script}")) == 1


async def test_a_lost_answer_is_not_submitted_again_and_can_be_taken_up(
    hubs: Service, hub_key: str, fal: FakeFal
) -> None:
    async with Client(hubs, hub_key) as client:
        lost = (await client.generate(**VEO, prompt="lost #fake:submit-nameless")).ok()["job_id"]
        job = await client.reached(lost)
        assert (job["status"], job["error_code"]) == ("failed", "submission_unknown")
        found = (await client.generate(**VEO, prompt="the same")).ok()["job_id"]
        provider_id = (await client.reached(found))["provider_video_id"]
        done = hubs.run("jobs", "reconcile", lost, "--provider-id", provider_id)
        assert done.returncode == 0, done.stderr
        assert (await client.reached(lost, "completed"))["status"] == "completed"
    assert len(submits(fal, "lost #fake:submit-nameless")) == 1


@pytest.mark.parametrize("hub", ["fal", "replicate"])
async def test_an_operator_stops_what_runs_at_a_hub(
    hubs: Service, hub_key: str, request: pytest.FixtureRequest, hub: str
) -> None:
    model = {"fal": VEO, "replicate": SEEDANCE}[hub]
    async with Client(hubs, hub_key) as client:
        job_id = (await client.generate(**model, prompt="#fake:stays-queued")).ok()["job_id"]
        while (await client.job(job_id))["provider_video_id"] is None:
            pass
        done = hubs.run("jobs", "abort", job_id, "--no-wait")
        assert done.returncode == 0, done.stderr
        job = await client.reached(job_id)
    assert job["error_code"] == "aborted"
    assert f"'{hub}' has stopped it" in job["error"]
    assert len(request.getfixturevalue(hub).cancelled) == 1
