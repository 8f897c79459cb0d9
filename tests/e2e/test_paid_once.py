"""Whatever breaks, one job is submitted to a provider once, unless the provider surely has not accepted it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings, prompt_of, submits
from tests.fixtures.ports import free_port
from tests.fixtures.service import Client, Service, until
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.gemini import Gemini
from tests.fixtures.upstreams.hesitant import Hesitant

JOBS = 90
KILLS = 3


@pytest.fixture
def hesitant() -> Iterator[Hesitant]:
    with beside(Hesitant(0.3)) as upstream:
        yield upstream


async def test_kills_while_ninety_jobs_are_being_submitted_pay_for_none_twice(start: Start, hesitant: Hesitant) -> None:
    service = start(**google_settings(hesitant))
    chance = random.Random(9)
    job_ids: dict[str, str] = {}
    key = service.key(test=False).text
    for _ in range(KILLS):
        async with Client(service, key) as client:
            prompts = [f"take {len(job_ids) + number}." for number in range(JOBS // KILLS)]
            made = await asyncio.gather(*(client.generate(prompt=prompt, model=OMNI) for prompt in prompts))
            job_ids |= {prompt: answer.ok()["job_id"] for prompt, answer in zip(prompts, made, strict=True)}
            await asyncio.sleep(chance.uniform(0, 0.4))
        service.kill()
        service.start()
    async with Client(service, key) as client:
        jobs = {prompt: await client.reached(job_id) for prompt, job_id in job_ids.items()}
        assert (await client.jobs())["total"] == JOBS
        assert (await client.jobs(status="pending"))["total"] == 0
    sent = Counter(prompt_of(one.json) for one in hesitant.requests if one.method == "POST")
    assert set(sent.values()) == {1}
    ends = Counter((job["status"], job["error_code"]) for job in jobs.values())
    # On a slow machine each job may be amid its submission when the process is killed.
    assert ends.keys() - {("completed", None)} == {("failed", "submission_unknown")}, ends
    for prompt, job in jobs.items():
        if job["status"] == "completed":
            assert sent[prompt] == 1
        else:
            assert "may be charged" in job["error"]
    assert set(service.rows("SELECT ready, in_use FROM lanes")) <= {(0, 0)}
    # What is unknown can be settled by an operator, and nothing else waits.
    waiting = service.run("jobs", "reconcile")
    assert len(waiting.stdout.splitlines()) == ends["failed", "submission_unknown"]


async def test_a_stop_waits_for_the_answers_to_submits_under_way(start: Start, hesitant: Hesitant) -> None:
    service = start(**google_settings(hesitant))
    key = service.key(test=False).text
    async with Client(service, key) as client:
        job_ids = [(await client.generate(prompt=f"scene {number}.")).ok()["job_id"] for number in range(20)]
    assert service.stop() == 0
    service.start()
    async with Client(service, key) as client:
        await client.completed(job_ids)
    for number in range(20):
        assert len(submits(hesitant, f"scene {number}.")) == 1


@pytest.mark.parametrize(
    "script",
    ["submit-drop", "submit-html", "submit-bad-json", "submit-empty", "submit-no-id", "submit-list", "submit-huge"],
)
async def test_a_lost_answer_is_never_submitted_again(google: Service, live: Client, fake: Gemini, script: str) -> None:
    envelope = (await live.generate(prompt=f"#fake:{script}")).ok()
    job = await live.reached(envelope["job_id"])
    assert (job["status"], job["error_code"]) == ("failed", "submission_unknown")
    assert "may be charged" in job["error"]
    assert job["usage"]["estimated"] is True
    assert job["usage"]["cost"] > 0
    assert len(submits(fake, f"#fake:{script}")) == 1
    assert envelope["job_id"] in google.run("jobs", "reconcile").stdout
    # One that is answered in between, or the breaker would let the fifth of these wait.
    await live.completed([(await live.generate(prompt="a kite")).ok()["job_id"]])


@pytest.mark.parametrize("script", ["quota", "quota-header", "quota-date", "quota-retry-info"])
async def test_a_429_is_tried_again_as_a_new_attempt(google: Service, live: Client, fake: Gemini, script: str) -> None:
    prompt = f"after {script}"
    fake.play(script)
    envelope = (await live.generate(prompt=prompt)).ok()
    await live.completed([envelope["job_id"]])
    assert len(submits(fake, prompt)) == 2
    attempts = google.rows(f"SELECT state FROM attempts WHERE job_id = '{envelope['job_id']}'")
    assert attempts == [("stored",)]


async def test_a_provider_that_cannot_be_reached_is_tried_until_it_can(start: Start) -> None:
    port = free_port()
    upstream = Gemini()
    upstream.base_url = f"http://127.0.0.1:{port}"
    service = start(**google_settings(upstream))
    async with Client(service, service.key(test=False).text) as client:
        job_id = (await client.generate(prompt="patience")).ok()["job_id"]
        await until(lambda: service.log_text().count("submit_will_be_repeated") >= 3)
        with beside(upstream, port=port):
            await client.completed([job_id])
            assert len(submits(upstream, "patience")) == 1
