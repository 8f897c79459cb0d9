"""While one account attacks, another is still answered, and the memory of the service stays bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cost.attacks import ATTACKS, JOBS, World, check_answered_beside
from tests.fixtures.receiver import ALLOWED, receiving
from tests.fixtures.service import Client, Service


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("neighbours")
    with receiving() as receiver:
        allowed = {**ALLOWED, "RUSHES_NET_ALLOW__INPUTS": "127.0.0.0/8", "RUSHES_TEST_HOLD_S": "3600"}
        service = Service(folder, **allowed).start()
        # Attacks are under way when it is stopped, and uvicorn logs each request that it cuts off.
        service.may_log_tracebacks = True
        try:
            yield World(service, service.key().text, _key_of_another(service), receiver.url)
        finally:
            service.finish()


def _key_of_another(service: Service) -> str:
    assert service.run("accounts", "create", "victim").returncode == 0
    return service.key(account="victim").text


@asynccontextmanager
async def prepared(world: World) -> AsyncIterator[Client]:
    """The victim, once the attacker has a job and a webhook."""
    async with Client(world.service, world.hostile) as hostile, Client(world.service, world.victim) as victim:
        if not world.job_id:
            world.job_id = (await hostile.create())["job_id"]
            made = await hostile.post("/api/v1/webhooks", json={"url": f"{world.receiver}/hang"})
            world.webhook_id = made.json()["id"]
        yield victim


@pytest.mark.parametrize("name", ATTACKS)
async def test_another_account_is_answered_beside(world: World, name: str) -> None:
    async with prepared(world) as victim:

        async def ask() -> None:
            assert (await victim.get(f"{JOBS}?limit=5")).status == 200

        await check_answered_beside(name, world, ask)
