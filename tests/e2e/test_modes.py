"""Test keys and live keys of one account: neither sees nor touches what the other has made, on both databases."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fixtures.media import image
from tests.fixtures.postgres import run_sql, shared_server
from tests.fixtures.receiver import ALLOWED, Receiver, receiving
from tests.fixtures.service import QUICK, Client, Service, until

JOBS = "/api/v1/videos/jobs"
WEBHOOKS = "/api/v1/webhooks"
KEYS = "/api/v1/user/api-keys"
SECRET = f"{WEBHOOKS}/signing-secret"
TEST = {"mode": "test"}
MADE = re.compile(r"\b(?:job|whe|msg|upload)_[0-9A-Za-z]{10,}")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that may call receivers on loopback."""
    settings: dict[str, Any] = {**ALLOWED, "RUSHES_WEBHOOK_RETRIES_S": "3600"}
    url = None
    if request.param == "postgres":
        url = shared_server().fresh()
        settings |= {"RUSHES_DATABASE_URL": url, "RUSHES_SECRET_KEYS": "0123456789abcdef0123456789abcdef"}
    running = Service(tmp_path_factory.mktemp("modes"), **settings).start()
    yield running
    running.finish()
    if url is not None:
        shared_server().done_with(url)


@dataclass
class Account:
    """A client with a live key, and one with a test key."""

    live: Client
    test: Client
    name: str

    @property
    def both(self) -> tuple[Client, Client]:
        return self.live, self.test


@pytest.fixture
async def account(service: Service, request: pytest.FixtureRequest) -> AsyncIterator[Account]:
    """An account of the test's own."""
    name = request.node.name[:60]
    async with AsyncExitStack() as opened:
        live, test = [
            await opened.enter_async_context(Client(service, service.key(account=name, test=is_test).text))
            for is_test in (False, True)
        ]
        yield Account(live, test, name)


def change(service: Service, sql: str) -> list[tuple[Any, ...]]:
    """One statement, beside the service."""
    url = service.setting("RUSHES_DATABASE_URL")
    if url is not None:
        return run_sql(url, sql)
    if sql.startswith("SELECT"):
        return service.rows(sql)
    service.change(sql)
    return []


async def finished(client: Client, **fields: Any) -> str:
    return str((await client.reached((await client.create(**fields))["job_id"]))["job_id"])


async def registered(client: Client, url: str) -> str:
    answer = await client.post(WEBHOOKS, json={"url": url})
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


