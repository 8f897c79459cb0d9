"""Several keys of one provider, over real sockets: each job stays with its key, and a key in trouble costs no job."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings, prompt_of
from tests.fixtures.service import Client, Service, until
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.gemini import Gemini
from tests.fixtures.upstreams.gemini_scripts import API_KEY_INVALID, SUBMIT_REFUSALS
from tests.fixtures.upstreams.scripted import response_to
from tests.fixtures.upstreams.vertex import Vertex

KEYS = {name: f"AIzaPoolKey-{name}-0123456789" for name in ("red", "green", "blue")}
JOBS = 24
FALLS_BACK = {"fallback_models": ["animatic/storyboard"], "duration": 3, "resolution": "360p"}


class OwningGemini(Gemini):
    """Knows which key made each interaction, and notes every other key that asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[str, str] = {}
        self.strangers: list[str] = []
        self.dead: set[str] = set()
        self.limited: set[str] = set()
        self.is_holding = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("x-goog-api-key", "")
        if request.method == "POST" and request.path == "/v1beta/interactions":
            refused = API_KEY_INVALID if key in self.dead else SUBMIT_REFUSALS["quota"] if key in self.limited else None
            if refused is not None:
                return response_to(refused)
            known = set(self.interactions)
            answer = await super().handle(request)
            self.owners |= dict.fromkeys(set(self.interactions) - known, key)
            return answer
        if found := re.search(r"/(?:interactions/([^/]+)|files/file(\d+)\w*:)", request.path):
            interaction = found[1] or f"v1_ChdFake{found[2]}-_"
            if self.owners.get(interaction) != key:
                self.strangers.append(f"{interaction} was asked for with '{key}'")
            if self.is_holding and found[1]:
                return web.json_response({"id": interaction, "object": "interaction", "status": "in_progress"})
        return await super().handle(request)

    def submits_with(self, name: str) -> int:
        """How many submissions came with the key of this name, accepted or not."""
        return sum(
            one.method == "POST"
            and one.path == "/v1beta/interactions"
            and one.headers.get("x-goog-api-key") == KEYS[name]
            for one in list(self.requests)
        )


@pytest.fixture
def gemini() -> Iterator[OwningGemini]:
    with beside(OwningGemini()) as upstream:
        yield upstream


@pytest.fixture
def vertex() -> Iterator[Vertex]:
    with beside(Vertex()) as upstream:
        yield upstream


def pool(*listed: dict[str, Any]) -> str:
    return json.dumps([{"key": KEYS[one["name"]], **one} if "key" not in one else one for one in listed])


def pooled(start: Start, gemini: OwningGemini, *listed: dict[str, Any], **more: object) -> Service:
    settings = google_settings(gemini, RUSHES_PROVIDERS__GOOGLE__KEYS=pool(*listed), **more)
    return start(**settings)


def accepted(service: Service) -> int:
    ((found,),) = service.rows("SELECT COUNT(*) FROM attempts WHERE state = 'accepted'")
    return int(found)


async def generated(client: Client, prompts: list[str], **fields: Any) -> list[str]:
    made = await asyncio.gather(*(client.generate(prompt=prompt, model=OMNI, **fields) for prompt in prompts))
    return [answer.ok()["job_id"] for answer in made]


