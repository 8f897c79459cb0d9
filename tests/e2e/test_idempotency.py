"""Idempotency-Key: however often and however concurrently a request is sent, it makes one job and has one answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.google import DEFAULT, OMNI, google_settings, submits
from tests.fixtures.service import Answer, Client, Service
from tests.fixtures.upstreams.gemini import Gemini

GENERATIONS = "/api/v1/videos/generations"
KEYS = 40
DUPLICATES = 12


async def once(client: Client, key: str, **fields: Any) -> Answer:
    return await client.post(GENERATIONS, json=fields, headers={"Idempotency-Key": key})


async def test_forty_requests_sent_twelve_times_at_once_are_forty_jobs(start: Start, fake: Gemini) -> None:
    service = start(**google_settings(fake))
    async with Client(service, service.key(test=False).text) as client:
        answers = await asyncio.gather(
            *(
                once(client, f"order-{number}", prompt=f"film number {number}", model=OMNI)
                for _ in range(DUPLICATES)
                for number in range(KEYS)
            )
        )
        job_ids = set()
        for number in range(KEYS):
            same = answers[number::KEYS]
            assert {answer.body for answer in same} == {same[0].body}
            assert sum("Idempotent-Replayed" in answer.headers for answer in same) == DUPLICATES - 1
            assert {answer.headers["Location"] for answer in same} == {same[0].headers["Location"]}
            job_ids.add(same[0].ok()["job_id"])
        assert len(job_ids) == KEYS
        assert (await client.jobs())["total"] == KEYS
        await client.completed(sorted(job_ids))
    for number in range(KEYS):
        assert len(submits(fake, f"film number {number}")) == 1


async def test_the_answer_stays_the_same_when_the_job_has_ended(live: Client) -> None:
    first = await once(live, "late", prompt="ends first")
    await live.completed([first.ok()["job_id"]])
    again = await once(live, "late", prompt="ends first")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Deprecation"] == first.headers["Deprecation"]
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers


async def test_the_order_of_fields_does_not_count(live: Client) -> None:
    text = json.dumps({"model": DEFAULT, "prompt": "in any order"}, indent=4)
    first = await once(live, "order", prompt="in any order", model=DEFAULT)
    headers = {"Idempotency-Key": "order", "Content-Type": "application/json"}
    again = await live.post(GENERATIONS, data=text, headers=headers)
    assert (again.ok(), again.headers["Idempotent-Replayed"]) == (first.ok(), "true")


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "other"},
        {"prompt": "one", "duration": 8},
        {"prompt": "one", "byok_api_key": "own-key-0123456789"},
        {"prompt": "one", "n": None},
        {"prompt": 1},
    ],
)
async def test_another_body_under_the_same_key_is_refused(live: Client, other: dict[str, Any]) -> None:
    key = f"reused-{json.dumps(other)}"
    first = (await once(live, key, prompt="one")).ok()
    problem = (await once(live, key, **other)).problem(422)
    assert "Idempotency-Key" in problem["detail"]
    assert "own-key" not in problem["detail"].replace(key, "")
    assert (await once(live, key, prompt="one")).ok() == first


async def test_of_two_bodies_at_once_one_wins_and_the_other_is_refused(live: Client) -> None:
    before = (await live.jobs())["total"]
    answers = await asyncio.gather(*(once(live, "race", prompt=f"racer {number % 2}") for number in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 10 + [422] * 10
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert (await live.jobs())["total"] == before + 1


async def test_a_refusal_is_not_stored(live: Client) -> None:
    (await once(live, "mended", prompt="x", duration=5)).problem(400)
    (await once(live, "mended", prompt="x", model="no-such-model")).problem(404)
    (await once(live, "mended", prompt=1)).problem(422)
    answer = await once(live, "mended", prompt="x")
    answer.ok()
    assert "Idempotent-Replayed" not in answer.headers


async def test_it_survives_a_crash_and_ends_after_a_day(start: Start, fake: Gemini) -> None:
    service = start(**google_settings(fake))
    key = service.key(test=False).text
    async with Client(service, key) as client:
        first = await once(client, "kept", prompt="before the crash")
    service.kill()
    service.start()
    async with Client(service, key) as client:
        again = await once(client, "kept", prompt="before the crash")
        assert again.body == first.body
        (await once(client, "kept", prompt="another")).problem(422)
        service.change("UPDATE idempotency SET created_at = created_at - 86400001")
        later = await once(client, "kept", prompt="another")
        assert later.ok()["job_id"] != first.ok()["job_id"]
        assert "Idempotent-Replayed" not in later.headers


async def test_keys_are_an_accounts_own(google: Service, live: Client) -> None:
    first = (await once(live, "shared", prompt="whose")).ok()
    same_account = google.key(test=False).text
    async with Client(google, same_account) as client:
        assert (await once(client, "shared", prompt="whose")).ok() == first
    async with Client(google, google.key(test=False, account="others").text) as client:
        answer = await once(client, "shared", prompt="whose")
        assert answer.ok()["job_id"] != first["job_id"]
        assert "Idempotent-Replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there"])
async def test_a_key_that_is_none_is_refused(live: Client, key: str) -> None:
    problem = (await once(live, key, prompt="x")).problem(422)
    assert "Idempotency-Key" in problem["detail"]
    assert problem["errors"][0]["field"] == "Idempotency-Key"


async def test_the_longest_key_is_taken(live: Client) -> None:
    (await once(live, "k" * 255, prompt="x")).ok()


async def test_a_live_and_a_test_key_do_not_share_answers(google: Service, live: Client, fake: Gemini) -> None:
    real = (await once(live, "both", prompt="paid for")).ok()
    async with Client(google, google.key(test=True).text) as client:
        answer = await once(client, "both", prompt="paid for")
        drawn = answer.ok()
        assert drawn["job_id"] != real["job_id"]
        assert (await once(client, "both", prompt="paid for")).ok() == drawn
    # The test key has its own answer, and nothing is paid twice.
    assert (await once(live, "both", prompt="paid for")).ok() == real
    await live.completed([real["job_id"]])
    assert len(submits(fake, "paid for")) == 1
