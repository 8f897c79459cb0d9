"""Clients that reach us by an API of another service: n8n's nodes, TanStack AI, LiteLLM."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fixtures.media import image
from tests.fixtures.sdk_callers import Caller, started
from tests.fixtures.service import Client, Key, Service
from tests.fixtures.time_limits import GENEROUS_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

FTYP = b"ftyp"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose operator has given the names that these clients cannot change."""
    aliases = {"sora-2": "animatic/storyboard", "veo-3.1-generate-preview": "animatic/storyboard"}
    running = Service(tmp_path_factory.mktemp("service"), RUSHES_MODEL_ALIASES=json.dumps(aliases)).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def key(service: Service) -> Key:
    return service.key()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tanstack(service: Service, key: Key, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    sdk = await started("tanstack.mjs", tmp_path_factory.mktemp("tanstack"))
    yield Caller(sdk, service.url, key.text)
    await sdk.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def litellm(service: Service, key: Key, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    sdk = await started("litellm", tmp_path_factory.mktemp("litellm"))
    yield Caller(sdk, service.url, key.text)
    await sdk.close()


async def until(ask: Any, is_over: Any) -> Any:
    """What `ask` answers at last."""
    give_up = time.monotonic() + GENEROUS_S
    while not is_over(found := await ask()):
        assert time.monotonic() < give_up, found
        await asyncio.sleep(0.05)
    return found


class TestN8n:
    """The requests of its nodes, as `vendors/OpenAi/v2/actions/video/generate.operation.ts` and
    `vendors/GoogleGemini/actions/video/generate.operation.ts` of n8n-io/n8n send them (read 2026-11-30).
    """

    @pytest.mark.parametrize("has_reference", [False, True])
    async def test_the_openai_node(self, service: Service, key: Key, has_reference: bool) -> None:
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in (("model", "sora-2"), ("prompt", "a mole"), ("seconds", "4"), ("size", "1280x720")):
            form.add_field(name, value)
        if has_reference:
            form.add_field("input_reference", image("PNG", (1280, 720)), filename="a.png", content_type="image/png")
        async with Client(service, key.text) as client:
            made = (await client.post("/v1/videos", data=form)).ok()
            assert made["error"] is None

            async def poll() -> Any:
                return (await client.get(f"/v1/videos/{made['id']}")).ok()

            ended = await until(poll, lambda found: found["error"] or found["status"] == "completed")
            assert ended["error"] is None
            content = await client.get(f"/v1/videos/{ended['id']}/content")
        assert content.headers["Content-Type"] == "video/mp4"
        assert content.body[4:8] == FTYP

    async def test_the_gemini_node(self, service: Service, key: Key) -> None:
        headers = {"x-goog-api-key": key.text}
        by_query = {"key": key.text}
        async with Client(service, None) as client:
            listed = (await client.get("/v1beta/models", params={"pageSize": 1000, **by_query})).ok()["models"]
            # Its list shows names with `veo` in them, and it refuses any other.
            model = next(one["name"] for one in listed if "veo" in one["name"])
            assert model == "models/veo-3.1-generate-preview"
            body = {
                "instances": [{"prompt": "a mole"}],
                "parameters": {"aspectRatio": "16:9", "sampleCount": 1, "durationSeconds": 8},
            }
            made = (await client.post(f"/v1beta/{model}:predictLongRunning", json=body, headers=headers)).ok()

            async def poll() -> Any:
                return (await client.get(f"/v1beta/{made['name']}", headers=headers)).ok()

            ended = await until(poll, lambda found: found.get("done"))
            (sample,) = ended["response"]["generateVideoResponse"]["generatedSamples"]
            content = await client.get(sample["video"]["uri"], params=by_query)
        assert content.body[4:8] == FTYP


class TestTanstack:
    @pytest.mark.parametrize(
        ("api", "model", "options"),
        [
            ("openai", "sora-2", {"size": "1280x720", "duration": 4}),
            ("gemini", "veo-3.1-generate-preview", {"size": "16:9", "duration": 8}),
        ],
    )
    async def test_it_makes_a_film(self, tanstack: Caller, api: str, model: str, options: dict[str, Any]) -> None:
        given = {"api": api, "model": model}
        made = await tanstack.call("start", **given, prompt="a mole", **options)

        async def poll() -> Any:
            return await tanstack.call("status", **given, job_id=made["jobId"])

        ended = await until(poll, lambda found: found["status"] in ("completed", "failed"))
        assert ended["status"] == "completed", ended
        assert ended["url"]

    async def test_a_refusal_is_an_error(self, tanstack: Caller) -> None:
        refusal = await tanstack.refused("start", api="openai", model="sora-2", prompt="a mole", key="wrong")
        assert (refusal.name, refusal.status) == ("AuthenticationError", 401)


class TestLitellm:
    @pytest.mark.parametrize(
        ("base", "model", "options"),
        [
            ("/v1", "openai/animatic/storyboard", {"seconds": "1", "size": "640x360"}),
            ("", "gemini/animatic/storyboard", {"seconds": "1", "size": "1280x720"}),
        ],
    )
    async def test_it_makes_a_film(
        self, service: Service, litellm: Caller, base: str, model: str, options: dict[str, str]
    ) -> None:
        provider = model.partition("/")[0]
        there = {"url": f"{service.url}{base}"}
        made = await litellm.call("start", **there, model=model, prompt="a mole", **options)

        async def poll() -> Any:
            return await litellm.call("status", **there, video_id=made["id"], provider=provider)

        ended = await until(poll, lambda found: found["status"] in ("completed", "failed"))
        assert ended["status"] == "completed", ended
        content = await litellm.call("content", **there, video_id=made["id"], provider=provider)
        assert bytes.fromhex(content["hex"])[4:8] == FTYP

    async def test_a_refusal_is_its_own_exception(self, service: Service, litellm: Caller) -> None:
        given = {"url": f"{service.url}/v1", "prompt": "a mole", "model": "openai/animatic/storyboard"}
        assert (await litellm.refused("start", **given, key="wrong")).name == "AuthenticationError"
        assert (await litellm.refused("start", **given, seconds="61")).name == "BadRequestError"
        assert (await litellm.refused("start", **{**given, "model": "openai/nothing"})).name == "NotFoundError"
