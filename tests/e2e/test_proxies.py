"""Two fronts restarted one after the other behind nginx, Caddy and HAProxy, as deploy/ configures them."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from tests.fixtures.ports import free_port
from tests.fixtures.postgres import blocking, shared_server
from tests.fixtures.proxies import PROXIES, Proxy
from tests.fixtures.service import QUICK, Service

SECRET = "0123456789abcdef0123456789abcdef"
CREATES = 200
LAME_DUCK_S = 3
"""Longer than two checks of each proxy."""


@pytest.fixture(scope="module")
def statuses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Counter[int | str]]]:
    """What at least 200 creates through each proxy were answered while both fronts were restarted."""
    url = shared_server().fresh()
    folder = tmp_path_factory.mktemp("proxies")
    fronts = []
    for name in "ab":
        (folder / name).mkdir()
        fronts.append(
            Service(
                folder / name,
                data_dir=folder / "data",
                command=("serve", "--no-worker"),
                RUSHES_DATABASE_URL=url,
                RUSHES_SECRET_KEYS=SECRET,
                RUSHES_LAME_DUCK_S=LAME_DUCK_S,
            )
        )
    addresses = (f"127.0.0.1:{fronts[0].port}", f"127.0.0.1:{fronts[1].port}")
    try:
        for front in fronts:
            front.begin()
        for front in fronts:
            front.await_listening()
        key = fronts[0].key().text
        with ExitStack() as running:
            ports = {}
            for name in filter(shutil.which, PROXIES):
                (folder / name).mkdir()
                proxy = Proxy(folder / name, free_port(), addresses)
                running.enter_context(proxy.running(name))
                ports[name] = proxy.port
            yield blocking(lambda: created(ports, key, fronts))
    finally:
        for front in fronts:
            front.finish()
    shared_server().done_with(url)


async def created(ports: dict[str, int], key: str, fronts: list[Service]) -> dict[str, Counter[int | str]]:
    stop = asyncio.Event()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        await used(session, ports, fronts, "before")
        loads = {name: asyncio.create_task(load(session, port, stop)) for name, port in ports.items()}
        for number, front in enumerate(fronts):
            assert await asyncio.to_thread(front.stop) == 0
            await asyncio.to_thread(front.start)
            await used(session, ports, fronts, f"after_{number}")
        stop.set()
        return {name: await task for name, task in loads.items()}


async def used(session: aiohttp.ClientSession, ports: dict[str, int], fronts: list[Service], when: str) -> None:
    """Returns once every proxy has handed a request to every front: a proxy takes a while to see that one is back."""
    for name, port in ports.items():
        path = f"/api/v1/videos/jobs/{name}_{when}"
        while not all(path in front.log_text() for front in fronts):
            async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                await response.read()
            await asyncio.sleep(0.05)


async def load(session: aiohttp.ClientSession, port: int, stop: asyncio.Event) -> Counter[int | str]:
    """Creates by three callers who repeat nothing, until 200 are made and both fronts are back."""
    seen: Counter[int | str] = Counter()
    url = f"http://127.0.0.1:{port}/api/v1/videos/generations"

    async def caller() -> None:
        while seen.total() < CREATES or not stop.is_set():
            try:
                async with session.post(url, json={"prompt": "a lighthouse", **QUICK}) as response:
                    await response.read()
                    seen[response.status] += 1
            except aiohttp.ClientError as error:
                seen[repr(error)] += 1
            await asyncio.sleep(0.05)

    await asyncio.gather(*(caller() for _ in range(3)))
    return seen


@pytest.mark.parametrize("name", PROXIES)
def test_a_rolling_restart_costs_no_create(name: str, statuses: dict[str, Counter[int | str]]) -> None:
    if name not in statuses:
        pytest.skip(f"{name} is not installed")
    assert statuses[name].keys() == {200}
    assert statuses[name][200] >= CREATES
