"""Two processes that answer and two that work, on one Postgres and one bucket: one service, also in an upgrade."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import rushes
from rushes.db.migrate import known_versions
from tests.e2e.conftest import Start
from tests.fixtures.event_streams import event_stream
from tests.fixtures.google import OMNI, google_settings, prompt_of, submits
from tests.fixtures.media import image
from tests.fixtures.postgres import run_sql, shared_server
from tests.fixtures.receiver import ALLOWED, Receiver, receiving
from tests.fixtures.s3 import S3Server, s3, s3_settings
from tests.fixtures.service import Client, Service, until
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.upstreams.gemini import Gemini

__all__ = ["s3"]

SECRET = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://films.example"
LEASE_S = 5
FRONT = ("serve", "--no-worker")
WORKER = ("worker",)
JOBS = "/api/v1/videos/jobs"
NEXT = f"{int(known_versions()[-1]) + 1:04}"
NEXT_STEP = f'''
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{known_versions()[-1]}"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("mood", sa.Text))
    op.add_column("job_events", sa.Column("mood", sa.Text))
    op.create_table("moods", sa.Column("name", sa.Text, primary_key=True))
'''


@dataclass(frozen=True)
class Fleet:
    """Two processes that answer, two that work, each with a data directory of its own."""

    url: str
    fronts: tuple[Service, Service]
    workers: tuple[Service, Service]

    @property
    def all(self) -> tuple[Service, ...]:
        """Each process."""
        return (*self.fronts, *self.workers)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, fake: Gemini, s3: S3Server) -> Iterator[Fleet]:
    url = shared_server().fresh()
    settings = google_settings(
        fake,
        RUSHES_DATABASE_URL=url,
        RUSHES_SECRET_KEYS=SECRET,
        RUSHES_PUBLIC_URL=PUBLIC_URL,
        RUSHES_LEASE_S=LEASE_S,
        RUSHES_TEST_HOLD_S=3600,
        RUSHES_POLL_INTERVAL_S=0.2,
        **s3_settings(s3, s3.new_bucket()),
        **ALLOWED,
    )
    folder = tmp_path_factory.mktemp("fleet")
    made = []
    for name, command in {"a": FRONT, "b": FRONT, "c": WORKER, "d": WORKER}.items():
        (folder / name).mkdir()
        made.append(Service(folder / name, command=command, **settings))
    try:
        # Two at a time, so that each has time enough on a busy machine.
        for pair in (made[:2], made[2:]):
            for one in pair:
                one.begin()
            for one in pair:
                one.await_listening()
        yield Fleet(url, (made[0], made[1]), (made[2], made[3]))
    finally:
        for one in made:
            one.finish()
    # The database is not handed back: the last test has changed its schema.


@pytest.fixture(scope="module")
def key(fleet: Fleet) -> str:
    return fleet.fronts[0].key(test=False).text


@pytest.fixture
async def here(fleet: Fleet, key: str) -> AsyncIterator[Client]:
    async with Client(fleet.fronts[0], key) as client:
        yield client


@pytest.fixture
async def there(fleet: Fleet, key: str) -> AsyncIterator[Client]:
    async with Client(fleet.fronts[1], key) as client:
        yield client


async def test_what_is_asked_of_one_is_seen_watched_and_cancelled_at_the_other(fleet: Fleet) -> None:
    held = fleet.fronts[0].key(account="patient").text
    async with Client(fleet.fronts[0], held) as here, Client(fleet.fronts[1], held) as there:
        job_id = (await here.create())["job_id"]
        assert [job["job_id"] for job in (await there.jobs())["jobs"]] == [job_id]
        async with event_stream(fleet.fronts[0], held, job_id) as stream:
            assert (await there.cancel(job_id)).ok()["status"] == "failed"
            assert (await stream.until("failed")).data["error_code"] == "cancelled"


async def test_a_video_is_made_kept_and_told_of_once_between_them(
    here: Client, there: Client, fake: Gemini, receiver: Receiver
) -> None:
    picture = image(size=(640, 360))
    upload = (await here.post("/api/v1/uploads", data=picture, headers={"Content-Type": "image/png"})).ok()
    asked = {
        "prompt": "from an upload",
        "model": OMNI,
        "input_image": upload["reference"],
        "response_format": "b64_json",
        "webhook_url": f"{receiver.url}/ok",
    }
    job_id = (await there.generate(**asked)).ok()["job_id"]
    job = await here.reached(job_id)
    assert job["status"] == "completed", job
    [submit] = submits(fake, "from an upload")
    assert submit.json["input"][0]["data"] == base64.b64encode(picture).decode()
    video = job["result"]["data"][0]
    link = video["url"].removeprefix(PUBLIC_URL)
    for client in (here, there):
        assert base64.b64encode((await client.get(link, plain=True)).body).decode() == video["b64_json"]
    await until(lambda: bool(receiver.of("/ok", "video.completed")))
    told = receiver.of("/ok")
    assert max(Counter(one.id for one in told).values()) == 1
    [completed] = [one for one in told if one.kind == "video.completed"]
    assert completed.content["data"]["result"]["url"].startswith(PUBLIC_URL)


async def test_each_says_what_it_is_and_what_is_its_own(fleet: Fleet, here: Client) -> None:
    shared = set()
    for one, role in zip(fleet.all, ("api", "api", "worker", "worker"), strict=True):
        assert (await ready_among_two(here, one))["role"] == role
        metrics = (await here.get(f"{one.url}/metrics", plain=True)).body.decode()
        assert re.search(rf'^rushes_build_info{{.*role="{role}"', metrics, re.MULTILINE)
        works, answers = role == "worker", role == "api"
        for name in ("rushes_jobs_in_flight", "rushes_webhooks_in_flight", "rushes_heartbeat_timestamp_seconds"):
            assert bool(re.search(f"^{name} ", metrics, re.MULTILINE)) is works, (role, name)
        assert bool(re.search("^rushes_streams ", metrics, re.MULTILINE)) is answers
        shared.update(re.findall(r'^rushes_jobs{status="completed"} .*', metrics, re.MULTILINE))
    # Everybody says the same of what is the whole service's.
    assert len(shared) == 1
    assert (await here.get(f"{fleet.workers[0].url}{JOBS}")).problem(404)
    assert not any("job_submitted" in front.log_text() for front in fleet.fronts)


async def ready_among_two(client: Client, one: Service) -> dict[str, Any]:
    """What this process says of itself, once both workers show that they live."""
    for _ in range(500):
        said: dict[str, Any] = (await client.get(f"{one.url}/readyz", plain=True)).ok()
        if said["workers_alive"] == 2:
            return said
        await asyncio.sleep(0.02)
    raise AssertionError(said)


async def test_what_a_killed_worker_was_doing_is_taken_over_and_paid_once(
    fleet: Fleet, here: Client, there: Client, fake: Gemini
) -> None:
    fake.requests.clear()
    prompts = [f"orphan {number}." for number in range(12)]
    made = [
        client.generate(prompt=prompt, model=OMNI) for prompt, client in zip(prompts, (here, there) * 6, strict=True)
    ]
    job_ids = [answer.ok()["job_id"] for answer in await asyncio.gather(*made)]
    await until(lambda: len(submits(fake, ".")) >= 6)
    # One of them may have taken all.
    doomed = next(one for one in fleet.workers if any(job_id in one.log_text() for job_id in job_ids))
    doomed.kill()
    doomed.begin()
    ends = [await here.reached(job_id) for job_id in job_ids]
    doomed.await_listening()
    # One that was killed between its intent and the call has submitted nothing, and cannot know that.
    sure = [prompt for prompt, job in zip(prompts, ends, strict=True) if job["status"] == "completed"]
    assert dict.fromkeys(sure, 1).items() <= paid(fake).items()
    assert set(paid(fake).values()) == {1}
    outcomes = Counter((job["status"], job["error_code"]) for job in ends)
    assert outcomes.keys() <= {("completed", None), ("failed", "submission_unknown")}
    assert outcomes["completed", None] >= 6


def paid(fake: Gemini) -> dict[str, int]:
    """How often each prompt was submitted."""
    return dict(Counter(prompt_of(one.json) for one in list(fake.requests) if one.method == "POST"))


@pytest.fixture
def next_release(tmp_path: Path) -> Path:
    """A copy of us with one more step."""
    source = Path(rushes.__file__).parent
    shutil.copytree(source, tmp_path / "next" / "rushes")
    versions = tmp_path / "next" / "rushes" / "db" / "migrations" / "versions"
    (versions / f"{NEXT}_next.py").write_text(NEXT_STEP)
    return tmp_path / "next"


async def test_an_upgrade_process_by_process_fails_no_request_and_loses_no_job(
    fleet: Fleet, key: str, fake: Gemini, next_release: Path
) -> None:
    fake.requests.clear()
    jobs: dict[str, str] = {}
    stop = asyncio.Event()
    load = [asyncio.create_task(ask(fleet, key, number, jobs, stop)) for number in range(2)]
    try:
        # The schema first, under the processes of the release before.
        done = await asyncio.to_thread(fleet.fronts[0].run, "migrate", PYTHONPATH=str(next_release))
        assert done.stdout == f"the schema was upgraded from {known_versions()[-1]} to {NEXT}\n", done.stderr
        assert run_sql(fleet.url, "SELECT version_num FROM alembic_version") == [(NEXT,)]
        # An old process still starts on it: whoever crashes in the middle of an upgrade comes back.
        for one in (fleet.workers[1], fleet.fronts[0], fleet.workers[0], fleet.fronts[1]):
            if one is not fleet.workers[1]:
                one.configure(PYTHONPATH=next_release)
            assert await asyncio.to_thread(one.stop) == 0
            await asyncio.to_thread(one.start)
            before = len(jobs)
            await eventually(lambda before=before: len(jobs) > before + 4)
    finally:
        stop.set()
        failures = [error for error in await asyncio.gather(*load, return_exceptions=True) if error is not None]
    assert failures == []
    async with Client(fleet.fronts[1], key) as client:
        ended = await client.completed(list(jobs.values()))
        assert {job["job_id"] for job in (await client.jobs(limit=1000))["jobs"]} >= set(jobs.values())
    assert len(ended) == len(jobs)
    assert paid(fake) == dict.fromkeys(jobs, 1)


async def ask(fleet: Fleet, key: str, number: int, jobs: dict[str, str], stop: asyncio.Event) -> None:
    """A caller behind a balancer, which goes round and passes over a front that is not there; no 5xx is pardoned."""
    count = 0
    timeout = aiohttp.ClientTimeout(total=GENEROUS_S)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}, timeout=timeout) as session:
        while not stop.is_set():
            count += 1
            prompt = f"caller {number} film {count}."
            body = {"prompt": prompt, "model": OMNI}
            first = count % 2
            made = await at_either(fleet, first, session, "POST", "/api/v1/videos/generations", prompt, json=body)
            jobs[prompt] = made["job_id"]
            await at_either(fleet, 1 - first, session, "GET", f"{JOBS}/{made['job_id']}", prompt)
            await asyncio.sleep(0.2)


async def at_either(
    fleet: Fleet, first: int, session: aiohttp.ClientSession, method: str, path: str, once: str, **options: Any
) -> dict[str, Any]:
    for attempt in range(200):
        front = fleet.fronts[(first + attempt) % 2]
        try:
            async with session.request(
                method, front.url + path, headers={"Idempotency-Key": once}, **options
            ) as response:
                content: dict[str, Any] = await response.json()
                assert response.status == 200, (response.status, content)
                return content
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            await asyncio.sleep(0.02)
    raise AssertionError("neither front could be reached")


async def eventually(holds: Any) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came true")


async def test_a_folder_that_both_share_is_storage_enough_and_whoever_is_outgrown_ends(
    start: Start, tmp_path: Path
) -> None:
    url = shared_server().fresh()
    settings = {
        "RUSHES_DATABASE_URL": url,
        "RUSHES_SECRET_KEYS": SECRET,
        "RUSHES_PUBLIC_URL": PUBLIC_URL,
        "RUSHES_MIGRATE_ON_START": "false",
    }
    front = start(command=FRONT, data_dir=tmp_path / "shared", **settings)
    worker = start(command=WORKER, data_dir=tmp_path / "shared", running=False, **settings)
    worker.begin(listens=False)
    async with Client(front, front.key().text) as client:
        job = await client.reached((await client.create())["job_id"])
        assert job["status"] == "completed", job
        assert (await client.get(job["result"]["url"].removeprefix(PUBLIC_URL), plain=True)).status == 200
    assert worker.stop() == 0
    assert "role=worker" in worker.log_text()
    # As a later release does that takes something away.
    run_sql(url, "UPDATE schema_floor SET version = '9998'")
    assert front.ended() == 1
    assert front.log_text().endswith("; upgrade rushes\n")
    run_sql(url, f"UPDATE schema_floor SET version = '{known_versions()[-1]}'")
    shared_server().done_with(url)


def test_half_a_service_without_postgres_is_refused_in_one_line(start: Start) -> None:
    ended = start(running=False).run("worker")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "RUSHES_DATABASE_URL" in ended.stderr
