"""The attacks on the connection itself, through the proxies as deploy/ configures them.

The other account comes from another address, because the proxies bound what one address may do.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import aiohttp
import pytest

from tests.cost.attacks import JOBS, World, check_answered_beside
from tests.fixtures.ports import free_port
from tests.fixtures.proxies import Proxy
from tests.fixtures.service import Service

ANOTHER_ADDRESS = ("127.0.0.2", 0)
SENT = (
    "paths that are scrubbed",
    "heads that do not end",
    "connections without a request",
    "bodies that do not end",
    "bodies in pieces of one byte",
    "endless values",
    "long idempotency keys",
    "answers that nobody reads",
    "the description of the API",
    "wrong keys",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("behind"), RUSHES_TEST_HOLD_S="3600").start()
    # Attacks are under way when it is stopped, and uvicorn logs each request that it cuts off.
    service.may_log_tracebacks = True
    assert service.run("accounts", "create", "victim").returncode == 0
    yield service
    service.finish()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def world(
    request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    name: str = request.param
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    front = f"127.0.0.1:{service.port}"
    proxy = Proxy(tmp_path_factory.mktemp(name), free_port(), (front, front))
    with proxy.running(name):
        yield World(service, service.key().text, service.key(account="victim").text, "", port=proxy.port)


@pytest.mark.parametrize("name", SENT)
async def test_another_account_is_answered_beside_behind_a_proxy(world: World, name: str) -> None:
    connector = aiohttp.TCPConnector(local_addr=ANOTHER_ADDRESS)
    headers = {"Authorization": f"Bearer {world.victim}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:

        async def ask() -> None:
            async with http.get(f"http://127.0.0.1:{world.port}{JOBS}?limit=5") as answer:
                await answer.read()
                assert answer.status == 200

        await check_answered_beside(name, world, ask)
