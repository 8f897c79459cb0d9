"""A ComfyUI server end to end: the folder examples/comfyui, beside a fake server."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import Start
from tests.fixtures.media import image
from tests.fixtures.service import Client, Service, until
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.comfyui import Comfyui
from tests.fixtures.upstreams.film import tiny_mp4

EXAMPLES = Path(__file__).parents[2] / "examples" / "comfyui"
USUAL = "http://127.0.0.1:8188"


def place(folder: Path, url: str) -> None:
    """Copy the examples to where the service starts, as a reader of the page would."""
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    _, _, wan = (folder / "wan2.2.toml").read_text("utf-8").partition(USUAL + '"\n')
    config = folder / "rushes.toml"
    config.write_text(config.read_text("utf-8").replace(USUAL, url) + wan, "utf-8")


@pytest.fixture(scope="module")
def comfy() -> Iterator[Comfyui]:
    with beside(Comfyui()) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, comfy: Comfyui) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("comfy"), RUSHES_POLL_INTERVAL_S=0.05)
    place(service.folder, comfy.base_url)
    service.start()
    yield service
    service.finish()


@pytest.fixture(scope="module")
def live_key(service: Service) -> str:
    return service.key(test=False).text


@pytest.fixture
async def client(service: Service, live_key: str) -> AsyncIterator[Client]:
    async with Client(service, live_key) as opened:
        yield opened


async def fetched(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.read()


async def test_a_picture_becomes_a_video_that_we_keep(client: Client, comfy: Comfyui) -> None:
    picture = image()
    answer = await client.generate(
        model="comfy/still", prompt="a kite", duration=2, input_image=base64.b64encode(picture).decode()
    )
    job = await client.reached(answer.ok()["job_id"])
    assert job["status"] == "completed", job
    assert (job["provider"], job["usage"]["cost"]) == ("comfy", 0)
    assert await fetched(job["result"]["url"]) == tiny_mp4()
    prompt = comfy.prompts()[-1]["prompt"]
    assert prompt["4"]["inputs"]["amount"] == 48
    assert (prompt["3"]["inputs"]["width"], prompt["3"]["inputs"]["height"]) == (640, 360)
    assert prompt["2"]["inputs"]["image"] == f"{comfy.uploads[-1].path} [temp]"
    assert comfy.uploads[-1].content == picture


async def test_progress_is_real_and_an_operator_stops_a_running_job(
    client: Client, service: Service, comfy: Comfyui
) -> None:
    job_id = (await client.generate(model="comfy/wan2.2-t2v", prompt="#fake:forever", seed=0)).ok()["job_id"]
    while (job := await client.job(job_id))["progress"] != 50:
        assert job["status"] in ("pending", "in_progress"), job
    done = service.run("jobs", "abort", job_id, "--no-wait")
    assert done.returncode == 0, done.stderr
    job = await client.reached(job_id)
    assert job["error_code"] == "aborted"
    assert "it costs nothing" in job["error"]
    assert comfy.jobs[job["provider_video_id"]].cancelled


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"model": "comfy/still"}, "input_image is missing; 'still' makes no video without it"),
        ({"model": "comfy/color", "seed": 1}, "seed 1 is not offered by 'color'; it takes no seed"),
        ({"model": "comfy/color", "duration": 3}, "duration 3 is not offered by 'color'; it offers 1, 2, 4"),
        ({"model": "comfy/color", "input_image": "x"}, "input_image"),
        (
            {"model": "comfy/wan2.2-t2v", "additional_params": {"shift": 3}},
            "additional_params 'shift' is not offered by 'wan2.2-t2v'; it offers 'steps', 'cfg'",
        ),
    ],
)
async def test_what_is_not_bound_is_refused_at_once_with_its_field(
    client: Client, comfy: Comfyui, fields: dict[str, object], detail: str
) -> None:
    before = len(comfy.prompts())
    assert detail in (await client.generate(prompt="a kite", **fields)).problem(400, 422)["detail"]
    assert len(comfy.prompts()) == before


async def test_a_lost_answer_runs_once_and_a_restarted_server_ends_its_job(client: Client, comfy: Comfyui) -> None:
    before = len(comfy.runs)
    for script in ("submit-drop-queued", "submit-500-queued", "submit-drop-late"):
        job_id = (await client.generate(model="comfy/color", prompt=f"#fake:{script}")).ok()["job_id"]
        assert (await client.reached(job_id))["status"] == "completed", script
    assert len(comfy.runs) == before + 3
    job_id = (await client.generate(model="comfy/color", prompt="#fake:restart")).ok()["job_id"]
    job = await client.reached(job_id)
    assert job["error_code"] == "provider_rejected"
    assert "restarted" in job["error"]
    assert len(comfy.runs) == before + 4


async def test_a_service_starts_without_its_server_and_says_so(start: Start) -> None:
    with beside(Comfyui()) as upstream:
        del upstream.nodes["StringLength"]
        port = int(upstream.base_url.rpartition(":")[2])
    service = start(running=False)
    place(service.folder, upstream.base_url)
    service.start()
    async with Client(service, None) as client:
        (trouble,) = (await client.get("/readyz")).ok()["servers"]
        assert trouble["provider"] == "comfy"
        assert "are not checked yet: 'comfy' cannot be reached" in trouble["trouble"]
        checked = service.run("models", "check")
        assert "comfy: its models cannot be checked" in checked.stdout + checked.stderr
        with beside(upstream, port=port):
            await until(lambda: "models_do_not_fit" in service.log_text())
            (trouble,) = (await client.get("/readyz")).ok()["servers"]
            assert "node '2' ('Length of the prompt', StringLength) is not known to the server" in trouble["trouble"]
            checked = service.run("models", "check")
            assert checked.returncode == 1
            assert "StringLength) is not known to the server" in checked.stdout + checked.stderr


async def test_a_start_beside_a_server_that_cannot_run_a_workflow_is_refused(start: Start, comfy: Comfyui) -> None:
    service = start(running=False)
    place(service.folder, comfy.base_url)
    config = service.folder / "rushes.toml"
    config.write_text(config.read_text("utf-8").replace('"color.api.json"', '"other.api.json"'), "utf-8")
    refused = service.run("serve", "--port", "0")
    assert refused.returncode != 0
    assert "model 'color', field 'workflow': 'other.api.json' cannot be read" in refused.stderr
    workflow = (service.folder / "color.api.json").read_text("utf-8")
    (service.folder / "other.api.json").write_text(workflow.replace("StringLength", "StringWidth"), "utf-8")
    refused = service.run("serve", "--port", "0")
    assert refused.returncode != 0
    assert "[providers.comfy]: model 'color': node '2'" in refused.stderr
    assert "Traceback" not in refused.stderr
