"""Limits of each of the people whom one key serves, and usage by them, in two processes on one Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fixtures.google import OMNI, google_settings
from tests.fixtures.postgres import shared_server
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.gemini import Gemini

PRICED = {"model": OMNI}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, fake: Gemini) -> Iterator[tuple[Service, Service]]:
    """Two processes on one Postgres, in which every job stays pending."""
    shared: dict[str, Any] = google_settings(
        fake,
        RUSHES_DATABASE_URL=shared_server().fresh(),
        RUSHES_SECRET_KEYS="0123456789abcdef0123456789abcdef",
        RUSHES_HOLD_S=3600,
        RUSHES_TEST_HOLD_S=3600,
    )
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for folder in folders:
        (folder / "data").mkdir()
    (folders[0] / "data" / "storage").mkdir()
    (folders[1] / "data" / "storage").symlink_to(folders[0] / "data" / "storage")
    pair = (Service(folders[0], **shared).start(), Service(folders[1], **shared).start())
    yield pair
    for one in pair:
        one.finish()


def done(service: Service, *arguments: str) -> str:
    made = service.run(*arguments)
    assert made.returncode == 0, made.stderr
    return made.stdout


async def test_each_user_has_so_many_requests_a_minute_on_every_surface_of_both_processes(
    two: tuple[Service, Service],
) -> None:
    key = two[0].key(account="many")
    done(two[0], "limits", "set", "--account", "many", "--user-requests-per-minute", "3")
    async with Client(two[0], key.text) as near, Client(two[1], key.text) as far:
        answers = [
            await near.generate(prompt="x", user="u1"),
            await far.generate(prompt="x", user="u1"),
            await far.post("/v1/videos", json={"prompt": "x", "model": "animatic/storyboard", "user": "u1"}),
            await near.generate(prompt="x", user="u1"),
            await far.post("/v1/videos", json={"prompt": "x", "model": "animatic/storyboard", "user": "u1"}),
        ]
        assert sorted(answer.status for answer in answers) in ([200] * 3 + [429] * 2, [200] * 4 + [429])
        problem = (await near.generate(prompt="x", user="u1")) if answers[3].status == 200 else answers[3]
        if problem.status == 429:
            assert "user_requests_per_minute" in problem.problem(429)["detail"]
            assert 0 < int(problem.headers["Retry-After"]) <= 60
        for other in ({"user": "u2"}, {}):
            (await far.generate(prompt="x", **other)).ok()
        videos = (await far.get("/v1/videos", params={"user": "u2"})).ok()["data"]
        assert len(videos) == 1
        assert (await far.get("/v1/videos", params={"user": ""})).status == 400
        limits = (await near.get("/api/v1/user/me")).ok()["limits"]["account"]
        assert limits["user_requests_per_minute"] == 3


async def test_each_user_may_spend_so_much_a_day_with_a_key_and_with_its_account(two: tuple[Service, Service]) -> None:
    key = two[0].key(account="spenders", test=False)
    admin = done(two[0], "keys", "create", "--scope", "admin").strip()
    async with Client(two[0], key.text) as near, Client(two[1], key.text) as far, Client(two[1], admin) as ops:
        cost = (await near.post("/api/v1/videos/quote", json={"prompt": "x", **PRICED})).ok()["cost"]
        account = (await near.get("/api/v1/user/me")).ok()["account"]["id"]
        path = f"/api/v1/admin/accounts/{account}/keys/{key.id}/limits"
        (await ops.call("PUT", path, json={"user_spend_day": cost * 2})).ok()
        for client in (near, far):
            (await client.generate(prompt="x", user="u1", **PRICED)).ok()
        problem = (await far.generate(prompt="x", user="u1", **PRICED)).problem(402)
        assert problem["code"] == "spend_limit_reached"
        assert problem["spend_limit"]["name"] == "user_spend_day"
        quote = (await near.post("/api/v1/videos/quote", json={"prompt": "x", "user": "u1", **PRICED})).ok()
        assert quote["refusal"]["code"] == "spend_limit_reached"
        job = (await near.generate(prompt="x", user="u2", **PRICED)).ok()["job_id"]
        (await near.generate(prompt="x", **PRICED)).ok()
        (await far.cancel(job)).ok()
        done(two[1], "limits", "set", "--account", "spenders", "--user-spend-day", "0")
        assert (await near.generate(prompt="x", user="u2", **PRICED)).problem(402)["spend_limit"]["limit"] == 0
        done(two[1], "limits", "clear", "--account", "spenders", "user-spend-day")
        (await near.generate(prompt="x", user="u2", **PRICED)).ok()
        shown = (await near.get("/api/v1/analytics/usage", params={"group_by": "user"})).ok()["data"]
        assert [(one["group"], one["requests"]) for one in shown] == [("u1", 2), ("u2", 2)]
    table = done(two[0], "usage", "--by", "user", "--account", "spenders", "--csv").splitlines()
    assert table[0] == "account,day,user,jobs,completed,failed,open,unpriced,cost_usd"
    assert [line.split(",")[2:5] for line in table[1:]] == [["u1", "2", "0"], ["u2", "2", "0"]]
    assert two[0].run("usage", "--by", "colour").returncode == 2
