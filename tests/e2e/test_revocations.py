"""An open answer ends when its key is revoked or its account disabled, in every process of one database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rushes.accounts.revocations import POLL_S
from tests.fixtures.media import image
from tests.fixtures.postgres import shared_server
from tests.fixtures.service import Key, Service
from tests.fixtures.time_limits import GENEROUS_S

JOBS = "/api/v1/videos/jobs"
BODY = {"prompt": "a lighthouse", "model": "animatic/stuck", "resolution": "720p"}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Service]]:
    """One service on SQLite, or two on one Postgres: what is done at the last shows at the first."""
    folder: Path = tmp_path_factory.mktemp("revocations")
    settings: dict[str, Any] = {"RUSHES_TEST_HOLD_S": 3600}
    count, url = 1, None
    if request.param == "postgres":
        count, url = 2, shared_server().fresh()
        settings |= {"RUSHES_DATABASE_URL": url, "RUSHES_SECRET_KEYS": "0123456789abcdef0123456789abcdef"}
    running = []
    for number in range(count):
        (folder / str(number)).mkdir()
        running.append(Service(folder / str(number), data_dir=folder / "data", **settings).start())
    yield running
    for one in running:
        one.finish()
    if url is not None:
        shared_server().done_with(url)


@pytest.fixture
def key(services: list[Service], request: pytest.FixtureRequest) -> Key:
    return services[0].key(account=request.node.name[:60])


@pytest.fixture
async def session(services: list[Service], key: Key) -> AsyncIterator[aiohttp.ClientSession]:
    """A session at the first service, with the key."""
    headers = {"Authorization": f"Bearer {key.text}"}
    limits = aiohttp.ClientTimeout(total=GENEROUS_S)
    async with aiohttp.ClientSession(services[0].url, headers=headers, timeout=limits) as opened:
        yield opened


def end(services: list[Service], how: str, key: Key, account: str) -> None:
    commands = {"revoke": ("keys", "revoke", key.id), "disable": ("accounts", "disable", account)}
    done = services[-1].run(*commands[how])
    assert done.returncode == 0, done.stderr


async def made(session: aiohttp.ClientSession) -> str:
    async with session.post("/api/v1/videos/generations", json=BODY) as answer:
        return str((await answer.json())["job_id"])


async def waits(session: aiohttp.ClientSession, count: int) -> None:
    """Returns once so many answers are open."""
    for _ in range(1000):
        async with session.get("/metrics") as answer:
            found = re.search(r"^rushes_streams ([0-9.]+)$", await answer.text(), re.MULTILINE)
        if found is not None and float(found[1]) >= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("they never waited")


@pytest.mark.parametrize("how", ["revoke", "disable"])
async def test_what_waits_for_a_job_ends(
    services: list[Service], key: Key, session: aiohttp.ClientSession, request: pytest.FixtureRequest, how: str
) -> None:
    # Waits of 60 s, far beyond what a revocation takes.
    assert POLL_S < 10
    job_id = await made(session)
    prefer = {"Prefer": "wait=60"}

    async def stream() -> bytes:
        async with session.get(f"{JOBS}/{job_id}/events") as answer:
            assert answer.status == 200
            return await answer.read()

    async def poll() -> int:
        async with session.get(f"{JOBS}/{job_id}", headers=prefer) as answer:
            return answer.status

    async def create() -> tuple[int, str | None]:
        async with session.post("/api/v1/videos/generations", json=BODY, headers=prefer) as answer:
            await answer.read()
            return answer.status, answer.headers.get("Preference-Applied")

    waiting = [asyncio.ensure_future(one) for one in (stream(), poll(), create())]
    await waits(session, len(waiting))
    end(services, how, key, request.node.name[:60])
    streamed, polled, created = [await one for one in waiting]
    assert isinstance(streamed, bytes)
    assert b"pending" in streamed
    assert polled == 401
    assert created == (200, None)


async def test_an_upload_that_is_still_arriving_ends(
    services: list[Service], key: Key, session: aiohttp.ClientSession, request: pytest.FixtureRequest
) -> None:
    begun = asyncio.Event()
    over = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield image(color="teal")[:64]
        begun.set()
        while not over.is_set():
            # Faster than the least rate of a body.
            yield b"\0" * 4096
            await asyncio.sleep(0.05)

    async def upload() -> int:
        headers = {"Content-Type": "video/mp4"}
        async with session.post("/api/v1/uploads", data=slowly(), headers=headers) as answer:
            return answer.status

    uploading = asyncio.ensure_future(upload())
    await begun.wait()
    end(services, "revoke", key, request.node.name[:60])
    try:
        # The server may close the connection before the client has read the answer.
        assert await uploading in (400, 401)
    except aiohttp.ClientError:
        pass
    finally:
        over.set()