def ways_to(job_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every way of a key to a job."""
    at = f"{JOBS}/{job_id}"
    return [
        *[
            ("GET", path, {})
            for path in (at, f"{at}/events", f"{at}/timeline", f"{at}/content", f"/v1/videos/{job_id}")
        ],
        ("GET", f"/v1/videos/{job_id}/content", {}),
        ("POST", f"{at}/cancel", {}),
        ("DELETE", f"/api/v1/videos/{job_id}", {}),
        ("DELETE", at, {}),
        ("DELETE", f"/v1/videos/{job_id}", {}),
        ("POST", f"/v1/videos/{job_id}/remix", {"json": {"prompt": "x"}}),
        ("POST", "/v1/videos/extensions", {"json": {"prompt": "x", "video": {"id": job_id}}}),
        ("POST", "/api/v1/videos/generations", {"json": {"prompt": "x", **QUICK, "previous_job_id": job_id}}),
        ("POST", "/api/v1/videos/quote", {"json": {"prompt": "x", **QUICK, "previous_job_id": job_id}}),
    ]


async def test_a_job_is_there_for_keys_of_its_own_mode_alone(account: Account) -> None:
    live, test = await asyncio.gather(finished(account.live), finished(account.test))
    for client, other in ((account.test, live), (account.live, test)):
        for method, path, options in ways_to(other):
            answer = await client.call(method, path, **options)
            # The address that deletes by /videos/ID may have another method only.
            assert answer.status in (404, 405), (method, path, answer.status, answer.body)
        answer = await client.get("/v1/videos", params={"after": other})
        assert answer.status == 400
    for client, own in ((account.test, test), (account.live, live)):
        assert [job["job_id"] for job in (await client.jobs())["jobs"]] == [own]
        assert [video["id"] for video in (await client.get("/v1/videos")).ok()["data"]] == [own]
        assert (await client.jobs())["total"] == 1
        for filters in ({"status": "completed"}, {"provider": "animatic"}, {"created_after": "2026-01-01T00:00:00Z"}):
            assert [job["job_id"] for job in (await client.jobs(**filters))["jobs"]] == [own]


async def test_a_live_key_sees_test_jobs_when_it_asks_and_changes_none(account: Account) -> None:
    job_id = await finished(account.test, user="anna")
    live = account.live
    assert (await live.jobs())["jobs"] == []
    assert [job["job_id"] for job in (await live.jobs(mode="test", user="anna"))["jobs"]] == [job_id]
    assert (await live.jobs(mode="test"))["total"] == 1
    assert (await live.get("/v1/videos", params=TEST)).ok()["data"][0]["id"] == job_id
    at = f"{JOBS}/{job_id}"
    for path in (at, f"{at}/timeline", f"/v1/videos/{job_id}"):
        (await live.get(path, params=TEST)).ok()
    for path in (f"{at}/content", f"{at}/events", f"/v1/videos/{job_id}/content"):
        assert (await live.get(path, params=TEST)).status == 200
    assert (await live.call("DELETE", at, params=TEST)).status == 404
    assert (await live.post(f"{at}/cancel", params=TEST)).status == 404
    assert (await live.get("/api/v1/user/usage", params=TEST)).ok()["total_requests"] == 1
    assert (await live.get("/api/v1/analytics/usage", params={**TEST, "group_by": "user"})).ok()["data"][0][
        "group"
    ] == "anna"
    assert (await live.get("/api/v1/user/usage")).ok()["total_requests"] == 0
    (await account.test.get(at)).ok()
    for path in (JOBS, at, f"{WEBHOOKS}/deliveries", "/api/v1/user/usage", KEYS, "/v1/videos", f"/v1/videos/{job_id}"):
        refused = await account.test.get(path, params={"mode": "live"})
        assert refused.status == 403, (path, refused.body)
        wrong = await live.get(path, params={"mode": "both"})
        assert wrong.status in (400, 422), (path, wrong.body)


async def test_test_jobs_notify_test_webhooks_only(account: Account, receiver: Receiver) -> None:
    seen_by = {}
    hooks = {}
    for name, client in (("live", account.live), ("test", account.test)):
        hooks[name] = await registered(client, f"{receiver.url}/ok?{account.name}-{name}")
        secret = (await client.get(SECRET)).ok()["secret"]
        seen_by[name] = secret
    assert seen_by["live"] != seen_by["test"]
    jobs = {"live": await finished(account.live), "test": await finished(account.test)}
    own_url = f"{receiver.url}/ok?own"
    jobs["own"] = await finished(account.test, webhook_url=own_url)

    def told(key: str) -> set[str]:
        return {one.content["data"]["job_id"] for one in receiver.received if key in one.query}

    await until(lambda: jobs["live"] in told(f"{account.name}-live"))
    await until(lambda: {jobs["test"], jobs["own"]} <= told(f"{account.name}-test"))
    assert told(f"{account.name}-live") == {jobs["live"]}
    assert told(f"{account.name}-test") == {jobs["test"], jobs["own"]}
    found = {}
    for name, client in (("live", account.live), ("test", account.test)):
        assert [one["id"] for one in (await client.get(WEBHOOKS)).ok()["webhooks"]] == [hooks[name]]
        listed = (await client.get(f"{WEBHOOKS}/deliveries", params={"limit": 100})).ok()["deliveries"]
        found[name] = {one["id"] for one in listed}
        assert {one["job_id"] for one in listed} <= ({jobs["live"]} if name == "live" else {jobs["test"], jobs["own"]})
    assert found["live"]
    assert found["test"]
    assert not found["live"] & found["test"]
    shown = (await account.live.get(f"{WEBHOOKS}/deliveries", params={**TEST, "limit": 100})).ok()["deliveries"]
    assert {one["id"] for one in shown} == found["test"]
    for client, other, delivery in (
        (account.test, hooks["live"], next(iter(found["live"]))),
        (account.live, hooks["test"], next(iter(found["test"]))),
    ):
        at = f"{WEBHOOKS}/{other}"
        acts: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", at, {}),
            ("PATCH", at, {"json": {"enabled": False}}),
            ("DELETE", at, {}),
            ("POST", f"{at}/rotate", {}),
            ("POST", f"{at}/test", {}),
            ("GET", f"{at}/deliveries", {}),
            ("POST", f"{WEBHOOKS}/deliveries/{delivery}/redeliver", {}),
        ]
        for method, path, options in acts:
            assert (await client.call(method, path, **options)).status == 404, (method, path)
    # Who rotates one secret leaves the other as it is.
    (await account.test.post(f"{SECRET}/rotate")).ok()
    assert (await account.live.get(SECRET)).ok()["secret"] == seen_by["live"]
    assert (await account.test.get(SECRET)).ok()["secret"] != seen_by["test"]


async def test_an_upload_is_usable_by_keys_of_its_own_mode_alone(account: Account) -> None:
    content, headers = image(color="navy"), {"Content-Type": "image/png"}
    mine, theirs = [
        (await client.post("/api/v1/uploads", data=content, headers=headers)).ok()["upload_id"]
        for client in account.both
    ]
    assert mine != theirs
    for client, own, other in ((account.live, mine, theirs), (account.test, theirs, mine)):
        (await client.generate(prompt="x", **QUICK, input_image=own)).ok()
        refused = (await client.generate(prompt="x", **QUICK, input_image=other)).problem(400)
        assert "there is no upload" in refused["detail"]


async def test_an_idempotency_key_counts_within_its_mode(account: Account) -> None:
    body, headers = {"prompt": "x", **QUICK}, {"Idempotency-Key": "one"}
    made = [
        (await client.post("/api/v1/videos/generations", json=body, headers=headers)).ok()["job_id"]
        for client in (*account.both, *account.both)
    ]
    assert made[:2] == made[2:]
    assert made[0] != made[1]


async def test_a_test_key_sees_and_touches_test_keys_only(account: Account) -> None:
    live, test = [(await client.get("/api/v1/user/me")).ok()["key"]["id"] for client in account.both]
    other = (await account.live.post(KEYS, json={"mode": "test"})).json()["id"]
    assert {key["id"] for key in (await account.test.get(KEYS)).ok()["keys"]} == {test, other}
    assert {key["id"] for key in (await account.live.get(KEYS)).ok()["keys"]} == {live, test, other}
    assert {key["id"] for key in (await account.live.get(KEYS, params=TEST)).ok()["keys"]} == {test, other}
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", f"{KEYS}/{live}", {"json": {"disabled": True}}),
        ("POST", f"{KEYS}/{live}/revoke", {}),
        ("DELETE", f"{KEYS}/{live}", {}),
    ]
    for method, path, options in changes:
        assert (await account.test.call(method, path, **options)).problem(403)["code"] == "key_restricted"
    made = (await account.test.post(KEYS, json={"mode": "live"})).problem(403)
    assert made["code"] == "key_restricted"
    assert (await account.test.post(KEYS, json={})).json()["mode"] == "test"
    assert (await account.live.post(f"{KEYS}/{other}/revoke")).ok()["state"] == "revoked"


async def test_a_test_key_tells_nothing_of_the_money_of_live_keys(service: Service, account: Account) -> None:
    done = service.run("limits", "set", "--account", account.name, "--spend-month", "10")
    assert done.returncode == 0, done.stderr
    owner = (await account.live.get("/api/v1/user/me")).ok()["account"]["id"]
    month = f"{datetime.now(UTC):%Y-%m}"
    columns = "account_id, key_id, period, reserved_microusd, spent_microusd"
    change(service, f"INSERT INTO balances ({columns}) VALUES ('{owner}', '', '{month}', 0, 4000000)")
    for path in ("/api/v1/user/usage", "/api/v1/user/me"):
        assert (await account.live.get(path)).ok()["remaining"]["spend_month"] == 6
        assert (await account.test.get(path)).ok()["remaining"]["spend_month"] == 10
    quote = {"prompt": "x", "model": "veo-3.0-generate-001"}
    assert (await account.test.post("/api/v1/videos/quote", json=quote)).ok()["cost"] == 0
    assert (await account.test.get("/api/v1/user/transactions")).ok()["transactions"] == []


async def test_an_administrator_lists_by_mode_and_governs_live_mode_with_a_live_key_only(
    service: Service, account: Account
) -> None:
    live, test = await asyncio.gather(finished(account.live), finished(account.test))
    me = (await account.live.get("/api/v1/user/me")).ok()
    owner, key_id = me["account"]["id"], me["key"]["id"]
    scopes = ["--account", account.name, "--scope", "admin", "--scope", "read"]
    admins = [service.run("keys", "create", *scopes, *more).stdout.strip() for more in ([], ["--test"])]
    async with Client(service, admins[0]) as admin:
        for mode, expected in (("live", [live]), ("test", [test]), (None, [live, test])):
            query = {"account_id": owner, **({} if mode is None else {"mode": mode})}
            jobs = (await admin.get("/api/v1/admin/jobs", params=query)).ok()["jobs"]
            assert {job["job_id"] for job in jobs} == set(expected)
            assert {job["mode"] for job in jobs} == ({mode} if mode else {"live", "test"})
        every = (await admin.get("/api/v1/admin/jobs", params={"mode": "test"})).ok()["jobs"]
        assert test in {job["job_id"] for job in every}
        assert {job["mode"] for job in every} == {"test"}
        assert (await admin.get("/api/v1/admin/jobs/unsettled", params={"mode": "test"})).status == 200
        at = f"/api/v1/admin/accounts/{owner}"
        assert (await admin.get(f"{at}/usage")).ok()["total_requests"] == 2
        assert (await admin.get(f"{at}/usage", params={"mode": "live"})).ok()["total_requests"] == 1
        assert (await admin.get(f"{at}/usage", params=TEST)).ok()["total_requests"] == 1
        assert {key["mode"] for key in (await admin.get(f"{at}/keys", params=TEST)).ok()["keys"]} == {"test"}
    async with Client(service, admins[1]) as admin:
        assert {job["mode"] for job in (await admin.get("/api/v1/admin/jobs")).ok()["jobs"]} == {"test"}
        assert {key["mode"] for key in (await admin.get(f"{at}/keys")).ok()["keys"]} == {"test"}
        assert (await admin.get("/api/v1/admin/jobs", params={"mode": "live"})).problem(403)
        act = {"action": "abort", "job_ids": [live]}
        refused = [
            await admin.get(f"/api/v1/admin/jobs/{live}"),
            await admin.post("/api/v1/admin/jobs/actions", json=act),
            await admin.post(f"{at}/keys/{key_id}/revoke"),
            await admin.call("DELETE", f"{at}/keys/{key_id}"),
            await admin.call("PUT", f"{at}/keys/{key_id}/limits", json={}),
        ]
        assert [answer.status for answer in refused] == [404] * len(refused)
        for answer in (
            await admin.call("PATCH", at, json={"disabled": True}),
            await admin.call("PUT", f"{at}/limits", json={}),
            await admin.post(f"{at}/keys", json={"mode": "live"}),
        ):
            assert answer.problem(403)["code"] == "key_restricted"
        assert (await admin.post(f"{at}/keys", json={})).json()["mode"] == "test"


@dataclass
class Play:
    """Random acts of two keys, and what each was shown."""

    chance: random.Random
    receiver: str
    made: dict[Client, set[str]] = field(default_factory=dict)

    async def act(self, client: Client, other: Client) -> None:
        """One act; the ids in its answer are not the other's, but for those that it named itself."""
        known = sorted(self.made[client] | self.made[other])
        named = self.chance.choice(known) if known else "job_000000000000"
        method, path, options = self.chance.choice(self._acts(named))
        answer = await client.call(method, path, **options)
        assert answer.status < 500, (method, path, answer.body)
        shown = set(MADE.findall(answer.body.decode("utf-8", "replace"))) - {named}
        assert not shown & self.made[other], (method, path, shown & self.made[other])
        if answer.status < 300:
            # A read tells of deliveries, which nobody makes by hand.
            self.made[client] |= shown
            assert named not in self.made[other] or named not in f"{path} {options}", (method, path, answer.status)

    def _acts(self, named: str) -> list[tuple[str, str, dict[str, Any]]]:
        once = {"Idempotency-Key": f"k{self.chance.randrange(4)}"}
        plain = {"prompt": "x", **QUICK}
        create = ("POST", "/api/v1/videos/generations", {"json": plain, "headers": once})
        lists = (JOBS, f"{JOBS}?status=completed", f"{JOBS}?provider=animatic", "/v1/videos", WEBHOOKS,
                 f"{WEBHOOKS}/deliveries?limit=50", "/api/v1/user/transactions")  # fmt: skip
        acts: list[tuple[str, str, dict[str, Any]]] = [create, create, *[("GET", path, {}) for path in lists]]
        acts.append(("POST", "/api/v1/videos/generations", {"json": {**plain, "webhook_url": self.receiver}}))
        acts.append(("POST", WEBHOOKS, {"json": {"url": self.receiver}}))
        content = {"data": image(color="olive"), "headers": {"Content-Type": "image/png"}}
        acts.append(("POST", "/api/v1/uploads", content))
        kind = named.partition("_")[0]
        if kind == "job":
            acts += ways_to(named)
        elif kind == "whe":
            at = f"{WEBHOOKS}/{named}"
            acts += [("GET", at, {}), ("POST", f"{at}/rotate", {}), ("GET", f"{at}/deliveries", {}), ("DELETE", at, {})]
        elif kind == "msg":
            acts.append(("POST", f"{WEBHOOKS}/deliveries/{named}/redeliver", {}))
        else:
            acts.append(("POST", "/api/v1/videos/generations", {"json": {**plain, "input_image": named}}))
        return acts


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_random_act_of_one_mode_shows_an_id_of_the_other(
    account: Account, receiver: Receiver, seed: int
) -> None:
    play = Play(random.Random(seed), f"{receiver.url}/ok", {client: set() for client in account.both})
    for _ in range(150):
        client, other = play.chance.sample(account.both, 2)
        await play.act(client, other)
    kinds = {one.partition("_")[0] for made in play.made.values() for one in made}
    assert kinds == {"job", "whe", "msg", "upload"}


async def test_the_rows_say_whose_they_are(service: Service, account: Account) -> None:
    test = await finished(account.test)
    ((owner, tenant),) = change(service, f"SELECT account_id, tenant FROM jobs WHERE id = '{test}'")
    assert tenant == f"{owner}/test"
