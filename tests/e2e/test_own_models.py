"""People's own model servers, end to end: docs/guides/own-models.md is executed as it is written, against fakes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import rushes
from tests.e2e.conftest import Start
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.openai_shape import OpenaiShape

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "own-models.md"
BIN = Path(sys.executable).parent
LISTENING = re.compile(r"listening .*url=(http://127\.0\.0\.1:\d+)")
WAN = "Wan-AI/Wan2.2-T2V-A14B-Diffusers"
FARM_KEY = "sk-render-farm-0123456789"


def blocks(language: str) -> list[str]:
    """The page's code blocks in this language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{BIN}:{os.defpath}",
        "HOME": str(folder),
        "PYTHONPATH": str(Path(rushes.__file__).parents[1]),
        "RUSHES_POLL_INTERVAL_S": "0.05",
    }


@asynccontextmanager
async def serving(folder: Path, config: str) -> AsyncIterator[str]:
    """`rushes serve` beside a rushes.toml; its URL."""
    (folder / "rushes.toml").write_text(config, "utf-8")
    process = await asyncio.create_subprocess_exec(
        BIN / "rushes", "serve", "--port", "0", cwd=folder, env=environment(folder),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    log = ""
    while (found := LISTENING.search(log)) is None:
        line = await process.stderr.readline()
        assert line, log
        log += line.decode()
    # Read on, so that the pipe never fills.
    rest = asyncio.create_task(process.stderr.read())
    try:
        yield found[1]
    finally:
        process.terminate()
        await process.wait()
        log += (await rest).decode()
        (folder / "serve.log").write_text(log, "utf-8")
        assert "Traceback" not in log, log
        assert FARM_KEY not in log


async def shell(folder: Path, script: str) -> str:
    """What a script prints, run as a reader of the page would."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, cwd=folder, env=environment(folder), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return printed.decode()


class Caller:
    """Somebody with a live key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(headers=self._headers) as session,
            session.request(method, self._url + path, json=body) as response,
        ):
            return response.status, await response.json()

    async def video(self, **body: Any) -> dict[str, Any]:
        """Create a video and wait for its job to end."""
        status, answer = await self.call("POST", "/api/v1/videos/generations", {"prompt": "a red kite", **body})
        assert status == 200, answer
        return await self.ended(answer["job_id"])

    async def ended(self, job_id: str) -> dict[str, Any]:
        give_up = time.monotonic() + GENEROUS_S
        while True:
            _, job = await self.call("GET", f"/api/v1/videos/jobs/{job_id}")
            if job["status"] in ("completed", "failed"):
                assert isinstance(job, dict)
                return job
            assert time.monotonic() < give_up, job
            await asyncio.sleep(0.05)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(GENEROUS_S):
        while not happened():  # noqa: ASYNC110 - what happens is another process's doing
            await asyncio.sleep(0.02)


