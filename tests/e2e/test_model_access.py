"""Models that accounts and keys may use, and what an account's requests get by default, as callers meet them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.mcp import called
from tests.fixtures.postgres import shared_server
from tests.fixtures.service import Client, Service

SECRET = "0123456789abcdef0123456789abcdef"
VEO, LITE = "google/veo-3.1-generate-001", "google/veo-3.1-lite-generate-001"
RETIRED = "veo-3.0-generate-001"
MONTH_S = 30 * 86_400


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """Two processes on one Postgres, in which every job stays pending."""
    shared: dict[str, Any] = {
        "RUSHES_DATABASE_URL": shared_server().fresh(),
        "RUSHES_SECRET_KEYS": SECRET,
        "RUSHES_TEST_HOLD_S": 3600,
        "RUSHES_RETENTION_S": MONTH_S,
    }
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    # Both keep their files in one folder, as processes on one database must.
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
    return made.stdout + made.stderr


def refused(answer: Any, name: str) -> None:
    problem = answer.problem(403)
    assert problem["code"] == "model_not_allowed"
    assert name in problem["detail"]


async def test_a_limited_account_meets_its_limit_on_every_surface_of_both_processes_at_once(
    two: tuple[Service, Service],
) -> None:
    key = two[0].key(account="narrow")
    async with Client(two[0], key.text) as near, Client(two[1], key.text) as far:
        for client in (near, far):
            (await client.generate(prompt="x", model="runway/gen4.5", duration=5, aspect_ratio="16:9")).ok()
        assert "warning: 'nobody/*' matches no model" in done(
            two[0], "accounts", "set", "narrow", "--models", "google/*", "--models", "nobody/*"
        )
        for client in (near, far):
            for path in ("generations", "quote"):
                answer = await client.post(f"/api/v1/videos/{path}", json={"prompt": "x", "model": "runway/gen4.5"})
                refused(answer, "runway/gen4.5")
            answer = await client.generate(prompt="x", model=VEO, fallback_models=["runway/gen4.5"])
            refused(answer, "fallback_models.0")
            (await client.generate(prompt="x", model=VEO)).ok()

            listed = (await client.get("/api/v1/models")).ok()
            assert [group["id"] for group in listed] == ["google"]
            (await client.get("/api/v1/models/runway")).problem(404)
            (await client.get("/api/v1/models/runway/gen4.5")).problem(404)
            (await client.get(f"/api/v1/models/{VEO}")).ok()

            named = (await client.get("/v1/models")).json()["data"]
            assert {one["id"].partition("/")[0] for one in named} == {"google"}
            assert (await client.get("/v1/models/runway/gen4.5")).status == 404
            video = await client.post("/v1/videos", json={"prompt": "x", "model": "runway/gen4.5"})
            assert (video.status, video.json()["error"]["code"]) == (403, "model_not_allowed")

            google = await client.get("/v1beta/models", params={"pageSize": 1000})
            assert {one["baseModelId"].partition("/")[0] for one in google.json()["models"]} == {"google"}
            asked = {"instances": [{"prompt": "x"}]}
            started = await client.post("/v1beta/models/runway/gen4.5:predictLongRunning", json=asked)
            assert (started.status, started.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
        done(two[1], "accounts", "unset", "narrow", "models")
        for client in (near, far):
            (await client.post("/api/v1/videos/quote", json={"prompt": "x", "model": "runway/gen4.5"})).ok()


async def test_agents_see_and_use_what_their_key_may(two: tuple[Service, Service]) -> None:
    made = done(two[0], "keys", "create", "--test", "--account", "agents", "--models", "veo-3.1-*")
    async with Client(two[1], made.splitlines()[0]) as client:
        shown = await called(client, "list_models")
        ids = {one["id"] for one in shown["structuredContent"]["models"]}
        assert ids
        assert all("/veo-3.1-" in one for one in ids)
        refusal = await called(client, "generate_video", prompt="x", model="runway/gen4.5")
        assert refusal["isError"]
        assert "may not use the model 'runway/gen4.5'" in refusal["content"][0]["text"]


async def test_a_successor_that_is_not_allowed_does_not_run(google: Service) -> None:
    key = google.key(account="successors", test=False)
    done(google, "accounts", "set", "successors", "--models", RETIRED)
    async with Client(google, key.text) as client:
        refused(await client.generate(prompt="x"), f"which now serves 'google/{RETIRED}'")
        done(google, "accounts", "set", "successors", "--models", RETIRED, "--models", "google/gemini-*")
        (await client.generate(prompt="x")).ok()


async def test_a_key_acts_on_no_key_with_more_models(held: Service) -> None:
    wide = held.key(account="reach")
    narrow, narrower = (
        done(held, "keys", "create", "--test", "--account", "reach", "--models", pattern).splitlines()
        for pattern in ("google/*", "google/veo-*")
    )
    ids = {one["hint"]: one["id"] for one in await keys_of(held, wide.text)}
    async with Client(held, narrow[0]) as client:
        keys = "/api/v1/user/api-keys"
        problem = (await client.post(f"{keys}/{wide.id}/revoke")).problem(403)
        assert (problem["code"], "models" in problem["detail"]) == ("key_restricted", True)
        problem = (await client.post(keys, json={"name": "more"})).problem(403)
        assert "limited to the models 'google/*'" in problem["detail"]
        (await client.post(keys, json={"models": ["runway/*"]})).problem(403)
        made = await client.post(keys, json={"models": ["google/veo-3*"]})
        assert (made.status, made.json()["models"]) == (201, ["google/veo-3*"])
        (await client.post(f"{keys}/{ids[narrower[0][-4:]]}/revoke")).ok()
        me = (await client.get("/api/v1/user/me")).ok()
        assert me["settings"]["key"] == {"models": ["google/*"]}


async def keys_of(service: Service, key: str) -> list[dict[str, Any]]:
    async with Client(service, key) as client:
        found = (await client.get("/api/v1/user/api-keys")).ok()["keys"]
        assert isinstance(found, list)
        return found


async def test_an_account_gives_its_requests_defaults_that_they_may_override(two: tuple[Service, Service]) -> None:
    key = two[0].key(account="defaults")
    done(
        two[0], "accounts", "set", "defaults", "--default-model", "veo-3.1-generate-001", "--fallback-model", LITE,
        "--fallback-model", "runway/gen4.5", "--retention", "1d",
    )  # fmt: skip
    async with Client(two[1], key.text) as client:
        made = (await client.generate(prompt="x")).ok()
        job = await client.job(made["job_id"])
        assert job["model"] == "veo-3.1-generate-001"
        assert job["request"]["retention_s"] == 86_400
        assert LITE in job["request"]["fallback_models"]
        video = await client.post("/v1/videos", json={"prompt": "x"})
        assert (video.status, video.json()["model"]) == (200, "veo-3.1-generate-001")

        own = {"model": LITE, "fallback_models": [], "retention_s": 3600}
        job = await client.job((await client.generate(prompt="x", **own)).ok()["job_id"])
        assert job["model"] == LITE.partition("/")[2]
        assert job["request"]["retention_s"] == 3600
        assert "fallback_models" not in job["request"]
        problem = (await client.generate(prompt="x", retention_s=86_401)).problem(400)
        assert problem["detail"] == "retention_s 86401 is longer than videos are kept here; it offers up to 86400"
        # What the account falls back on refuses nothing: it is left out, and said to be.
        told = (await client.generate(prompt="x", model=LITE, additional_params={"a": 1})).ok()["warnings"]
        assert any("fallback model 'runway/gen4.5' is left out" in one for one in told)
        shown = done(two[1], "accounts", "show", "defaults")
        assert f"{LITE}, runway/gen4.5" in shown
        assert "86400 s" in shown


async def test_an_account_may_refuse_retired_models_and_a_request_may_be_stricter(google: Service) -> None:
    key = google.key(account="strict", test=False)
    async with Client(google, key.text) as client:
        (await client.generate(prompt="x", model=RETIRED)).ok()
        problem = (await client.generate(prompt="x", model=RETIRED, on_retired="refuse")).problem(400)
        assert problem["code"] == "model_retired"
        done(google, "accounts", "set", "strict", "--on-retired", "refuse")
        assert (await client.generate(prompt="x", model=RETIRED)).problem(400)["code"] == "model_retired"
        problem = (await client.generate(prompt="x", model=RETIRED, on_retired="successor")).problem(400)
        assert "on_retired 'successor' is not offered" in problem["detail"]
        (await client.generate(prompt="x", on_retired="never")).problem(422)


async def test_files_are_gone_when_the_requests_own_time_is_over(start: Start) -> None:
    service = start()
    async with Client(service, service.key().text) as client:
        made = await client.create(retention_s=0.001)
        job = (await client.completed([made["job_id"]]))[0]
        assert job["result"]["url"] is None
        (await client.get(f"/api/v1/videos/jobs/{made['job_id']}/content")).problem(410)


async def test_an_administrator_sets_all_of_it_over_the_api(two: tuple[Service, Service]) -> None:
    key = two[0].key(account="governed", test=False)
    admin = done(two[0], "keys", "create", "--scope", "admin").splitlines()[0]
    async with Client(two[0], admin) as near, Client(two[1], key.text) as client:
        account = (await client.get("/api/v1/user/me")).ok()["account"]["id"]
        path = f"/api/v1/admin/accounts/{account}"
        empty = dict.fromkeys(("models", "default_model", "fallback_models", "on_retired", "retention_s"))
        assert (await near.get(f"{path}/settings")).ok() == {**empty, "warnings": []}
        wanted = {"models": ["animatic/*", "nobody"], "default_model": "animatic/storyboard", "on_retired": "refuse"}
        answer = (await near.call("PUT", f"{path}/settings", json=wanted)).ok()
        assert answer == {**empty, **wanted, "warnings": ["models: 'nobody' matches no model of the catalogue"]}
        assert (await client.post("/api/v1/videos/quote", json={"prompt": "x"})).ok()["model"] == "storyboard"
        refused(await client.generate(prompt="x", model=VEO), VEO)
        answer = (await near.call("PUT", f"{path}/keys/{key.id}/settings", json={"models": ["slow"]})).ok()
        assert answer == {"models": ["slow"], "warnings": []}
        problem = (await client.generate(prompt="x")).problem(403)
        assert "This API key may not use the model 'animatic/storyboard'" in problem["detail"]
        for field, value in (
            ("models", []), ("models", ["a b"]), ("models", "google/*"), ("default_model", "nothing"),
            ("fallback_models", ["veo-3.1-generate-001", "nothing"]), ("on_retired", "maybe"), ("retention_s", 0),
        ):  # fmt: skip
            problem = (await near.call("PUT", f"{path}/settings", json={field: value})).problem(422)
            assert problem["errors"][0]["field"].startswith(field), (field, value)
        (await near.call("PUT", f"{path}/settings", json={"model": "x"})).problem(400)
        (await near.call("PUT", "/api/v1/admin/accounts/acct_none/settings", json={})).problem(404)
        assert (await near.get(f"{path}/settings")).ok()["models"] == ["animatic/*", "nobody"]
        (await near.call("PUT", f"{path}/settings", json={})).ok()
        (await near.call("PUT", f"{path}/keys/{key.id}/settings", json={})).ok()
        assert len((await client.get("/api/v1/models")).ok()) > 10


def test_a_setting_that_means_nothing_is_refused_by_the_command(held: Service) -> None:
    held.key(account="wrong")
    for wrong, said in (
        (("--models", "a b"), "letters, digits"),
        (("--default-model", "nothing"), "not found"),
        (("--on-retired", "maybe"), "successor"),
        (("--retention", "soon"), "length of time"),
        ((), "at least one setting"),
    ):
        answer = held.run("accounts", "set", "wrong", *wrong)
        assert answer.returncode == 2, wrong
        assert said in answer.stderr
    assert held.run("accounts", "unset", "wrong", "colour").returncode == 2
    assert "not found" in held.run("accounts", "set", "nobody", "--models", "*").stderr
