"""Several real services on one Postgres: whichever of them dies, or the database, no job is lost or paid twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings, prompt_of
from tests.fixtures.pgbouncer import needs_pgbouncer, pgbouncer
from tests.fixtures.postgres import (
    PostgresServer,
    Replica,
    has_pg_basebackup,
    host_of,
    run_sql,
    shared_server,
    with_hosts,
)
from tests.fixtures.receiver import ALLOWED, receiving
from tests.fixtures.service import Client, Service, until
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.upstreams.gemini import Gemini

SECRET = "0123456789abcdef0123456789abcdef"
LEASE_S = 2
JOBS = 16

Pair = Callable[..., tuple[Service, Service]]


@pytest.fixture
def url() -> Iterator[str]:
    """An empty database."""
    fresh = shared_server().fresh()
    yield fresh
    shared_server().done_with(fresh)


def on(url: str, **more: object) -> dict[str, Any]:
    return {"RUSHES_DATABASE_URL": url, "RUSHES_SECRET_KEYS": SECRET, "RUSHES_LEASE_S": LEASE_S, **more}


@pytest.fixture
def pair(start: Start, url: str, tmp_path: Path) -> Pair:
    """Two services on one database and one data directory."""

    def start_two(**settings: object) -> tuple[Service, Service]:
        first, second = (start(data_dir=tmp_path / "shared", **on(url, **settings)) for _ in range(2))
        return first, second

    return start_two


async def test_a_job_made_at_one_service_is_read_and_cancelled_at_the_other(pair: Pair) -> None:
    first, second = pair(RUSHES_TEST_HOLD_S=3600)
    key = first.key().text
    async with Client(first, key) as here, Client(second, key) as there:
        job_id = (await here.create(prompt="a lighthouse"))["job_id"]
        assert (await there.job(job_id))["prompt"] == "a lighthouse"
        assert (await there.cancel(job_id)).ok()["status"] == "failed"
        assert (await here.job(job_id))["error_code"] == "cancelled"
        assert (await there.jobs())["total"] == 1


async def test_one_idempotency_key_at_two_services_makes_one_job(pair: Pair) -> None:
    first, second = pair(RUSHES_TEST_HOLD_S=3600)
    key = first.key().text
    async with Client(first, key) as here, Client(second, key) as there:
        body = {"prompt": "a lighthouse", "model": "animatic/storyboard"}
        sent = [
            client.post("/api/v1/videos/generations", json=body, headers={"Idempotency-Key": "once"})
            for client in (here, there) * 10
        ]
        answers = [answer.ok() for answer in await asyncio.gather(*sent)]
        assert len({answer["job_id"] for answer in answers}) == 1
        assert (await here.jobs())["total"] == 1


async def test_what_a_killed_service_was_doing_is_taken_over_and_paid_once(pair: Pair, fake: Gemini, url: str) -> None:
    first, second = pair(**google_settings(fake))
    jobs = await interrupted(first, second, fake, lambda: first.kill())
    assert_paid_once(jobs, fake)
    assert run_sql(url, "SELECT lane FROM lanes WHERE ready <> 0 OR in_use <> 0") == []


async def test_a_frozen_service_submits_nothing_after_others_have_taken_its_jobs(
    pair: Pair, fake: Gemini, url: str
) -> None:
    first, second = pair(**google_settings(fake))
    try:
        jobs = await interrupted(first, second, fake, lambda: os.kill(first.process_id, signal.SIGSTOP))
        before = len(fake.requests)
    finally:
        os.kill(first.process_id, signal.SIGCONT)
    key = second.key(test=False).text
    async with Client(first, key) as client:
        # Awake again, it serves and takes new jobs.
        job_id = (await client.generate(prompt="awake.", model=OMNI)).ok()["job_id"]
        await client.completed([job_id])
    late = {prompt_of(one.json) for one in fake.requests[before:] if one.method == "POST"} - {"awake."}
    # A call that was on its way when it froze still arrives; its job has ended as one that may have been accepted.
    assert {jobs[prompt]["error_code"] for prompt in late} <= {"submission_unknown"}
    assert_paid_once(jobs, fake)


async def interrupted(first: Service, second: Service, fake: Gemini, stop: Callable[[], None]) -> dict[str, Any]:
    """Jobs made at both, `stop` called in the middle of them, and how each ended, by its prompt."""
    fake.requests.clear()
    key = first.key(test=False).text
    jobs: dict[str, str] = {}
    async with Client(first, key) as here, Client(second, key) as there:
        for client, name in ((here, "here"), (there, "there")):
            prompts = [f"{name} {number}." for number in range(JOBS // 2)]
            made = await asyncio.gather(*(client.generate(prompt=prompt, model=OMNI) for prompt in prompts))
            jobs |= {prompt: answer.ok()["job_id"] for prompt, answer in zip(prompts, made, strict=True)}
        stop()
        return {prompt: await there.reached(job_id) for prompt, job_id in jobs.items()}


def assert_paid_once(jobs: dict[str, Any], fake: Gemini) -> None:
    sent = Counter(prompt_of(one.json) for one in fake.requests if one.method == "POST")
    assert max(sent.values()) == 1
    ends = Counter((job["status"], job["error_code"]) for job in jobs.values())
    assert ends.keys() <= {("completed", None), ("failed", "submission_unknown")}, ends
    assert ends["completed", None] >= JOBS / 2


async def test_a_job_is_begun_by_the_other_service_as_soon_as_it_is_made(
    start: Start, url: str, tmp_path: Path
) -> None:
    """By its signal, for the worker looks by itself only every five seconds: in twenty it would find these four."""
    busy = start(data_dir=tmp_path / "shared", **on(url, RUSHES_MOST_IN_FLIGHT=1))
    begun = "SELECT COUNT(*), COUNT(DISTINCT worker_id) FROM jobs WHERE state <> 'queued'"
    key = busy.key().text
    async with Client(busy, key) as client:
        await client.create(model="animatic/stuck", duration=5)
        await until(lambda: run_sql(url, begun) == [(1, 1)])
        start(data_dir=tmp_path / "shared", **on(url))
    # Over a new connection: the service may have closed the idle one meanwhile.
    async with Client(busy, key) as client:
        began = time.monotonic()
        for number in (2, 3, 4, 5):
            await client.create(model="animatic/stuck", duration=5)
            await until(lambda number=number: run_sql(url, begun) == [(number, 2)])  # type: ignore[misc]
        assert time.monotonic() - began < 15


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server that may be killed; the last test that has it does not start it again."""
    server = PostgresServer(fsync="on", full_page_writes="on")
    yield server
    server.remove()