async def fetched(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.read()


@pytest.fixture
async def gpu() -> AsyncIterator[OpenaiShape]:
    async with OpenaiShape("vllm-omni", models=(WAN,)) as upstream:
        yield upstream


@pytest.fixture
async def farm() -> AsyncIterator[OpenaiShape]:
    async with OpenaiShape("sglang", FARM_KEY, models=("ltx-2",)) as upstream:
        yield upstream


def placed(text: str, gpu: OpenaiShape, farm: OpenaiShape | None = None) -> str:
    """A block of the page with its addresses replaced by those of the fakes."""
    text = text.replace("http://127.0.0.1:8000", gpu.base_url)
    return text if farm is None else text.replace("https://render.example.com", farm.base_url)


async def test_the_five_lines_and_the_commands_of_the_page_make_a_video(tmp_path: Path, gpu: OpenaiShape) -> None:
    config, commands = blocks("toml")[0], blocks("bash")[0]
    async with serving(tmp_path, placed(config, gpu)) as url:
        # It is told of its server's models after it listens.
        await until(lambda: any(sent.path == "/v1/models" for sent in gpu.requests))
        script = commands.replace("http://127.0.0.1:8080", url) + "\necho; echo $RUSHES_KEY"
        answer, key = (await shell(tmp_path, script)).strip().splitlines()
        created = json.loads(answer)
        assert created["success"] is True, created
        job = await Caller(url, key).ended(created["job_id"])
        assert job["status"] == "completed", job
        assert await fetched(job["result"]["url"]) == tiny_mp4()
    assert gpu.forms() == [{"prompt": "A red kite over dunes", "model": WAN, "seconds": "4", "size": "1280x720"}]


@pytest.fixture
async def both(start: Start, gpu: OpenaiShape, farm: OpenaiShape) -> AsyncIterator[Caller]:
    """The page's two servers, and a live key."""
    service = start(running=False)
    (service.folder / "rushes.toml").write_text(placed(blocks("toml")[1], gpu, farm), "utf-8")
    await asyncio.to_thread(service.start)
    yield Caller(service.url, (await asyncio.to_thread(service.key, test=False)).text)
    await asyncio.to_thread(service.stop)
    assert FARM_KEY not in service.log_text()


async def test_two_servers_side_by_side_make_videos_that_we_keep(
    both: Caller, gpu: OpenaiShape, farm: OpenaiShape
) -> None:
    jobs = await asyncio.gather(
        both.video(model=f"my-gpu/{WAN}", resolution="480p", aspect_ratio="16:9"),
        both.video(model="render-farm/ltx-2", n=3, seed=0),
    )
    assert [job["status"] for job in jobs] == ["completed", "completed"], jobs
    assert [job["provider"] for job in jobs] == ["my-gpu", "render-farm"]
    assert [job["usage"]["cost"] for job in jobs] == [0, 0]
    digest = hashlib.sha256(tiny_mp4()).hexdigest()
    for job, count in zip(jobs, (1, 3), strict=True):
        assert len(job["result"]["data"]) == count
        for video in job["result"]["data"]:
            assert video["sha256"] == digest
            assert gpu.base_url not in video["url"]
            assert farm.base_url not in video["url"]
            assert await fetched(video["url"]) == tiny_mp4()
    assert gpu.forms()[0]["size"] == "832x480"
    (form,) = farm.forms()
    assert (form["num_outputs_per_prompt"], form["seed"], form["seconds"]) == ("3", "0", "4")


async def test_a_key_is_seen_by_its_own_server_only(both: Caller, gpu: OpenaiShape, farm: OpenaiShape) -> None:
    await both.video(model=f"my-gpu/{WAN}")
    farm.play("download-redirect-own")
    assert (await both.video(model="render-farm/ltx-2"))["status"] == "completed"
    farm.play("cloud-stranger")
    await both.call("POST", "/api/v1/videos/generations", {"prompt": "a kite", "model": "render-farm/ltx-2"})
    # The stranger is on loopback, where results may not be fetched from: tried, refused, and not shown the key.
    await until(lambda: sum(sent.path.endswith("/content") for sent in farm.requests) > 3)
    assert all(sent.headers["Authorization"] == f"Bearer {FARM_KEY}" for sent in farm.requests)
    assert all("Authorization" not in sent.headers for sent in gpu.requests)
    assert gpu.stranger.requests == farm.stranger.requests == []


async def test_what_a_listed_model_does_not_offer_is_refused_at_once(both: Caller, gpu: OpenaiShape) -> None:
    status, problem = await both.call(
        "POST", "/api/v1/videos/generations", {"prompt": "a kite", "model": f"my-gpu/{WAN}", "duration": 4}
    )
    assert status == 400
    assert problem["detail"] == f"duration 4 is not offered by '{WAN}'; it offers 3, 5"
    assert gpu.forms() == []


async def test_a_name_that_the_server_sets_is_refused_among_additional_params(both: Caller) -> None:
    body = {"prompt": "a kite", "model": "render-farm/ltx-2", "additional_params": {"output_path": "/etc"}}
    status, problem = await both.call("POST", "/api/v1/videos/generations", body)
    assert status == 400
    assert "output_path" in problem["detail"]


async def test_a_callers_key_for_a_server_without_keys_is_refused(both: Caller) -> None:
    body = {"prompt": "a kite", "model": f"my-gpu/{WAN}", "byok_api_key": "sk-of-a-caller"}
    status, problem = await both.call("POST", "/api/v1/videos/generations", body)
    assert status in (400, 422)
    assert "needs no key" in problem["detail"]


def test_the_page_names_every_setting_of_a_server() -> None:
    from rushes.providers.openai_shape import ServerOptions

    page = PAGE.read_text("utf-8")
    unnamed = [name for name in ServerOptions.model_fields if f"`{name}`" not in page]
    assert set(unnamed) <= {"models"}, unnamed
