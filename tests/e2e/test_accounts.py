"""Accounts and their keys over the API: scopes, own keys, administration, the first key, other origins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.service import Answer, Client, Service

BOOTSTRAP = "rushes_live_" + "bootstrap0" * 4
ORIGIN = "https://app.example.com"
KEYS = "/api/v1/user/api-keys"
ACCOUNTS = "/api/v1/admin/accounts"
NEEDED = {
    ("post", "/api/v1/videos/quote"): "read",
    ("get", "/api/v1/webhooks/signing-secret"): "manage",
}
"""Where a route needs another scope than its method and path say."""
NO_REMAINDER = dict.fromkeys(
    ("spend_day", "spend_month", "spend_ever", "requests_per_minute", "jobs_in_flight", "queued_jobs")
)
NO_LIMITS = NO_REMAINDER | dict.fromkeys(("user_requests_per_minute", "user_spend_day"))


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose first key comes from its environment, in which every job stays pending."""
    running = Service(
        tmp_path_factory.mktemp("governed"),
        RUSHES_TEST_HOLD_S=3600,
        RUSHES_BOOTSTRAP_KEY=BOOTSTRAP,
        RUSHES_CORS_ORIGINS=ORIGIN,
    ).start()
    yield running
    running.finish()


def scoped(service: Service, *scopes: str, account: str = "scoped") -> str:
    options = [part for scope in scopes for part in ("--scope", scope)]
    made = service.run("keys", "create", "--test", "--account", account, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


async def made_key(client: Client, path: str = KEYS, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status == 201, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    content = answer.json()
    assert isinstance(content, dict)
    return content


# Scopes.


async def test_a_key_does_what_its_scopes_say_and_nothing_else(governed: Service) -> None:
    keys = {scope: scoped(governed, scope) for scope in ("read", "generate", "manage", "admin")}
    calls: dict[str, tuple[str, str, dict[str, Any]]] = {
        "read": ("GET", "/api/v1/videos/jobs", {}),
        "generate": ("POST", "/api/v1/videos/generations", {"json": {"prompt": "x"}}),
        "manage": ("GET", "/api/v1/webhooks/signing-secret", {}),
        "admin": ("GET", ACCOUNTS, {}),
    }
    for scope, key in keys.items():
        async with Client(governed, key) as client:
            for needed, (method, path, options) in calls.items():
                answer = await client.call(method, path, **options)
                if needed == scope:
                    answer.ok()
                else:
                    problem = answer.problem(403)
                    assert problem["code"] == "scope_missing"
                    assert f"'{needed}'" in problem["detail"]


def needed_by(method: str, path: str) -> str:
    if path.startswith("/api/v1/admin/"):
        return "admin"
    if method != "get" and path.startswith(("/api/v1/webhooks", KEYS)):
        return "manage"
    if path.endswith(":fetchPredictOperation"):
        # Vertex AI's way to read an operation is a POST.
        return "read"
    return NEEDED.get((method, path), "read" if method == "get" else "generate")


def refusal_in(answer: Answer) -> tuple[int, str, str]:
    """Status, code and sentence of a refusal, in the shape of whichever surface answers."""
    error = answer.json().get("error")
    if error is None:
        problem = answer.problem(403)
        return 403, problem["code"], problem["detail"]
    if "metadata" in error:
        return answer.status, error["metadata"]["error_code"], error["message"]
    if "details" in error:
        return answer.status, error["details"][0]["reason"].lower(), error["message"]
    assert error["type"] == "permission_error"
    return answer.status, error["code"], error["message"]


async def test_every_route_that_takes_a_key_asks_for_its_scope(governed: Service) -> None:
    async with AsyncExitStack() as opened:
        clients = {
            scope: await opened.enter_async_context(Client(governed, scoped(governed, scope)))
            for scope in ("read", "generate", "manage", "admin")
        }
        document = (await clients["read"].get("/openapi.json", plain=True)).ok()
        routes = [
            (method, path)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            if operation.get("security")
        ]
        assert NEEDED.keys() <= set(routes)
        assert {path.split("/")[1] for _, path in routes} == {"api", "v1", "v1beta", "v1beta1"}
        for method, path in routes:
            needed = needed_by(method, path)
            assert "403" in document["paths"][path][method]["responses"]
            for scope in clients.keys() - {needed}:
                answer = await clients[scope].call(method.upper(), path, json={})
                told = refusal_in(answer)
                assert told[:2] == (403, "scope_missing"), (method, path, scope)
                assert f"'{needed}'" in told[2], (method, path, scope)
            permitted = await clients[needed].call(method.upper(), path, json={})
            assert permitted.status != 403, (method, path)


async def test_a_missing_scope_is_no_way_to_learn_of_other_accounts_jobs(governed: Service) -> None:
    async with Client(governed, governed.key(account="owner").text) as owner:
        job_id = (await owner.create())["job_id"]
    async with Client(governed, scoped(governed, "read")) as stranger:
        (await stranger.get(f"/api/v1/videos/jobs/{job_id}")).problem(404)
    async with Client(governed, scoped(governed, "generate")) as blind:
        missing, foreign = [await blind.get(f"/api/v1/videos/jobs/{name}") for name in ("job_none", job_id)]
        assert missing.problem(403)["detail"] == foreign.problem(403)["detail"]


# Own keys.


async def test_a_key_makes_others_that_work_until_they_are_disabled_revoked_or_deleted(governed: Service) -> None:
    async with Client(governed, governed.key(account="owners").text) as client:
        for turn in ("disable", "revoke", "delete"):
            made = await made_key(client, name=turn)
            assert made["key"].startswith("rushes_test_")
            assert (made["mode"], made["scopes"], made["state"]) == ("test", ["read", "generate", "manage"], "valid")
            one = f"{KEYS}/{made['id']}"
            async with Client(governed, made["key"]) as child:
                me = (await child.get("/api/v1/user/me")).ok()
                assert me["account"]["name"] == "owners"
                assert me["key"]["id"] == made["id"]
                if turn == "disable":
                    disabled = (await client.call("PATCH", one, json={"disabled": True, "name": "off"})).ok()
                    assert (disabled["state"], disabled["name"]) == ("disabled", "off")
                    (await child.get("/api/v1/user/me")).problem(401)
                    assert (await client.call("PATCH", one, json={"disabled": False})).ok()["state"] == "valid"
                    (await child.get("/api/v1/user/me")).ok()
                    continue
                if turn == "revoke":
                    assert (await client.post(f"{one}/revoke")).ok()["state"] == "revoked"
                    (await client.call("PATCH", one, json={"disabled": False})).ok()
                else:
                    assert (await client.call("DELETE", one)).status == 204
                    (await client.call("DELETE", one)).problem(404)
                (await child.get("/api/v1/user/me")).problem(401)
        listed = (await client.get(KEYS)).ok()["keys"]
        assert [(key["name"], key["state"]) for key in listed[1:]] == [("off", "valid"), ("revoke", "revoked")]
        assert "key" not in listed[0]


async def test_keys_are_listed_page_by_page(governed: Service) -> None:
    async with Client(governed, governed.key(account="pages").text) as client:
        ids = [(await client.get("/api/v1/user/me")).ok()["key"]["id"]]
        ids += [(await made_key(client))["id"] for _ in range(4)]
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = (await client.get(KEYS, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).ok()
            found += [key["id"] for key in page["keys"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(found) == sorted(ids)
        (await client.get(KEYS, params={"cursor": "djE6MQ"})).problem(422)


async def test_the_keys_of_another_account_are_not_there(governed: Service) -> None:
    foreign = governed.key(account="elsewhere")
    async with Client(governed, governed.key(account="here").text) as client:
        one = f"{KEYS}/{foreign.id}"
        (await client.call("PATCH", one, json={"disabled": True})).problem(404)
        (await client.post(f"{one}/revoke")).problem(404)
        (await client.call("DELETE", one)).problem(404)
        assert foreign.id not in (await client.get(KEYS)).body.decode()
    async with Client(governed, foreign.text) as owner:
        (await owner.get("/api/v1/user/me")).ok()


async def test_a_key_cannot_end_one_that_may_do_more(governed: Service) -> None:
    live, test = governed.key(account="mixed", test=False), governed.key(account="mixed")
    async with Client(governed, test.text) as client:
        one = f"{KEYS}/{live.id}"
        for refused in (
            await client.call("PATCH", one, json={"disabled": True}),
            await client.post(f"{one}/revoke"),
            await client.call("DELETE", one),
        ):
            assert refused.problem(403)["code"] == "key_restricted"
    async with Client(governed, live.text) as client:
        assert (await client.call("DELETE", f"{KEYS}/{test.id}")).status == 204


async def test_a_key_with_limits_or_an_end_cannot_touch_one_without(governed: Service) -> None:
    free = governed.key(account="restricted")
    made = governed.run("keys", "create", "--test", "--account", "restricted", "--expires", "1h")
    ending = made.stdout.strip()
    limited = governed.key(account="restricted")
    done = governed.run("limits", "set", "--account", "restricted", "--key", limited.id, "--spend-ever", "1")
    assert done.returncode == 0, done.stderr
    for key in (ending, limited.text):
        async with Client(governed, key) as client:
            one = f"{KEYS}/{free.id}"
            for refused in (
                await client.call("PATCH", one, json={"disabled": True}),
                await client.post(f"{one}/revoke"),
                await client.call("DELETE", one),
            ):
                assert refused.problem(403)["code"] == "key_restricted"
    async with Client(governed, limited.text) as client:
        assert (await client.post(f"{KEYS}/{limited.id}/revoke")).ok()["state"] == "revoked"
    async with Client(governed, free.text) as client:
        (await client.get("/api/v1/user/me")).ok()


async def test_three_accounts_see_nothing_of_each_other(governed: Service) -> None:
    names = ["wall one", "wall two", "wall three"]
    keys = {name: governed.key(account=name) for name in names}
    jobs: dict[str, str] = {}
    for number, name in enumerate(names):
        async with Client(governed, keys[name].text) as client:
            for _ in range(number + 1):
                jobs[name] = (await client.create())["job_id"]
    for number, name in enumerate(names):
        async with Client(governed, keys[name].text) as client:
            assert (await client.jobs())["total"] == number + 1
            assert (await client.get("/api/v1/user/usage")).ok()["total_requests"] == number + 1
            assert (await client.get("/api/v1/analytics/usage")).ok()["total"]["requests"] == number + 1
            assert [key["id"] for key in (await client.get(KEYS)).ok()["keys"]] == [keys[name].id]
            for other in names:
                if other != name:
                    path = f"/api/v1/videos/jobs/{jobs[other]}"
                    (await client.get(path)).problem(404)
                    (await client.get(f"{path}/content")).problem(404)
                    (await client.cancel(jobs[other])).problem(404)
                    (await client.call("DELETE", path)).problem(404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"mode": "live"}, 403),
        ({"scopes": ["read", "admin"]}, 403),
        ({"scopes": []}, 422),
        ({"scopes": ["write"]}, 422),
        ({"name": ""}, 422),
        ({"name": "a\nb"}, 422),
        ({"expires_in_s": 0}, 422),
        ({"scope": ["read"]}, 400),
    ],
)
async def test_a_key_makes_none_that_may_do_more(governed: Service, body: dict[str, Any], status: int) -> None:
    async with Client(governed, scoped(governed, "read", "generate", "manage", account="strict")) as client:
        (await client.post(KEYS, json=body)).problem(status)


async def test_a_key_that_ends_or_is_limited_cannot_make_one_that_is_not(governed: Service) -> None:
    made = governed.run("keys", "create", "--test", "--account", "brief", "--expires", "1h")
    async with Client(governed, made.stdout.strip()) as client:
        assert (await client.post(KEYS, json={})).problem(403)["code"] == "key_restricted"
        (await client.post(KEYS, json={"expires_in_s": 7200})).problem(403)
        await made_key(client, expires_in_s=600)
    limited = governed.key(account="brief")
    async with Client(governed, BOOTSTRAP) as admin, Client(governed, limited.text) as client:
        path = f"{ACCOUNTS}/{(await client.get('/api/v1/user/me')).ok()['account']['id']}/keys/{limited.id}/limits"
        # Also of spending: a new key would have none.
        for limits in ({"queued_jobs": 5}, {"spend_month": 5}):
            (await admin.call("PUT", path, json=limits)).ok()
            assert (await client.post(KEYS, json={})).problem(403)["code"] == "key_restricted"
        (await admin.call("PUT", path, json={})).ok()
        await made_key(client)


# Administration.


async def test_an_administrator_governs_accounts_and_their_keys(governed: Service) -> None:
    async with Client(governed, BOOTSTRAP) as admin:
        created = await admin.post(ACCOUNTS, json={"name": "studio"})
        assert created.status == 201
        path = f"{ACCOUNTS}/{created.json()['id']}"
        assert (await admin.post(ACCOUNTS, json={"name": "studio"})).problem(409)["code"] == "account_name_taken"
        assert (await admin.call("PATCH", path, json={"name": "atelier"})).ok()["name"] == "atelier"
        (await admin.call("PATCH", path, json={"name": "default"})).problem(409)
        key = await made_key(admin, f"{path}/keys", mode="test", scopes=["read", "generate"])
        async with Client(governed, key["key"]) as client:
            job_id = (await client.create())["job_id"]
            (await admin.call("PATCH", path, json={"disabled": True})).ok()
            refused = await client.get(f"/api/v1/videos/jobs/{job_id}")
            assert refused.problem(403)["code"] == "account_disabled"
            (await admin.call("PATCH", path, json={"disabled": False})).ok()
            await client.job(job_id)
            (await admin.post(f"{path}/keys/{key['id']}/revoke")).ok()
            (await client.get(f"/api/v1/videos/jobs/{job_id}")).problem(401)
        assert (await admin.get(f"{path}/usage")).ok()["total_requests"] == 1
        assert [one["id"] for one in (await admin.get(f"{path}/keys")).ok()["keys"]] == [key["id"]]
        first = (await admin.get(ACCOUNTS, params={"limit": 1})).ok()
        assert [one["name"] for one in first["accounts"]] == ["default"]
        rest = (await admin.get(ACCOUNTS, params={"cursor": first["next_cursor"]})).ok()["accounts"]
        assert "atelier" in [one["name"] for one in rest]
        assert (await admin.get("/api/v1/admin/jobs/unsettled")).ok() == {"jobs": [], "next_cursor": None}
        (await admin.get(f"{ACCOUNTS}/acct_none")).problem(404)


async def test_an_administrator_sets_limits_that_hold_at_once(governed: Service) -> None:
    async with Client(governed, BOOTSTRAP) as admin:
        path = f"{ACCOUNTS}/{(await admin.post(ACCOUNTS, json={'name': 'limited'})).json()['id']}"
        key = await made_key(admin, f"{path}/keys", mode="test")
        async with Client(governed, key["key"]) as client:
            await client.jobs()
            limits = {"requests_per_minute": 1, "queued_jobs": 7, "spend_day": 2.5, "spend_ever": 0}
            set_ = (await admin.call("PUT", f"{path}/limits", json=limits)).ok()
            assert set_ == {"own": NO_LIMITS | limits, "in_force": NO_LIMITS | limits}
            me = (await client.get("/api/v1/user/me")).ok()
            assert me["limits"]["account"]["requests_per_minute"] == 1
            (await client.get("/api/v1/user/me")).problem(429)
            (await admin.call("PUT", f"{path}/limits", json={"queued_jobs": 7})).ok()
            of_key = {"jobs_in_flight": 3, "spend_month": 0.000001}
            (await admin.call("PUT", f"{path}/keys/{key['id']}/limits", json=of_key)).ok()
            me = (await client.get("/api/v1/user/me")).ok()
            assert me["limits"] == {"account": NO_LIMITS | {"queued_jobs": 7}, "key": NO_LIMITS | of_key}
            assert me["remaining"] == NO_REMAINDER | of_key | {"queued_jobs": 7}
        for wrong in (
            {"queued_jobs": 0},
            {"queued_jobs": True},
            {"queued_jobs": "3"},
            {"spend_day": -1},
            {"spend_day": "5"},
            {"spend_day": 0.0000001},
            {"spend_day": 1_000_000_001},
        ):
            (await admin.call("PUT", f"{path}/limits", json=wrong)).problem(422)
        (await admin.call("PUT", f"{path}/limits", json={"queued": 1})).problem(400)


async def test_usage_is_told_by_day_model_and_provider(governed: Service) -> None:
    async with Client(governed, governed.key(account="counted").text) as client:
        for _ in range(2):
            await client.create()
        by = {
            group: (await client.get("/api/v1/analytics/usage", params={"group_by": group})).ok()
            for group in ("date", "model", "provider")
        }
        assert by["date"]["data"][0]["group"] == by["date"]["end"]
        assert [(one["group"], one["requests"]) for one in by["model"]["data"]] == [("animatic/storyboard", 2)]
        assert [(one["group"], one["open"]) for one in by["provider"]["data"]] == [("animatic", 2)]
        assert {answer["total"]["requests"] for answer in by.values()} == {2}
        past = await client.get("/api/v1/analytics/usage", params={"start": "2020-01-01", "end": "2020-12-31"})
        assert past.ok()["data"] == []
        for wrong in (
            {"start": "2020-01-02", "end": "2020-01-01"},
            {"start": "2019-12-31", "end": "2020-12-31"},
            {"start": "yesterday"},
            {"end": "0"},
            {"start": "2026-04-07T00:00:00Z"},
            {"group_by": "key"},
        ):
            (await client.get("/api/v1/analytics/usage", params=wrong)).problem(422)
        (await client.get("/api/v1/analytics/usage", params={"groupby": "date"})).problem(400)


# The first key.


async def test_a_bootstrap_key_is_made_once_replaced_and_stays_revoked(start: Start) -> None:
    service = start(RUSHES_BOOTSTRAP_KEY=BOOTSTRAP)
    newer = "x" * 32

    async def statuses() -> list[int]:
        found = []
        for key in (BOOTSTRAP, newer):
            async with Client(service, key) as client:
                found.append((await client.get("/api/v1/user/me")).status)
        return found

    assert await statuses() == [200, 401]
    service.stop()
    service.configure(RUSHES_BOOTSTRAP_KEY=newer)
    service.start()
    assert await statuses() == [401, 200]
    async with Client(service, newer) as client:
        me = (await client.get("/api/v1/user/me")).ok()
        assert (me["account"]["name"], me["scopes"]) == ("default", ["read", "generate", "manage", "admin"])
        (await client.post(f"{KEYS}/{me['key']['id']}/revoke")).ok()
    service.stop()
    service.start()
    assert await statuses() == [401, 401]
    assert len(service.rows("SELECT id FROM api_keys")) == 2
    log = service.log_text()
    assert "bootstrap_key_is_not_let_in" in log
    assert BOOTSTRAP not in log
    assert newer not in log


def test_a_bootstrap_key_that_cannot_be_one_stops_the_start_and_is_not_shown(start: Start) -> None:
    key = "with spaces in it, and long enough all the same"
    service = start(running=False, RUSHES_BOOTSTRAP_KEY=key)
    with pytest.raises(AssertionError, match="RUSHES_BOOTSTRAP_KEY must be 32 to 256"):
        service.start()
    assert key not in service.log_text()


# Other origins.


async def test_pages_of_an_allowed_origin_may_call_every_route(governed: Service) -> None:
    async with Client(governed, BOOTSTRAP) as client:
        job_id = (await client.create())["job_id"]
        for method, path in (
            ("GET", f"/api/v1/videos/jobs/{job_id}"),
            ("GET", "/api/v1/videos/jobs/job_none"),
            ("GET", "/api/v1/videos/jobs"),
            ("POST", "/api/v1/videos/generations"),
            ("GET", "/nowhere"),
            ("GET", "/media/job_none/0.mp4"),
        ):
            asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
            preflight = await client.call("OPTIONS", path, headers=asked, plain=True)
            assert preflight.status == 204
            assert method in preflight.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
            assert preflight.headers["X-Request-Id"]
            answer = await client.call(method, path, headers={"Origin": ORIGIN})
            for one in (preflight, answer):
                assert one.headers["Access-Control-Allow-Origin"] == ORIGIN
                assert one.headers["Vary"] == "Origin"
                assert "Access-Control-Allow-Credentials" not in one.headers
            assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", f"{ORIGIN}.evil.com", "http://app.example.com"])
async def test_other_origins_are_told_nothing(governed: Service, origin: str) -> None:
    async with Client(governed, BOOTSTRAP) as client:
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        preflight = await client.call("OPTIONS", "/api/v1/videos/jobs", headers=asked, plain=True)
        answer = await client.get("/api/v1/videos/jobs", headers={"Origin": origin})
        answer.ok()
        for one in (preflight, answer):
            assert not [name for name in one.headers if name.lower().startswith("access-control")]


async def test_without_a_setting_no_origin_is_allowed(client: Client) -> None:
    answer = await client.get("/api/v1/videos/jobs", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
