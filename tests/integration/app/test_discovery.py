"""Models are found while the service runs, whenever their server comes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rushes.app.discovery import Discovery
from rushes.catalogue.load import Catalogue, load
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.providers.credentials import Keyring
from rushes.providers.openai_shape import FLAVORS, OpenaiShape, Server
from tests.fixtures.upstreams.openai_shape import OpenaiShape as Fake

KEY = "sk-discovery-12345"


class Waits:
    """A clock whose sleeps the test ends, one by one."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []
        self._slept = asyncio.Event()
        self._go_on = asyncio.Semaphore(0)

    def now_ms(self) -> int:
        return 1_795_300_000_000

    async def sleep(self, seconds: float) -> None:
        self.asked_s.append(seconds)
        self._slept.set()
        await self._go_on.acquire()

    async def until_asleep(self) -> None:
        await self._slept.wait()
        self._slept.clear()

    def wake(self) -> None:
        self._go_on.release()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


def discovery(client: HttpClient, url: str, clock: Waits, key: str | None = None) -> tuple[Discovery, Catalogue]:
    server = Server("my-gpu", FLAVORS["vllm-omni"], url, needs_key=key is not None)
    catalogue = load().extended(server.entry, [])
    providers: dict[tuple[str, str | None], Provider] = {("my-gpu", None): OpenaiShape(client, server)}
    shapes = {"my-gpu": server.credentials}
    keyring = Keyring(
        shapes, {} if key is None else {"my-gpu": [Keyring(shapes).recognise("my-gpu", key, field="api_key")]}
    )
    return Discovery(catalogue, [server], providers, keyring, clock), catalogue


async def test_the_servers_models_join_the_catalogue(client: HttpClient) -> None:
    clock = Waits()
    async with Fake("vllm-omni", models=("Wan-AI/Wan2.2",)) as upstream:
        found, catalogue = discovery(client, upstream.base_url, clock)
        task = asyncio.create_task(found.run())
        await clock.until_asleep()
        assert [model.id for model in catalogue.models("my-gpu")] == ["Wan-AI/Wan2.2"]
        assert [model.provider for model in catalogue.offering("Wan-AI/Wan2.2")] == ["my-gpu"]
        upstream.models = ("Wan-AI/Wan2.2", "ltx-2")
        clock.wake()
        await clock.until_asleep()
        assert [model.id for model in catalogue.models("my-gpu")] == ["Wan-AI/Wan2.2", "ltx-2"]
        assert clock.asked_s == [60, 60]
        task.cancel()


async def test_a_server_that_is_down_is_asked_again_ever_more_rarely(client: HttpClient) -> None:
    clock = Waits()
    found, catalogue = discovery(client, "http://127.0.0.1:1", clock)
    task = asyncio.create_task(found.run())
    for _ in range(8):
        await clock.until_asleep()
        clock.wake()
    assert clock.asked_s[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert catalogue.models("my-gpu") == ()
    task.cancel()


async def test_it_asks_with_the_operators_key(client: HttpClient) -> None:
    clock = Waits()
    async with Fake("openai", KEY) as upstream:
        found, catalogue = discovery(client, upstream.base_url, clock, KEY)
        task = asyncio.create_task(found.run())
        await clock.until_asleep()
        assert len(catalogue.models("my-gpu")) == 2
        task.cancel()
