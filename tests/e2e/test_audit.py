"""The audit log of a running service: no route that changes what it covers can be forgotten."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fixtures.service import Answer, Client, Service

AUDIT = "/api/v1/admin/audit"
RECEIVER = "https://receiver.invalid/hook?token=hush"
BOOTSTRAP = "b" * 40

NOT_AUDITED = {
    "delete_job": "a caller's own job",
    "cancel_job": "a caller's own job",
    "create_generation": "a caller's own job",
    "quote_generation": "changes nothing",
    "upload": "a caller's own file",
    "exchange_header": "a token of the key itself, which expires",
    "exchange_id_token": "recorded as person.sign_in (test_sign_in.py)",
    "exchange_form": "a token of the key itself, which expires",
    "test_webhook": "sends a message and changes nothing",
}
"""Routes that change things, but none that the log covers. Jobs of other surfaces are left out by their tags."""
SURFACES = {"OpenAI", "Google", "OpenRouter", "mcp"}


@dataclass
class Scene:
    """What the routes are asked with."""

    admin: Client
    accounts: int = 0

    async def made(self, path: str, body: dict[str, object]) -> str:
        """The id of a new thing."""
        answer = await self.admin.post(path, json=body)
        assert answer.status == 201, answer.body
        return str(answer.json()["id"])

    async def account(self) -> str:
        self.accounts += 1
        return await self.made("/api/v1/admin/accounts", {"name": f"studio {self.accounts}"})

    async def key(self) -> str:
        return await self.made("/api/v1/user/api-keys", {})

    async def webhook(self) -> str:
        return await self.made("/api/v1/webhooks", {"url": RECEIVER})


Ask = Callable[[Scene, Callable[..., Awaitable[Answer]]], Awaitable[Answer]]


async def _create_account(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
    return await ask(json={"name": "from the walk"})


async def _update_account(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
    return await ask(account_id=await scene.account(), json={"name": "renamed by the walk", "disabled": True})


async def _put_limits(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
    return await ask(account_id=await scene.account(), json={"queued_jobs": 7, "spend_day": 1.5})


async def _put_settings(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
    return await ask(account_id=await scene.account(), json={"retention_s": 3600})


async def _create_key(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
    return await ask(account_id=await scene.account(), json={"name": "made by the walk"})


def _of_any_key(**sent: Any) -> Ask:
    async def asked(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
        account_id = await scene.account()
        key_id = await scene.made(f"/api/v1/admin/accounts/{account_id}/keys", {})
        return await ask(account_id=account_id, key_id=key_id, **sent)

    return asked


def _of_own_key(**sent: Any) -> Ask:
    async def asked(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
        return await ask(key_id=await scene.key(), **sent)

    return asked


def _of_webhook(**sent: Any) -> Ask:
    async def asked(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
        return await ask(webhook_id=await scene.webhook(), **sent)

    return asked


def _plain(**sent: Any) -> Ask:
    async def asked(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
        return await ask(**sent)

    return asked


async def _redeliver(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
    await scene.admin.reached((await scene.admin.create(webhook_url=RECEIVER))["job_id"])
    listed = (await scene.admin.get("/api/v1/webhooks/deliveries")).ok()["deliveries"]
    answers = [await ask(delivery_id=one["id"]) for one in listed]
    return answers[-1]


async def _act_on_jobs(scene: Scene, ask: Callable[..., Awaitable[Answer]]) -> Answer:
    job_id = (await scene.admin.create())["job_id"]
    await scene.admin.reached(job_id)
    return await ask(json={"action": "settle", "job_ids": [job_id], "cost_usd": 0.25})


ASKED: dict[str, tuple[str, Ask]] = {
    "create_account": ("account.create", _create_account),
    "update_account": ("account.disable", _update_account),
    "put_limits": ("limits.set", _put_limits),
    "create_key": ("key.create", _create_key),
    "update_key": ("key.rename", _of_any_key(json={"name": "other"})),
    "revoke_key": ("key.revoke", _of_any_key()),
    "delete_key": ("key.delete", _of_any_key()),
    "put_account_settings": ("settings.set", _put_settings),
    "put_key_settings": ("settings.set", _of_any_key(json={"models": ["animatic/*"]})),
    "put_key_limits": ("limits.set", _of_any_key(json={"queued_jobs": 3})),
    "create_own_key": ("key.create", _plain(json={"name": "own"})),
    "update_own_key": ("key.disable", _of_own_key(json={"disabled": True})),
    "revoke_own_key": ("key.revoke", _of_own_key()),
    "delete_own_key": ("key.delete", _of_own_key()),
    "create_webhook": ("webhook.create", _plain(json={"url": RECEIVER})),
    "change_webhook": ("webhook.change", _of_webhook(json={"enabled": False})),
    "delete_webhook": ("webhook.delete", _of_webhook()),
    "rotate_webhook": ("webhook.rotate_secret", _of_webhook()),
    "rotate_signing_secret": ("signing_secret.rotate", _plain()),
    "redeliver": ("delivery.redeliver", _redeliver),
    "act_on_jobs": ("job.settle", _act_on_jobs),
}
"""How each route is asked, and the action that its entry must have. A new route that changes something needs a line
here, or one in NOT_AUDITED that says why."""


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("audited"), RUSHES_BOOTSTRAP_KEY=BOOTSTRAP).start()
    yield running
    running.finish()


@pytest.fixture
async def admin(audited: Service) -> AsyncIterator[Client]:
    async with Client(audited, BOOTSTRAP) as client:
        yield client


async def test_every_route_that_changes_something_leaves_an_entry(audited: Service, admin: Client) -> None:
    document = (await admin.get("/openapi.json")).json()
    changing = {
        operation["operationId"]: (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method not in ("get", "head", "parameters") and not SURFACES & set(operation.get("tags", []))
    }
    assert set(changing) == set(ASKED) | set(NOT_AUDITED), "each needs a line in ASKED, or in NOT_AUDITED"
    scene = Scene(admin)
    for name, (action, asked) in ASKED.items():
        method, path = changing[name]
        sent: dict[str, str] = {}

        async def ask(
            *, json: object = None, _method: str = method, _path: str = path, _sent: dict[str, str] = sent, **ids: str
        ) -> Answer:
            answer = await admin.call(_method, _path.format(**ids), json=json)
            _sent["request_id"] = answer.headers["X-Request-Id"]
            return answer

        answer = await asked(scene, ask)
        assert answer.status < 300, (name, answer.status, answer.body)
        found = (await admin.get(AUDIT, params={"limit": "20"})).ok()["entries"]
        of_request = {entry["action"]: entry for entry in found if entry["request_id"] == sent["request_id"]}
        assert action in of_request, (name, found[:2])
        entry = of_request[action]
        assert entry["actor"] == {
            "kind": "key",
            "id": entry["actor"]["id"],
            "name": "bootstrap",
            "account_id": entry["actor"]["account_id"],
        }
        assert entry["address"] == "127.0.0.1"
        assert entry["account_id"].startswith("acct_")
        text = json.dumps(entry)
        assert "hush" not in text
        assert "whsec" not in text
        assert BOOTSTRAP not in text
    verified = audited.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    assert verified.stdout.strip().startswith(f"{len(audited.rows('SELECT seq FROM audit_log'))}:")


async def test_what_is_refused_or_only_tried_leaves_no_entry(audited: Service, admin: Client) -> None:
    before = audited.rows("SELECT MAX(seq) FROM audit_log")
    job_id = (await admin.create())["job_id"]
    dry = {"action": "abort", "job_ids": [job_id], "dry_run": True}
    assert (await admin.post("/api/v1/admin/jobs/actions", json=dry)).status == 200
    (await admin.post("/api/v1/user/api-keys", json={"scopes": ["everything"]})).problem(422)
    (await admin.call("DELETE", "/api/v1/user/api-keys/key_none")).problem(404)
    assert audited.rows("SELECT MAX(seq) FROM audit_log") == before


async def test_commands_are_recorded_as_the_operators_of_the_machine(audited: Service) -> None:
    assert audited.run("accounts", "create", "by command").returncode == 0
    assert audited.run("limits", "set", "--account", "by command", "--queued-jobs", "4").returncode == 0
    listed = audited.run("audit", "list", "--limit", "2", "--json")
    limits, account = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (limits["action"], limits["before"], limits["after"]) == ("limits.set", {}, {"queued_jobs": 4})
    assert account["action"] == "account.create"
    for entry in (limits, account):
        assert entry["actor"]["kind"] == "operator"
        assert "@" in entry["actor"]["name"]
        assert (entry["request_id"], entry["address"]) == (None, None)
    shown = audited.run("audit", "list", "--action", "limits.", "--limit", "1").stdout
    assert "queued_jobs 4" in shown
    assert "operator" in shown


async def test_an_export_is_csv_or_json_and_holds_every_entry(audited: Service, admin: Client) -> None:
    await admin.post("/api/v1/user/api-keys", json={"name": "=1+1"})
    exported = audited.run("audit", "export")
    rows = list(csv.DictReader(io.StringIO(exported.stdout)))
    as_json = [json.loads(line) for line in audited.run("audit", "export", "--format", "json").stdout.splitlines()]
    assert [int(row["seq"]) for row in rows] == [entry["seq"] for entry in as_json]
    assert len(rows) == int(rows[0]["seq"])
    assert json.loads(rows[0]["after"])["name"] == "=1+1"
    target = audited.folder / "audit.csv"
    assert audited.run("audit", "export", "--output", target).returncode == 0
    refused = audited.run("audit", "export", "--output", target)
    assert refused.returncode == 2
    assert "audit.csv" in refused.stderr
    assert target.read_text().splitlines()[0].startswith("seq,at,action")


async def test_the_log_is_for_administrators_and_a_test_key_sees_its_own_part(audited: Service, admin: Client) -> None:
    made = (
        await admin.post("/api/v1/user/api-keys", json={"mode": "test", "scopes": ["read", "manage", "admin"]})
    ).json()
    usual = (await admin.post("/api/v1/user/api-keys", json={})).json()
    async with Client(audited, usual["key"]) as client:
        assert (await client.get(AUDIT)).problem(403)["code"] == "scope_missing"
    async with Client(audited, made["key"]) as client:
        await client.post("/api/v1/user/api-keys", json={"name": "by a test key"})
        entries = (await client.get(AUDIT)).ok()["entries"]
        assert [entry["after"]["name"] for entry in entries] == ["by a test key"]
        assert entries[0]["mode"] == "test"
        (await client.get(AUDIT, params={"mode": "live"})).problem(403)
    (await admin.get(AUDIT, params={"actor": "x"})).problem(400)
    (await admin.get(AUDIT, params={"cursor": "x"})).problem(422)
    page = (await admin.get(AUDIT, params={"limit": "1", "action": "key."})).ok()
    second = (await admin.get(AUDIT, params={"limit": "1", "action": "key.", "cursor": page["next_cursor"]})).ok()
    assert second["entries"][0]["seq"] < page["entries"][0]["seq"]


async def test_an_entry_that_was_changed_by_hand_is_found_by_verify(audited: Service, admin: Client) -> None:
    await admin.post("/api/v1/user/api-keys", json={"name": "honest"})
    ((seq, before),) = audited.rows("SELECT seq, after_json FROM audit_log ORDER BY seq DESC LIMIT 1")
    audited.change("UPDATE audit_log SET after_json = ? WHERE seq = ?", before.replace("honest", "forged"), seq)
    found = audited.run("audit", "verify")
    assert found.returncode == 1
    assert f"entry {seq} was changed" in found.stdout
    assert "does not hold" in found.stderr
    audited.change("UPDATE audit_log SET after_json = ? WHERE seq = ?", before, seq)
    assert audited.run("audit", "verify", "--expect", "1:nonsense").returncode == 2
    noted = audited.run("audit", "verify").stdout.strip()
    assert audited.run("audit", "verify", "--expect", noted).returncode == 0
    other = f"{noted.partition(':')[0]}:{'0' * 64}"
    assert audited.run("audit", "verify", "--expect", other).returncode == 1
