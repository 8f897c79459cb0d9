"""Quotes, limits, the ledger and settling, over real HTTP and through kill -9."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.gemini import Gemini

CREATES = 200
FIT = 20
ASKED = {"prompt": "a lighthouse", "model": OMNI, "duration": 4}


@pytest.fixture
def held_google(start: Start, fake: Gemini) -> Service:
    """A service in which every paid job stays pending."""
    return start(**google_settings(fake, RUSHES_HOLD_S=3600))


async def cost_of(client: Client, **fields: Any) -> float:
    quote = (await client.post("/api/v1/videos/quote", json={**ASKED, **fields})).ok()
    assert isinstance(quote["cost"], float)
    return quote["cost"]


async def transactions(client: Client, **query: Any) -> list[dict[str, Any]]:
    """All the account's lines, page by page, oldest first."""
    lines: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get("/api/v1/user/transactions", params={"limit": 150, **query, **cursor})).ok()
        lines += page["transactions"]
        if page["next_cursor"] is None:
            return lines[::-1]
        cursor = {"cursor": page["next_cursor"]}


def set_limits(service: Service, *options: str, account: str = "default") -> None:
    done = service.run("limits", "set", "--account", account, *options)
    assert done.returncode == 0, done.stderr


async def test_200_creates_at_once_never_pass_a_cap_and_a_kill_forgets_none(held_google: Service) -> None:
    key = held_google.key(test=False).text
    async with Client(held_google, key) as client:
        cost = await cost_of(client)
        set_limits(held_google, "--spend-day", f"{cost * FIT:.6f}", "--spend-ever", "100000")
        answers = await asyncio.gather(*(client.generate(**ASKED) for _ in range(CREATES)))
        accepted = [answer.ok()["job_id"] for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status != 200]
        assert (len(accepted), len(refused)) == (FIT, CREATES - FIT)
        problem = refused[0].problem(402)
        assert problem["code"] == "spend_limit_reached"
        told = problem["spend_limit"]
        assert (told["name"], told["key_id"], told["spent"], told["cost"]) == ("spend_day", None, 0, cost)
        assert told["reserved"] == told["limit"] == pytest.approx(cost * FIT)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", told["resets_at"])
        assert 0 < int(refused[0].headers["Retry-After"]) <= 86_400

        assert (await client.cancel(accepted[0])).status == 200
        assert (await client.generate(**ASKED)).status == 200
    held_google.kill()
    held_google.start()
    async with Client(held_google, key) as client:
        (await client.generate(**ASKED)).problem(402)
        lines = await transactions(client)
        assert [line["kind"] for line in lines] == [*["reserve"] * FIT, "release", "reserve"]
        assert lines[-1]["total_reserved"] == pytest.approx(cost * FIT)
        listed = held_google.run("limits", "list").stdout
        assert "spend-day" in listed
        assert "0.00" in listed


async def test_the_books_add_up_after_a_kill_among_creates(held_google: Service) -> None:
    async with Client(held_google, held_google.key(test=False).text) as client:
        cost = await cost_of(client)

        async def attempt() -> None:
            await client.generate(**ASKED)

        under_way = [asyncio.create_task(attempt()) for _ in range(CREATES)]
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        held_google.kill()
        await asyncio.gather(*under_way, return_exceptions=True)
        held_google.start()
        jobs = (await client.jobs(limit=1000))["jobs"]
        lines = await transactions(client, kind="reserve")
        assert {line["job_id"] for line in lines} == {job["job_id"] for job in jobs}
        assert len(lines) == len(jobs) > 0
        assert lines[-1]["total_reserved"] == pytest.approx(cost * len(jobs))
    ((reserved, spent),) = held_google.rows(
        "SELECT reserved_microusd, spent_microusd FROM balances WHERE key_id = '' AND period = 'ever'"
    )
    assert (reserved, spent) == (round(cost * 1_000_000) * len(jobs), 0)


