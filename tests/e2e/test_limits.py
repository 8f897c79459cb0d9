"""Limits of accounts and keys, as callers meet them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tests.e2e.conftest import Start
from tests.fixtures.service import Client, Service

OWN_KEY = "AIza" + "x" * 35
HELD = {"RUSHES_TEST_HOLD_S": 3600}
RATE = re.compile(r'"default";r=(\d+);t=(\d+)')


def limit(service: Service, account: str, name: str, value: int, *more: str) -> None:
    done = service.run("limits", "set", "--account", account, f"--{name.replace('_', '-')}", str(value), *more)
    assert done.returncode == 0, done.stderr


def shown_rate(headers: Any) -> tuple[int, int]:
    found = RATE.fullmatch(headers["RateLimit"])
    assert found is not None, headers["RateLimit"]
    return int(found[1]), int(found[2])


async def test_without_limits_nothing_is_said_of_them(client: Client) -> None:
    answer = await client.get("/api/v1/videos/jobs")
    assert not {name for name in answer.headers if name.lower().startswith("ratelimit")}


async def test_the_last_request_of_a_minute_is_followed_by_a_429_on_every_route(held: Service) -> None:
    key = held.key(account="hurried")
    limit(held, "hurried", "requests_per_minute", 4)
    async with Client(held, key.text) as client:
        job_id = (await client.create())["job_id"]
        for left in (2, 1, 0):
            answer = await client.get(f"/api/v1/videos/jobs/{job_id}")
            answer.ok()
            remaining, reset_s = shown_rate(answer.headers)
            assert answer.headers["RateLimit-Policy"] == '"default";q=4;w=60'
            assert remaining == left
            assert 0 < reset_s <= 60
        for refused in (
            await client.get(f"/api/v1/videos/jobs/{job_id}"),
            await client.get("/api/v1/videos/jobs"),
            await client.generate(prompt="x"),
            await client.post("/api/v1/videos/generations", data=b"{", headers={"Content-Type": "application/json"}),
            await client.get("/api/v1/user/me"),
        ):
            problem = refused.problem(429)
            assert problem["code"] == "rate_limited"
            assert "4 requests a minute" in problem["detail"]
            assert 0 < int(refused.headers["Retry-After"]) <= 60
            assert shown_rate(refused.headers)[0] == 0


async def test_a_key_has_limits_besides_its_account(held: Service) -> None:
    key, other = held.key(account="two"), held.key(account="two")
    limit(held, "two", "requests_per_minute", 100)
    limit(held, "two", "requests_per_minute", 1, "--key", key.id)
    async with Client(held, key.text) as limited, Client(held, other.text) as free:
        answer = await limited.get("/api/v1/videos/jobs")
        answer.ok()
        assert answer.headers["RateLimit-Policy"] == '"default";q=100;w=60, "key";q=1;w=60'
        refused = await limited.get("/api/v1/videos/jobs")
        assert "API key" in refused.problem(429)["detail"]
        (await free.get("/api/v1/videos/jobs")).ok()


async def test_a_limit_for_all_accounts_gives_way_to_an_accounts_own(start: Start) -> None:
    service = start(RUSHES_LIMITS__REQUESTS_PER_MINUTE=2, RUSHES_LIMITS__QUEUED_JOBS=1, RUSHES_HOLD_S=3600, **HELD)
    usual, special = service.key(account="usual"), service.key(account="special")
    limit(service, "special", "requests_per_minute", 50)
    async with Client(service, usual.text) as client:
        for _ in range(2):
            (await client.get("/api/v1/videos/jobs")).ok()
        (await client.get("/api/v1/videos/jobs")).problem(429)
        # A test key runs nothing on anybody's key, so it counts all the same.
        (await client.generate(prompt="x", byok_api_key=OWN_KEY)).problem(429)
    async with Client(service, service.key(account="usual", test=False).text) as client:
        (await client.get("/api/v1/videos/jobs")).problem(429)
        # Their own provider counts these; that they wait here is our matter still.
        own = await client.generate(prompt="x", byok_api_key=OWN_KEY)
        own.ok()
        assert shown_rate(own.headers)[0] == 0
        refused = await client.generate(prompt="x", byok_api_key=OWN_KEY)
        assert refused.problem(429)["code"] == "queue_full"
    async with Client(service, special.text) as client:
        for _ in range(10):
            (await client.get("/api/v1/videos/jobs")).ok()
        await client.create()
        assert (await client.generate(prompt="x")).problem(429)["code"] == "queue_full"


async def test_of_many_creates_at_once_only_as_many_are_queued_as_may_be(held: Service) -> None:
    key = held.key(account="crowd")
    limit(held, "crowd", "queued_jobs", 3)
    async with Client(held, key.text) as client:
        answers = await asyncio.gather(*(client.generate(prompt="x") for _ in range(12)))
        assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 9
        for answer in answers:
            if answer.status == 429:
                assert answer.problem(429)["code"] == "queue_full"
                assert int(answer.headers["Retry-After"]) > 0
        jobs = (await client.jobs())["jobs"]
        assert len(jobs) == 3
        assert (await client.get("/api/v1/user/usage")).ok()["remaining"]["queued_jobs"] == 0
        (await client.cancel(jobs[0]["job_id"])).ok()
        assert (await client.get("/api/v1/user/usage")).ok()["remaining"]["queued_jobs"] == 1
        (await client.generate(prompt="x")).ok()


async def test_a_refused_create_under_an_idempotency_key_can_be_sent_again(held: Service) -> None:
    key = held.key(account="again")
    limit(held, "again", "queued_jobs", 1)
    headers = {"Idempotency-Key": "one"}
    async with Client(held, key.text) as client:
        first = await client.create()
        refused = await client.post("/api/v1/videos/generations", json={"prompt": "x"}, headers=headers)
        assert refused.problem(429)["code"] == "queue_full"
        (await client.cancel(first["job_id"])).ok()
        made = await client.post("/api/v1/videos/generations", json={"prompt": "x"}, headers=headers)
        replayed = await client.post("/api/v1/videos/generations", json={"prompt": "x"}, headers=headers)
        assert made.ok() == replayed.ok()


async def test_jobs_over_the_limit_in_flight_wait_and_hold_up_nobody(service: Service) -> None:
    busy, other = service.key(account="busy"), service.key(account="other")
    limit(service, "busy", "jobs_in_flight", 1)
    async with Client(service, busy.text) as client, Client(service, other.text) as neighbour:
        stuck = (await client.create(model="animatic/stuck"))["job_id"]
        await client.reached(stuck, "in_progress")
        waiting = (await client.create())["job_id"]
        free = (await neighbour.create())["job_id"]
        await neighbour.completed([free])
        assert (await client.job(waiting))["status"] == "pending"
        assert (await client.get("/api/v1/user/usage")).ok()["remaining"]["jobs_in_flight"] == 0
        limit(service, "busy", "jobs_in_flight", 2)
        # Any new job lets the worker look, which it would do within seconds by itself.
        await neighbour.create()
        await client.completed([waiting])