async def test_a_database_killed_under_load_loses_nothing_that_was_answered(
    start: Start, mortal: PostgresServer
) -> None:
    service = start(**on(mortal.fresh(), RUSHES_TEST_HOLD_S=0))
    answered: set[str] = set()
    async with Client(service, service.key().text) as client:
        loads = [asyncio.create_task(keep_creating(client, answered)) for _ in range(8)]
        for _ in range(2):
            await until(lambda before=len(answered): len(answered) > before + 20)  # type: ignore[misc]
            mortal.kill()
            answer = await client.get("/readyz")
            assert answer.status == 503
            assert "database" in answer.json()["detail"]
            mortal.start()
        await until(lambda before=len(answered): len(answered) > before + 20)  # type: ignore[misc]
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        assert (await client.get("/readyz")).status == 200
        listed = {job["job_id"] for job in (await client.jobs(limit=1000))["jobs"]}
        assert answered <= listed
        few = random.Random(1).sample(sorted(answered), 5)
        for job_id in few:
            assert (await client.reached(job_id))["error_code"] == "provider_rejected"


@pytest.mark.skipif(not has_pg_basebackup(), reason="pg_basebackup is not installed")
async def test_a_promoted_replica_has_every_job_and_none_is_paid_twice(
    start: Start, fake: Gemini, mortal: PostgresServer
) -> None:
    url = mortal.fresh()
    standby = Replica(mortal)
    try:
        # From here on a commit waits for the replica, as docs/operating/database.md asks for.
        mortal.run("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
        mortal.run("postgres", "SELECT pg_reload_conf()")
        both = with_hosts(url, host_of(url), host_of(standby.url()), query="target_session_attrs=read-write")
        service = start(**on(both, **google_settings(fake)))
        fake.requests.clear()
        jobs: dict[str, str] = {}
        async with Client(service, service.key(test=False).text) as client:

            async def make(number: int) -> None:
                answer = await client.generate(prompt=f"film {number}.", model=OMNI)
                if answer.status == 200:
                    jobs[f"film {number}."] = answer.json()["job_id"]
                else:
                    assert answer.problem(503)["code"] in {"database_unavailable", "outcome_unknown"}

            await asyncio.gather(*(make(number) for number in range(JOBS)))
            assert len(jobs) == JOBS
            mortal.kill()
            await make(JOBS)
            assert len(jobs) == JOBS
            # Before anyone promotes it, a replica takes no changes and is not used.
            answer = await client.get("/readyz")
            assert answer.status == 503
            standby.run("postgres", "SELECT pg_promote()")
            give_up = time.monotonic() + GENEROUS_S
            while (answer := await client.get("/readyz")).status != 200:
                assert time.monotonic() < give_up, answer.body
                await asyncio.sleep(0.1)
            await asyncio.gather(*(make(JOBS + number) for number in range(1, 5)))
            assert len(jobs) == JOBS + 4
            ended = {prompt: await client.reached(job_id) for prompt, job_id in jobs.items()}
        assert_paid_once(ended, fake)
        assert run_sql(standby.url(url.rpartition("/")[2]), "SELECT lane FROM lanes WHERE ready + in_use <> 0") == []
    finally:
        standby.remove()


@needs_pgbouncer
async def test_a_pooler_in_session_mode_carries_a_front_and_a_worker(start: Start, url: str, tmp_path: Path) -> None:
    """A front hears by a note that its worker is done, and the worker that a webhook has something to tell."""
    with pgbouncer(url, "session") as pooled, receiving() as receiver:
        settings = on(pooled, RUSHES_PUBLIC_URL="https://films.example", **ALLOWED)
        front = start(data_dir=tmp_path / "shared", command=("serve", "--no-worker"), **settings)
        start(data_dir=tmp_path / "shared", command=("worker",), **settings)
        async with Client(front, front.key().text) as client:
            hook = await client.post("/api/v1/webhooks", json={"url": receiver.url + "/ok"})
            assert hook.status in (200, 201), hook.body
            began = time.monotonic()
            for _ in range(4):
                job_id = (await client.create(model="animatic/fail"))["job_id"]
                assert (await client.reached(job_id))["error_code"] == "provider_rejected"
                await until(lambda job_id=job_id: job_id in str(receiver.received))  # type: ignore[misc]
            # Without notes the worker would look by itself every five seconds.
            assert time.monotonic() - began < 15


@needs_pgbouncer
def test_a_pooler_that_shares_sessions_stops_the_start_in_one_line(start: Start, url: str) -> None:
    with pgbouncer(url, "transaction") as pooled:
        ended = start(running=False, **on(pooled)).run("serve", "--port", "0")
    assert ended.returncode == 1
    assert "so set pool_mode = session or connect to Postgres itself" in ended.stderr
    assert ended.stderr.count("\n") == 1


async def keep_creating(client: Client, answered: set[str]) -> None:
    while True:
        answer = await client.generate(prompt="a lighthouse", model="animatic/fail")
        if answer.status == 200:
            answered.add(answer.json()["job_id"])
        else:
            assert answer.problem(503)["code"] in {"database_unavailable", "outcome_unknown"}
        await asyncio.sleep(0.005)


def test_every_command_of_an_operator_works_on_it(start: Start, url: str) -> None:
    service = start(running=False, **on(url))
    key = service.key(account="alice")
    assert key.id in service.run("keys", "list").stdout
    assert "revoked" in service.run("keys", "revoke", key.id).stdout
    assert "no job waits" in service.run("jobs", "reconcile").stderr
    assert "not found" in service.run("jobs", "recover", "job_x").stderr
    assert service.run("models", "check").returncode in (0, 1)
    assert not (service.data_dir / "rushes.db").exists()


def test_a_missing_secret_key_stops_the_start(start: Start, url: str) -> None:
    service = start(running=False, RUSHES_DATABASE_URL=url)
    ended = service.run("serve", "--port", "0")
    assert ended.returncode == 1
    assert "RUSHES_SECRET_KEYS is not set" in ended.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://someone:hunter2@127.0.0.1:1/films",
            "no database server listens at '127.0.0.1:1/films'; nothing was changed (127.0.0.1:1/films)",
        ),
        ("mysql://someone:hunter2@127.0.0.1/films", "must be like postgresql://"),
        ("hunter2", "must be like postgresql://"),
    ],
)
def test_a_database_that_cannot_be_had_stops_the_start_without_its_password(start: Start, url: str, said: str) -> None:
    ended = start(running=False, **on(url)).run("serve", "--port", "0")
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout
    assert ended.stderr.count("\n") == 1


def test_a_database_that_does_not_exist_is_named(start: Start) -> None:
    ended = start(running=False, **on(shared_server().url("films"))).run("serve", "--port", "0")
    assert "does not exist on its server" in ended.stderr
