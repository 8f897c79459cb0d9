"""What `/readyz` says of each part, and what is logged and answered while the database takes no changes or is away."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.e2e.conftest import Start, Tmpfs
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import PostgresServer, shared_server
from tests.fixtures.service import QUICK, Client, Service, until
from tests.fixtures.time_limits import GENEROUS_S

PROXIED = {"Host": "films.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
SECRET = "0123456789abcdef0123456789abcdef"


def on(url: str, **settings: object) -> dict[str, object]:
    """Settings of a service on this database."""
    return {
        "RUSHES_DATABASE_URL": url,
        "RUSHES_SECRET_KEYS": SECRET,
        "RUSHES_PUBLIC_URL": "https://films.example",
        **settings,
    }


async def ready_when(client: Client, service: Service, status: int) -> dict[str, dict[str, object]]:
    """The parts, once the process answers so."""
    for _ in range(int(GENEROUS_S / 0.1)):
        answer = await client.get(f"{service.url}/readyz", plain=True)
        if answer.status == status:
            parts: dict[str, dict[str, object]] = answer.json()["parts"]
            return parts
        await asyncio.sleep(0.1)
    raise AssertionError(answer.body)


async def number(client: Client, service: Service, name: str) -> float:
    text = (await client.get(f"{service.url}/metrics", plain=True)).body.decode()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


async def test_a_read_only_database_is_not_ready_and_answers_reads(start: Start) -> None:
    url = shared_server().fresh()
    front = start(command=("serve", "--no-worker"), **on(url))
    name = url.rpartition("/")[2]
    async with Client(front, front.key().text) as client:
        job_id = (await client.create())["job_id"]
        assert (await ready_when(client, front, 200))["accepts"] == {"ok": True, "detail": None}
        shared_server().run("postgres", f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        end_sessions(name)
        try:
            parts = await ready_when(client, front, 503)
            assert parts["answers"]["ok"]
            assert "read-only" in str(parts["accepts"]["detail"])
            assert (await client.job(job_id))["status"] == "pending"
            assert "read-only" in (await client.generate(prompt="x", model="animatic/stuck")).problem(503)["detail"]
            assert await number(client, front, "rushes_database_writable") == 0
        finally:
            shared_server().run("postgres", f"ALTER DATABASE {name} RESET default_transaction_read_only")
            end_sessions(name)
        await ready_when(client, front, 200)
        await client.create()


def end_sessions(name: str) -> None:
    shared_server().run("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


async def test_a_database_with_a_full_disk_is_not_ready(start: Start, tmpfs: Tmpfs, tmp_path: Path) -> None:
    # Not below tmp_path, which another user cannot enter.
    disk = tmpfs(Path("/tmp") / f"rushes-disk-{free_port()}", "size=160m,mode=0777")
    server = PostgresServer(directory=str(disk), min_wal_size="32MB", max_wal_size="64MB")
    try:
        front = start(command=("serve", "--no-worker"), **on(server.fresh()))
        async with Client(front, front.key().text) as client:
            await client.create()
            await ready_when(client, front, 200)
            with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
                while ballast.write(bytes(1 << 16)):
                    pass
            parts = await ready_when(client, front, 503)
            assert not parts["accepts"]["ok"]
            (disk / "ballast").unlink()
            await ready_when(client, front, 200)
            await client.create()
    finally:
        server.remove()


async def test_without_storage_a_front_is_ready_and_a_worker_is_not(start: Start, tmp_path: Path) -> None:
    url = shared_server().fresh()
    shared = tmp_path / "shared"
    front = start(command=("serve", "--no-worker"), data_dir=shared, **on(url))
    worker = start(command=("worker",), data_dir=shared, **on(url))
    async with Client(front, front.key().text) as client:
        await ready_when(client, worker, 200)
        (shared / "storage").rename(shared / "away")
        parts = await ready_when(client, worker, 503)
        assert {name for name, part in parts.items() if not part["ok"]} == {"stores"}
        assert not (await ready_when(client, front, 200))["stores"]["ok"]
        assert await number(client, worker, "rushes_storage_up") == 0
        job_id = (await client.create())["job_id"]
        (shared / "away").rename(shared / "storage")
        await ready_when(client, worker, 200)
        await client.completed([job_id])
    shared_server().done_with(url)


async def test_one_warning_is_logged_while_the_database_is_away(start: Start) -> None:
    server = PostgresServer()
    try:
        service = start(**on(server.fresh(), RUSHES_LEASE_S=1))
        async with Client(service, service.key().text) as client:
            await client.create(model="animatic/stuck", duration=5)
            server.kill()
            (await client.generate(prompt="x")).problem(503)
            # Heartbeats, claims, aborts and tidying have all failed several times by then.
            await asyncio.sleep(6)
            server.start()
            await ready_when(client, service, 200)
    finally:
        server.remove()
    warnings = [line for line in service.log_text().splitlines() if "[warning]" in line]
    assert len(warnings) <= 2, warnings
    assert any("database_unavailable" in line for line in warnings)


async def test_a_unix_socket_serves_a_proxy_that_is_trusted(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "rushes.sock"
    service = start(running=False, command=("serve", "--uds", str(path)))
    service.begin(listens=False)
    await until(path.is_socket)
    headers = PROXIED | {"Authorization": f"Bearer {service.key().text}"}
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), headers=headers) as session:
        await links_are_https(session, "http://any")
        async with session.get("http://any/readyz") as answer:
            assert answer.status == 200
    assert service.stop() == 0
    assert not path.exists()
    assert f"url=unix:{path}" in service.log_text()


async def test_every_address_is_both_versions_of_ip_and_proxies_are_known_by_either(start: Start) -> None:
    service = start(command=("serve", "--host", "::"), running=False)
    service.begin()
    headers = PROXIED | {"Authorization": f"Bearer {service.key().text}"}
    await until(lambda: "listening" in service.log_text())
    async with aiohttp.ClientSession(headers=headers) as session:
        for host in ("127.0.0.1", "[::1]"):
            await links_are_https(session, f"http://{host}:{service.port}")


async def links_are_https(session: aiohttp.ClientSession, origin: str) -> None:
    """As the proxy says, since it is trusted."""
    async with session.post(f"{origin}/api/v1/videos/generations", json={"prompt": "a lighthouse", **QUICK}) as answer:
        job_id = (await answer.json())["job_id"]
    give_up = time.monotonic() + GENEROUS_S
    while True:
        async with session.get(f"{origin}/api/v1/videos/jobs/{job_id}") as answer:
            job = await answer.json()
        if job["status"] == "completed":
            break
        assert time.monotonic() < give_up, job
        await asyncio.sleep(0.05)
    assert job["result"]["data"][0]["url"].startswith("https://films.example/media/"), job
