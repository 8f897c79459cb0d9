"""OpenRouter's own clients, unchanged, against a real service: in Python, in JavaScript, under Vercel's AI SDK."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.media import image, sound
from tests.fixtures.sdk_callers import Caller, run_example, started
from tests.fixtures.service import Client, Key, Service
from tests.fixtures.time_limits import GENEROUS_S
from tests.oracles.sdk_process import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORYBOARD = "animatic/storyboard"
QUICK: dict[str, Any] = {"prompt": "a mole", "duration": 1, "resolution": "360p", "generate_audio": False}
RED = base64.b64encode(image("PNG", (640, 360), "red")).decode()
RED_URL = f"data:image/png;base64,{RED}"
FTYP = b"ftyp".hex()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def key(service: Service) -> Key:
    return service.key()


class Openrouter(Caller):
    """One client of the service."""

    async def ended(self, **given: Any) -> dict[str, Any]:
        """A new video, once it has ended."""
        made = await self.call("generate", **{"model": STORYBOARD, **QUICK, **given})
        assert made["status"] in ("pending", "in_progress")
        give_up = time.monotonic() + GENEROUS_S
        while made["status"] in ("pending", "in_progress"):
            assert time.monotonic() < give_up, made
            await asyncio.sleep(0.05)
            made = await self.call("get", job_id=made["id"])
        assert isinstance(made, dict)
        return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def python(service: Service, key: Key, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Openrouter]:
    sdk = await started("openrouter", tmp_path_factory.mktemp("python"))
    yield Openrouter(sdk, service.url, key.text)
    await sdk.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def javascript(service: Service, key: Key, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Openrouter]:
    sdk = await started("openrouter.mjs", tmp_path_factory.mktemp("javascript"))
    yield Openrouter(sdk, service.url, key.text)
    await sdk.close()


def is_film(content: dict[str, Any]) -> bool:
    """Whether these bytes begin as an MP4 does."""
    return content["bytes"] > 1000 and str(content["hex"])[8:16] == FTYP


class TestPython:
    async def test_a_video_from_start_to_end(self, service: Service, key: Key, python: Openrouter) -> None:
        ended = await python.ended()
        assert (ended["status"], ended["usage"]) == ("completed", {"cost": 0, "is_byok": False})
        assert ended["polling_url"] == f"{service.url}/api/v1/videos/{ended['id']}"
        assert ended["generation_id"] == ended["id"]
        assert is_film(await python.call("content", job_id=ended["id"]))
        async with Client(service, key.text) as client:
            for url in (*ended["urls"], *ended["unsigned_urls"]):
                assert (await client.get(url, plain=True)).body[4:8] == b"ftyp"
            # Its clients send the key along to the second kind.
            assert (await client.get(ended["unsigned_urls"][0])).status == 200
            polled = (await client.get(ended["polling_url"])).ok()
        assert polled["id"] == ended["id"]

    async def test_the_asynchronous_client(self, python: Openrouter) -> None:
        made = await python.call("film_async", model=STORYBOARD, **QUICK)
        assert made["ended"]["status"] == "completed"
        assert is_film(made["content"])

    async def test_every_option_reaches_the_job(self, service: Service, key: Key, python: Openrouter) -> None:
        made = await python.call(
            "generate",
            model=STORYBOARD,
            prompt="a mole",
            size="640x360",
            duration=2,
            seed=0,
            generate_audio=True,
            frame_images=[
                {"type": "image_url", "image_url": {"url": RED_URL}, "frame_type": "first_frame"},
                {"type": "image_url", "image_url": {"url": RED_URL}, "frame_type": "last_frame"},
            ],
            user="ann",
            session_id="evening",
            trace={"trace_id": "t-1", "cost_centre": 7},
        )
        async with Client(service, key.text) as client:
            job = await client.job(made["id"])
        asked = job["request"]
        assert (asked["aspect_ratio"], asked["resolution"], asked["duration"]) == ("16:9", "360p", 2)
        assert (asked["seed"], asked["generate_audio"]) == (0, True)
        assert [file["role"] for file in asked["media"]] == ["input_image", "last_frame"]
        assert job["user"] == "ann"
        assert job["metadata"] == {"session_id": "evening", "trace.trace_id": "t-1", "trace.cost_centre": "7"}

    async def test_references_of_every_kind_reach_the_job(self, service: Service, key: Key, python: Openrouter) -> None:
        film = await python.ended(duration=2)
        async with Client(service, key.text) as client:
            content = (await client.get(f"/api/v1/videos/{film['id']}/content")).body
            made = await python.call(
                "generate",
                model="seedance/seedance-2-5-260628",
                prompt="a mole",
                input_references=[
                    {"type": "image_url", "image_url": {"url": RED_URL}},
                    {"type": "video_url", "video_url": {"url": data_url(content, "video/mp4")}},
                    {"type": "audio_url", "audio_url": {"url": data_url(sound("wav"), "audio/wav")}},
                ],
            )
            job = await client.job(made["id"])
        assert [file["role"] for file in job["request"]["media"]] == [
            "reference_image", "reference_video", "reference_audio",
        ]  # fmt: skip

    async def test_a_video_goes_on_from_another(self, service: Service, key: Key, python: Openrouter) -> None:
        first = await python.ended()
        second = await python.ended(previous_job_id=first["id"])
        assert second["status"] == "completed"
        async with Client(service, key.text) as client:
            assert (await client.job(second["id"]))["request"]["previous_job_id"] == first["id"]

    async def test_options_of_the_models_provider_are_passed_on(
        self, service: Service, key: Key, python: Openrouter
    ) -> None:
        made = await python.call(
            "generate",
            model="google/veo-3.1-generate-001",
            prompt="a mole",
            provider={
                "options": {
                    "google-vertex": {"negativePrompt": "rain", "compressionQuality": "lossless"},
                    "minimax": {"x": 1},
                }
            },
        )
        async with Client(service, key.text) as client:
            job = await client.job(made["id"])
        assert job["request"]["negative_prompt"] == "rain"
        assert job["request"]["additional_params"] == {"compressionQuality": "lossless"}
        assert "provider.options.minimax was ignored: the model is of 'google'" in job["warnings"]

    async def test_openrouters_own_names_lead_to_the_same_models(self, python: Openrouter) -> None:
        ended = await python.ended(model="bytedance/seedance-2.5", duration=5, resolution="720p")
        assert ended["status"] == "completed"

    async def test_a_failed_video_says_why_in_one_text(self, python: Openrouter) -> None:
        for model, word in (("animatic/fail", "failed"), ("animatic/filtered", "failed")):
            ended = await python.ended(model=model, resolution="720p")
            assert ended["status"] == word
            assert isinstance(ended["error"], str)
            refusal = await python.refused("content", job_id=ended["id"])
            assert (refusal.name, refusal.status) == ("ConflictResponseError", 409)

    async def test_a_cancelled_video_is_cancelled(self, service: Service, key: Key, python: Openrouter) -> None:
        async with Client(service, key.text) as client:
            # Two of these run at once, so the third one can still be cancelled.
            made = [
                await python.call("generate", model="animatic/slow", prompt="a mole", resolution="720p")
                for _ in range(3)
            ]
            answer = await client.post(f"/api/v1/videos/jobs/{made[-1]['id']}/cancel")
            assert answer.status == 200, answer.body
        ended = await python.call("get", job_id=made[-1]["id"])
        assert ended["status"] == "cancelled"
        assert isinstance(ended["error"], str)

    async def test_the_list_of_models_is_one_of_its_own(self, python: Openrouter) -> None:
        found = {one["id"]: one for one in (await python.call("models"))["data"]}
        veo = found["google/veo-3.1-generate-001"]
        assert (veo["supported_aspect_ratios"], veo["supported_resolutions"]) == (
            ["16:9", "9:16"],
            ["720p", "1080p", "4K"],
        )
        assert veo["supported_frame_images"] == ["first_frame", "last_frame"]
        assert veo["seed"] is True
        assert veo["pricing_skus"]

    async def test_each_refusal_is_the_clients_own_exception(
        self, service: Service, key: Key, python: Openrouter
    ) -> None:
        given = {"model": STORYBOARD, **QUICK}
        for name, status, more in (
            ("UnauthorizedResponseError", 401, {"key": "rushes_test_wrong"}),
            ("NotFoundResponseError", 404, {"model": "google/veo-9"}),
            ("BadRequestResponseError", 400, {"duration": 61}),
            ("BadRequestResponseError", 400, {"callback_url": "http://example.com/hook"}),
            ("BadRequestResponseError", 400, {"prompt": " "}),
        ):
            refusal = await python.refused("generate", **{**given, **more})
            assert (refusal.name, refusal.status) == (name, status), refusal
        assert "duration" in (await python.refused("generate", **{**given, "duration": 61})).message
        unknown = await python.refused("get", job_id="job_unknown")
        assert (unknown.name, unknown.status) == ("NotFoundResponseError", 404)
        made = await python.refused("content", job_id="job_unknown")
        assert (made.name, made.status) == ("NotFoundResponseError", 404)
        poor = service.key(account="poor")
        service.run("limits", "set", "--account", "poor", "--requests-per-minute", "1")
        await python.call("models", key=poor.text)
        refusal = await python.refused("generate", **{**given, "key": poor.text})
        assert (refusal.name, refusal.status) == ("TooManyRequestsResponseError", 429), refusal


class TestJavascript:
    async def test_a_video_from_start_to_end(self, javascript: Openrouter) -> None:
        ended = await javascript.ended(generateAudio=False)
        assert ended["status"] == "completed"
        assert is_film(await javascript.call("content", job_id=ended["id"]))
        assert len((await javascript.call("models"))["data"]) > 50

    async def test_a_refusal_is_its_own_error(self, javascript: Openrouter) -> None:
        refusal = await javascript.refused("generate", model=STORYBOARD, prompt="a mole", key="wrong")
        assert (refusal.name, refusal.status) == ("UnauthorizedResponseError", 401)


class TestVercel:
    async def test_the_ai_sdk_makes_a_film_and_fetches_it_without_a_key(self, javascript: Openrouter) -> None:
        made = await javascript.call(
            "film", model=STORYBOARD, text="a mole", resolution="640x360", duration=1, seed=0, image=RED,
            settings={"generateAudio": False},
        )  # fmt: skip
        assert is_film(made["content"])
        assert made["type"] == "video/mp4"
        assert made["metadata"]["openrouter"]["cost"] == 0
        assert made["warnings"] == []

    async def test_a_refused_or_failed_video_is_its_own_error(self, javascript: Openrouter) -> None:
        refusal = await javascript.refused("film", model=STORYBOARD, text="a mole", duration=61)
        assert (refusal.name, refusal.status) == ("APICallError", 400)
        assert "duration" in refusal.message
        failed = await javascript.refused("film", model="animatic/filtered", text="a mole", resolution="1280x720")
        assert (failed.name, failed.status) == ("APICallError", 500)


BLOCK = re.compile(r"^```python openrouter\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GUIDE = (ROOT / "docs" / "guides" / "openrouter.md").read_text("utf-8")


async def test_the_guides_example_runs(service: Service, key: Key, tmp_path: Path) -> None:
    (code,) = BLOCK.findall(GUIDE)
    await run_example(code, service, key, tmp_path)
    assert (tmp_path / "lighthouse.mp4").read_bytes()[4:8] == b"ftyp"


def data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