async def test_keys_of_both_kinds_share_the_jobs_and_each_stays_with_its_own_through_kills(
    start: Start, gemini: OwningGemini, vertex: Vertex
) -> None:
    service = pooled(
        start,
        gemini,
        {"name": "red"},
        {"name": "green"},
        {"name": "account", "key": vertex.service_account()},
        RUSHES_PROVIDERS__GOOGLE__VERTEX_BASE_URL=vertex.base_url,
        RUSHES_PROVIDERS__GOOGLE__TOKEN_URL=vertex.token_url,
        RUSHES_PROVIDERS__GOOGLE__STORAGE_URL=vertex.base_url,
    )
    key = service.key(test=False).text
    job_ids: list[str] = []
    for batch in range(3):
        async with Client(service, key) as client:
            job_ids += await generated(client, [f"take {batch}-{number}." for number in range(JOBS // 3)])
        service.kill()
        service.start()
    async with Client(service, key) as client:
        jobs = [await client.reached(job_id) for job_id in job_ids]
        shown = {one["name"]: one["state"] for one in (await client.get("/readyz", plain=True)).ok()["credentials"]}
    assert {(job["status"], job["error_code"]) for job in jobs} <= {
        ("completed", None),
        ("failed", "submission_unknown"),
    }
    assert gemini.strangers == []
    assert set(Counter(prompt_of(one.json) for one in gemini.requests if one.method == "POST").values()) == {1}
    names = Counter(name for (name,) in service.rows("SELECT credential_name FROM jobs"))
    assert names.keys() == {"red", "green", "account"}, names
    of_interaction = dict(service.rows("SELECT provider_video_id, credential_name FROM jobs WHERE surface = 'gemini'"))
    for interaction, owner in gemini.owners.items():
        if interaction in of_interaction:
            assert KEYS[of_interaction[interaction]] == owner
    assert shown == {"red": "up", "green": "up", "account": "up"}


async def test_a_refused_key_and_a_limited_key_leave_their_jobs_to_the_third(
    start: Start, gemini: OwningGemini
) -> None:
    gemini.dead = {KEYS["red"]}
    gemini.limited = {KEYS["green"]}
    service = pooled(start, gemini, {"name": "red", "weight": 10}, {"name": "green"}, {"name": "blue"})
    async with Client(service, service.key(test=False).text) as client:
        # Of a fallback nothing is seen: the other keys come before it.
        await client.completed(await generated(client, ["first"], **FALLS_BACK))
        rest = await generated(client, [f"scene {number}" for number in range(10)])
        jobs = await client.completed(rest)
        shown = {one["name"]: one for one in (await client.get("/readyz", plain=True)).ok()["credentials"]}
        metrics = (await client.get("/metrics", plain=True)).body.decode()
    assert {job["served_model"] for job in jobs} == {OMNI}
    assert set(gemini.owners.values()) == {KEYS["blue"]}
    assert gemini.submits_with("red") <= 3
    assert shown["red"]["state"] == "broken"
    assert shown["blue"]["state"] == "up"
    assert 'rushes_credential_jobs_total{credential="blue",provider="google",state="succeeded"} 11.0' in metrics
    assert 'rushes_breaker_state{credential="red",provider="google",surface="gemini"}' in metrics
    for secret in KEYS.values():
        assert secret not in metrics
        assert secret not in service.log_text()
    usage = service.run("usage", "--by", "credential", "--csv").stdout.splitlines()
    (row,) = usage[1:]
    assert row.split(",")[1:5] == ["google", "blue", "11", "11"]


async def test_with_every_key_refused_a_job_falls_back_and_without_fallback_fails(
    start: Start, gemini: OwningGemini
) -> None:
    gemini.dead = {KEYS["red"], KEYS["green"]}
    service = pooled(start, gemini, {"name": "red"}, {"name": "green"})
    async with Client(service, service.key(test=False).text) as client:
        (first,) = await generated(client, ["first"])
        failed = await client.reached(first)
        assert (failed["status"], failed["error_code"]) == ("failed", "provider_auth")
        (drawn,) = await client.completed(await generated(client, ["second"], **FALLS_BACK))
        assert drawn["served_model"] == "animatic/storyboard"
    assert gemini.interactions == {}


async def test_a_disabled_key_keeps_its_jobs_and_a_removed_one_fails_them_until_it_is_back(
    start: Start, gemini: OwningGemini
) -> None:
    service = pooled(start, gemini, {"name": "red"})
    key = service.key(test=False).text
    gemini.is_holding = True
    async with Client(service, key) as client:
        job_ids = await generated(client, ["the one that is kept", "the one that is lost"])
        await until(lambda: len(gemini.owners) == 2)
        for job_id in job_ids:
            await client.reached(job_id, "in_progress")
    await until(lambda: accepted(service) == 2)
    service.stop()
    service.configure(RUSHES_PROVIDERS__GOOGLE__KEYS=pool({"name": "red", "enabled": False}, {"name": "blue"}))
    service.start()
    async with Client(service, key) as client:
        (new,) = await generated(client, ["a new one"])
        await until(lambda: KEYS["blue"] in gemini.owners.values())
        await until(lambda: accepted(service) == 3)
        assert (await client.job(job_ids[0]))["status"] == "in_progress"
    service.kill()
    service.configure(RUSHES_PROVIDERS__GOOGLE__KEYS=pool({"name": "blue"}))
    service.start()
    async with Client(service, key) as client:
        for job_id in job_ids:
            failed = await client.reached(job_id, "failed")
            assert failed["error_code"] == "provider_auth"
            assert "'red' of 'google', with which this job was submitted, is no longer configured" in failed["error"]
        assert (await client.job(new))["status"] == "in_progress"
    service.stop()
    gemini.is_holding = False
    service.configure(RUSHES_PROVIDERS__GOOGLE__KEYS=pool({"name": "red", "enabled": False}, {"name": "blue"}))
    service.start()
    for job_id in job_ids:
        recovered = service.run("jobs", "recover", job_id)
        assert recovered.returncode == 0, recovered.stderr
    async with Client(service, key) as client:
        # To callers a job that is recovered stays failed until its video is there.
        for job_id in (*job_ids, new):
            await client.reached(job_id, "completed")
    assert gemini.strangers == []
    assert len(gemini.owners) == 3


async def test_without_the_last_key_a_job_waits_and_once_its_time_ends_fails_until_the_key_is_back(
    start: Start, gemini: OwningGemini
) -> None:
    service = pooled(start, gemini, {"name": "red"})
    key = service.key(test=False).text
    gemini.is_holding = True
    async with Client(service, key) as client:
        (job_id,) = await generated(client, ["the one that is lost"])
        await until(lambda: accepted(service) == 1)
    service.stop()
    for setting in ("RUSHES_PROVIDERS__GOOGLE__KEYS", "GEMINI_API_KEY"):
        service.forget(setting)
    service.start()
    async with Client(service, key) as client:
        trouble = "SELECT trouble_code, trouble FROM jobs"
        await until(lambda: service.rows(trouble)[0][0] == "provider_auth")
        assert "No credential of 'google' is configured" in service.rows(trouble)[0][1]
        assert (await client.job(job_id))["status"] == "in_progress"
    service.stop()
    service.change("UPDATE jobs SET deadline_at = created_at")
    service.start()
    async with Client(service, key) as client:
        failed = await client.reached(job_id, "failed")
        assert failed["error_code"] == "provider_auth"
        assert "'red' of 'google', with which this job was submitted, is no longer configured" in failed["error"]
    service.stop()
    gemini.is_holding = False
    service.configure(RUSHES_PROVIDERS__GOOGLE__KEYS=pool({"name": "red", "enabled": False}))
    service.start()
    recovered = service.run("jobs", "recover", job_id)
    assert recovered.returncode == 0, recovered.stderr
    async with Client(service, key) as client:
        await client.reached(job_id, "completed")
    assert gemini.strangers == []
    assert len(gemini.owners) == 1


async def test_a_key_has_no_more_jobs_at_its_provider_than_it_may(start: Start, gemini: OwningGemini) -> None:
    service = pooled(start, gemini, {"name": "red", "in_flight": 2}, {"name": "green", "in_flight": 1})
    gemini.is_holding = True
    async with Client(service, service.key(test=False).text) as client:
        job_ids = await generated(client, [f"scene {number}" for number in range(8)])
        await until(lambda: len(gemini.owners) == 3)
        assert Counter(gemini.owners.values()) == {KEYS["red"]: 2, KEYS["green"]: 1}
        gemini.is_holding = False
        await client.completed(job_ids)
    assert len(gemini.owners) == 8
    assert gemini.strangers == []
