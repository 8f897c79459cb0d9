"""Fallback models, with a provider that refuses us for its own reasons or is not there at all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.service import Client, Key, Service
from tests.fixtures.upstreams.gemini import Gemini

SPARE = "animatic/storyboard"
OMNI = "google/gemini-omni-1.2-flash"
FILM = {"prompt": "a lighthouse", "model": OMNI, "duration": 3, "resolution": "360p"}
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
async def gemini() -> AsyncIterator[Gemini]:
    async with Gemini() as running:
        yield running


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose Google is not there."""
    folder = tmp_path_factory.mktemp("lonely")
    running = Service(folder, RUSHES_PROVIDERS__GOOGLE__BASE_URL=NOBODY, GEMINI_API_KEY="a-key-of-ours").start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def live_key(lonely: Service) -> Key:
    """A live key of it."""
    return lonely.key(test=False)


@pytest.fixture
async def live(service: Service) -> AsyncIterator[Client]:
    """A live key's client of a service without any provider's key."""
    async with Client(service, service.key(test=False).text) as opened:
        yield opened


def with_google(start: Start, base_url: str, **settings: object) -> Service:
    return start(RUSHES_PROVIDERS__GOOGLE__BASE_URL=base_url, GEMINI_API_KEY="a-key-of-ours", **settings)


async def made(client: Client, **fields: Any) -> dict[str, Any]:
    """The job of a generation, once it has ended."""
    envelope = (await client.generate(**{**FILM, **fields})).ok()
    return await client.reached(envelope["job_id"])


@pytest.mark.parametrize("script", ["no-credit", "key-blocked", "quota-retry-info"])
async def test_a_fallback_draws_what_the_provider_will_not_accept(start: Start, gemini: Gemini, script: str) -> None:
    service = with_google(start, gemini.base_url)
    async with Client(service, service.key(test=False).text) as client:
        gemini.play(script)
        job = await made(client, fallback_models=[SPARE])
        assert job["status"] == "completed", job
        assert (job["provider"], job["model"]) == ("google", "gemini-omni-1.2-flash")
        assert job["served_model"] == SPARE
        assert job["usage"] == {"cost": 0.0, "currency": "USD", "estimated": False}
        assert job["request"]["fallback_models"] == [SPARE]
        assert f"'{SPARE}' serves this request, because '{OMNI}' did not accept it" in job["warnings"][0]
        assert (job["result"]["duration"], job["result"]["height"]) == (3, 360)
    assert gemini.interactions == {}


async def test_the_next_model_of_the_same_provider_may_take_over(start: Start, gemini: Gemini) -> None:
    service = with_google(start, gemini.base_url)
    async with Client(service, service.key(test=False).text) as client:
        gemini.play("key-blocked")
        job = await made(client, fallback_models=["gemini-omni-1.1-flash", SPARE])
        assert job["status"] == "completed", job
        assert job["served_model"] == "gemini-omni-1.1-flash"
    assert [one.model for one in gemini.interactions.values()] == ["gemini-omni-1.1-flash"]


async def test_a_submission_that_may_have_been_accepted_is_given_to_nobody_else(start: Start, gemini: Gemini) -> None:
    service = with_google(start, gemini.base_url)
    async with Client(service, service.key(test=False).text) as client:
        gemini.play("submit-drop")
        job = await made(client, fallback_models=[SPARE])
        assert job["error_code"] == "submission_unknown"
        assert job["served_model"] == "gemini-omni-1.2-flash"


async def test_a_provider_that_is_not_there_opens_its_breaker_and_jobs_go_round_it(start: Start) -> None:
    service = with_google(start, NOBODY)
    async with Client(service, service.key(test=False).text) as client:
        assert (await client.get("/readyz", plain=True)).ok()["breakers"] == []
        first, second = await made(client, fallback_models=[SPARE]), await made(client, fallback_models=[SPARE])
        third = await made(client, fallback_models=[SPARE])
        assert {job["status"] for job in (first, second, third)} == {"completed"}
        assert {job["served_model"] for job in (first, second, third)} == {SPARE}
        (breaker,) = (await client.get("/readyz", plain=True)).ok()["breakers"]
        metrics = await client.get("/metrics", plain=True)
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert re.search(rb'^rushes_breaker_state\{[^}]*provider="google"[^}]*\} [12]', metrics.body, re.MULTILINE)
        assert (breaker["provider"], breaker["surface"]) == ("google", "gemini")
        assert breaker["state"] in ("open", "half_open")
        assert breaker["failures"] >= 5
        assert "a-key-of-ours" not in str(breaker)


@pytest.mark.parametrize(
    ("fields", "status", "field", "words"),
    [
        ({"fallback_models": ["animatic/storybord"]}, 404, None, "storybord"),
        ({"fallback_models": [SPARE, SPARE]}, 422, "fallback_models.1", "asked for already"),
        ({"fallback_models": [OMNI]}, 422, "fallback_models.0", "asked for already"),
        ({"fallback_models": [""]}, 422, "fallback_models.0", "empty"),
        ({"fallback_models": ["a", "b", "c", "d", "e", "f"]}, 422, "fallback_models", "5"),
        ({"fallback_models": SPARE}, 422, "fallback_models", "list"),
        ({"fallback_models": ["gemini-omni-1.1-flash"], "duration": 15}, 400, "fallback_models.0", "duration 15"),
        ({"fallback_models": [SPARE], "byok_api_key": "a-key-of-mine"}, 400, "fallback_models.0", "byok_api_key"),
        (
            {"fallback_models": [SPARE], "additional_params": {"labels": {}}},
            400,
            "fallback_models.0",
            "additional_params",
        ),
    ],
)
async def test_a_fallback_that_could_not_take_over_is_refused_at_once(
    lonely: Service, live_key: Key, fields: dict[str, Any], status: int, field: str | None, words: str
) -> None:
    async with Client(lonely, live_key.text) as client:
        problem = (await client.generate(**{**FILM, **fields})).problem(status)
        assert words in problem["detail"] + str(problem.get("errors"))
        if field is not None:
            assert problem["errors"][0]["field"] == field
        assert (await client.jobs())["total"] == 0


async def test_a_fallback_without_credentials_is_refused_at_once(live: Client) -> None:
    answer = await live.generate(**{**FILM, "model": SPARE, "fallback_models": [OMNI]})
    assert OMNI in answer.problem(503)["detail"]