async def test_a_quote_is_what_the_job_reserves_and_says_how_it_is_made_up(google: Service, live: Client) -> None:
    asked = {**ASKED, "n": 2, "fallback_models": ["gemini-omni-1.1-flash"]}
    quote = (await live.post("/api/v1/videos/quote", json=asked)).ok()
    assert quote["cost"] == pytest.approx(quote["duration"] * quote["n"] * quote["usd_per_second"])
    assert (quote["duration"], quote["n"], quote["currency"], quote["estimated"]) == (4, 2, "USD", True)
    assert quote["source"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", quote["checked"])
    assert [one["model"] for one in quote["fallbacks"]] == ["gemini-omni-1.1-flash"]
    assert quote["reserved"] == max(quote["cost"], quote["fallbacks"][0]["cost"])
    assert (quote["limits"], quote["within_limits"], quote["refusal"]) == ([], True, None)
    started = (await live.generate(**asked)).ok()
    assert started["usage"] == {"cost": quote["cost"], "currency": "USD", "estimated": True}
    job = await live.reached(started["job_id"], "completed")
    assert job["usage"] == {"cost": quote["cost"], "currency": "USD", "estimated": False}
    lines = await transactions(live, job_id=started["job_id"])
    assert [(line["kind"], line["reserved"], line["spent"]) for line in lines] == [
        ("reserve", quote["reserved"], 0),
        ("settle", -quote["reserved"], quote["cost"]),
    ]
    (await live.post("/api/v1/videos/quote", json={**ASKED, "duration": 99})).problem(400)
    (await live.post("/api/v1/videos/quote", json={**ASKED, "lenght": 4})).problem(400)


async def test_a_limit_of_one_key_leaves_the_accounts_other_keys_alone(google: Service) -> None:
    account = "two-keys"
    small, large = (google.key(account=account, test=False) for _ in range(2))
    set_limits(google, "--key", small.id, "--spend-month", "0.01", account=account)
    async with Client(google, small.text) as client:
        problem = (await client.generate(**ASKED)).problem(402)
        assert problem["spend_limit"]["key_id"] == small.id
        quote = (await client.post("/api/v1/videos/quote", json=ASKED)).ok()
        assert (quote["within_limits"], quote["refusal"]["code"]) == (False, "spend_limit_reached")
        assert [(one["name"], one["left"]) for one in quote["limits"]] == [("spend_month", 0.01)]
        assert (await client.get("/api/v1/user/usage")).ok()["remaining"]["spend_month"] == 0.01
        compatible = await client.post("/v1/videos", json={"prompt": "x", "model": f"google/{OMNI}", "seconds": "4"})
        error = compatible.json()["error"]
        assert (compatible.status, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota")
        own = (await client.generate(**ASKED, byok_api_key="AIzaCallersOwnKey0123456789")).ok()
        assert own["usage"]["cost"] == 0
    set_limits(google, "--spend-day", "1000", account=account)
    async with Client(google, large.text) as client:
        cost = (await client.generate(**ASKED)).ok()["usage"]["cost"]
        remaining = (await client.get("/api/v1/user/usage")).ok()["remaining"]
        assert (remaining["spend_day"], remaining["spend_month"]) == (pytest.approx(1000 - cost), None)
    async with Client(google, google.key(account=account).text) as client:
        assert (await client.generate(**ASKED)).status == 200
    assert google.run("limits", "clear", "--account", account, "--key", small.id).returncode == 0
    async with Client(google, small.text) as client:
        assert (await client.generate(**ASKED)).status == 200


async def test_an_unknown_submission_keeps_its_reservation_until_the_operator_settles_it(google: Service) -> None:
    key = google.key(account="unsettled", test=False)
    async with Client(google, key.text) as client:
        job_id = (await client.generate(**{**ASKED, "prompt": "gone #fake:submit-drop"})).ok()["job_id"]
        job = await client.reached(job_id)
        assert job["error_code"] == "submission_unknown"
        assert job["usage"]["estimated"] is True
        (line,) = [line for line in google.run("jobs", "settle").stdout.splitlines() if job_id in line]
        assert "submission_unknown" in line
        done = google.run("jobs", "settle", job_id, "--cost", "1.20")
        assert done.returncode == 0, done.stderr
        assert job_id not in google.run("jobs", "settle").stdout
        assert (await client.job(job_id))["usage"] == {"cost": 1.2, "currency": "USD", "estimated": False}
        assert (await client.get("/api/v1/user/usage")).ok()["total_cost"] == 1.2
        (row,) = csv.DictReader(io.StringIO(google.run("usage", "--account", "unsettled", "--csv").stdout))
        assert (row["model"], row["jobs"], row["failed"], row["cost_usd"]) == (OMNI, "1", "1", "1.2")
        assert "1 jobs, 1.2 USD" in google.run("usage", "--account", "unsettled").stderr
        (await client.get("/api/v1/user/transactions", params={"kind": "theft"})).problem(422)
        (await client.get("/api/v1/user/transactions", params={"created_before": "0.5"})).problem(422)
        (await client.get("/api/v1/user/transactions", params={"job": job_id})).problem(400)
