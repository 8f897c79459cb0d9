"""A caller that deletes what each page lists reaches every entry: a cursor is a place, whatever stood there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.fixtures.postgres import shared_server
from tests.fixtures.service import Client, Service
from tests.fixtures.time_limits import GENEROUS_S

MADE = 7
PAGE = 2
SECRET = "0123456789abcdef0123456789abcdef"
NUMBERS = itertools.count()
KEYS = "/api/v1/user/api-keys"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which jobs stay pending, on each database."""
    settings: dict[str, Any] = {"RUSHES_TEST_HOLD_S": 3600}
    if request.param == "postgres":
        settings |= {"RUSHES_DATABASE_URL": shared_server().fresh(), "RUSHES_SECRET_KEYS": SECRET}
    running = Service(tmp_path_factory.mktemp(request.param), **settings).start()
    yield running
    running.finish()
    if request.param == "postgres":
        shared_server().done_with(str(settings["RUSHES_DATABASE_URL"]))


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    """A client with an account of its own, which may do everything."""
    scopes = [word for scope in ("read", "generate", "manage", "admin") for word in ("--scope", scope)]
    made = service.run("keys", "create", "--account", f"lister-{next(NUMBERS)}", *scopes)
    async with Client(service, made.stdout.splitlines()[-1]) as opened:
        yield opened


async def made(client: Client) -> list[str]:
    """Pending jobs, the oldest first."""
    return [(await client.create(prompt=f"number {number}"))["job_id"] for number in range(MADE)]


async def walked(
    client: Client, path: str, entries: str, name: str, delete: Callable[[str], Awaitable[object]], **query: str
) -> list[str]:
    """The ids of all entries, page by page, each deleted before the next page is asked for."""
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get(path, params={"limit": str(PAGE), **query, **cursor})).ok()
        for entry in page[entries]:
            seen.append(entry[name])
            await delete(entry[name])
        if page["next_cursor"] is None:
            return seen
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_videos(service: Service, client: Client, order: str) -> None:
    expected = await made(client)
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": PAGE, "order": order}
    while True:
        page = (await client.get("/v1/videos", params=query)).ok()
        for video in page["data"]:
            seen.append(video["id"])
            (await client.call("DELETE", f"/v1/videos/{video['id']}")).ok()
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    assert seen == (expected if order == "asc" else expected[::-1])
    assert (await client.get("/v1/videos")).ok()["data"] == []
    # Only the account knows of its place.
    async with Client(service, service.key(account="stranger").text) as stranger:
        assert (await stranger.get("/v1/videos", params={"after": seen[0]})).status == 400
    assert (await client.get("/v1/videos", params={"after": "job_" + "0" * 24})).status == 400


@pytest.mark.parametrize("path", ["/api/v1/videos/jobs", "/api/v1/admin/jobs"])
@pytest.mark.parametrize("query", [{}, {"provider": "animatic"}])
async def test_jobs(client: Client, path: str, query: dict[str, str]) -> None:
    expected = await made(client)
    if path.endswith("admin/jobs"):
        query = query | {"account_id": (await client.get("/api/v1/user/me")).ok()["account"]["id"]}

    async def delete(job_id: str) -> None:
        (await client.cancel(job_id)).ok()
        assert (await client.call("DELETE", f"/api/v1/videos/jobs/{job_id}")).status in (200, 204)

    assert await walked(client, path, "jobs", "job_id", delete, **query) == expected[::-1]


@pytest.mark.parametrize("by_admin", [False, True])
async def test_keys(client: Client, by_admin: bool) -> None:
    own_id = (await client.get(KEYS)).ok()["keys"][0]["id"]
    made = [(await client.post(KEYS, json={"name": f"key {number}"})).json()["id"] for number in range(MADE)]
    account_id = (await client.get("/api/v1/user/me")).ok()["account"]["id"]
    path = f"/api/v1/admin/accounts/{account_id}/keys" if by_admin else KEYS

    async def delete(key_id: str) -> None:
        if key_id != own_id:
            assert (await client.call("DELETE", f"{path}/{key_id}")).status in (200, 204)

    assert set(await walked(client, path, "keys", "id", delete)) == {own_id, *made}
    assert [key["id"] for key in (await client.get(path)).ok()["keys"]] == [own_id]


async def test_deliveries_of_webhooks_that_are_deleted(client: Client) -> None:
    hooks = [
        (await client.post("/api/v1/webhooks", json={"url": f"https://films.example/{number}"})).json()["id"]
        for number in range(MADE)
    ]
    job_id = (await client.create())["job_id"]
    (await client.cancel(job_id)).ok()
    path = "/api/v1/webhooks/deliveries"
    for _ in range(int(GENEROUS_S / 0.05)):
        if len((await client.get(path)).ok()["deliveries"]) == MADE:
            break
        await asyncio.sleep(0.05)
    left = list(hooks)

    async def delete(_delivery_id: str) -> None:
        assert (await client.call("DELETE", f"/api/v1/webhooks/{left.pop()}")).status in (200, 204)

    assert len(set(await walked(client, path, "deliveries", "id", delete))) == MADE
    assert (await client.get("/api/v1/webhooks")).ok()["webhooks"] == []
