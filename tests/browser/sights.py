"""Every page of the console with something on it, and every state that looks different."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fixtures.ports import free_port
from tests.fixtures.receiver import ALLOWED, Receiver
from tests.fixtures.service import Client, Service

PROMPT = "A paper boat on a rainy street, seen from just above the water"


@dataclass(frozen=True)
class Sight:
    """One page. `who` is whose session it is seen in, None for none; with `sends`, a form of that address is sent."""

    path: str
    who: str | None = "admin"
    sends: Mapping[str, str] | None = None


def _form(path: str, **fields: str) -> Sight:
    return Sight(path, sends=fields)


SIGHTS: Mapping[str, Sight] = {
    "sign-in": Sight("sign-in", who=None),
    "sign-in-refused": Sight("sign-in", who=None, sends={"key": "rushes_live_wrong"}),
    "sign-in-kept": Sight("webhooks", who=None, sends={"url": "https://example.com/"}),
    "sign-in-link-used": Sight("sign-in/link?code=none", who=None),
    "jobs": Sight("jobs"),
    "jobs-rows": Sight("jobs?view=rows"),
    "jobs-none-found": Sight("jobs?q=nothing"),
    "jobs-of-test-keys": Sight("jobs?mode=test"),
    "jobs-empty": Sight("jobs", who="newcomer"),
    "jobs-delete": _form("jobs/picked", action="delete", job="{done}"),
    "job": Sight("jobs/{done}"),
    "job-failed": Sight("jobs/{failed}"),
    "job-pending": Sight("jobs/{pending}"),
    "job-missing": Sight("jobs/job_000000000000000000000000"),
    "compare": Sight("compare?job={done}&job={failed}"),
    "playground": Sight("playground?model=animatic/storyboard"),
    "playground-google": Sight("playground?model=google/veo-3.1-generate-001"),
    "playground-wrong": _form("playground", prompt="", model="animatic/storyboard", seed="soon", webhook_url="ftp:"),
    "playground-test": Sight("playground", who="tester"),
    "models": Sight("models"),
    "models-none-found": Sight("models?q=nothing"),
    "model": Sight("models/google/veo-3.1-generate-001"),
    "usage": Sight("usage"),
    "usage-empty": Sight("usage", who="newcomer"),
    "keys": Sight("keys"),
    "keys-wrong": _form("keys", name=""),
    "key-made": _form("keys", name="of the test", mode="test", scopes="read"),
    "key-revoke": _form("keys/{key}/revoke"),
    "webhooks": Sight("webhooks"),
    "webhooks-wrong": _form("webhooks", url="ftp:"),
    "webhooks-empty": Sight("webhooks", who="newcomer"),
    "webhook": Sight("webhooks/{webhook}"),
    "webhook-tested": _form("webhooks/{webhook}/test"),
    "webhook-delete": _form("webhooks/{webhook}/delete"),
    "delivery": Sight("webhooks/deliveries/{delivery}"),
    "operations": Sight("operations"),
    "operations-wrong": _form("operations/jobs/{unsettled}", action="settle", cost_usd="much"),
    "operations-confirm": _form("operations/jobs/{unsettled}", action="write_off"),
    "accounts": Sight("accounts"),
    "accounts-wrong": _form("accounts", name=""),
    "account": Sight("accounts/{account}"),
    "account-wrong": _form("accounts/{account}/settings", models="bad pattern", fallback_models="veo-99"),
    "account-limits-wrong": _form("accounts/{account}/limits", spend_day="-1"),
    "audit": Sight("audit"),
    "audit-none-found": Sight("audit?actor_id=none"),
    "not-found": Sight("nothing"),
    "not-allowed": Sight("operations", who="tester"),
    "resume": Sight("webhooks", sends={"csrf": "of another session", "url": "https://example.com/"}),
}


@dataclass
class Seeds:
    """What is stored for the pages: the keys by who has them, and the ids that their addresses name."""

    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)


def settings_of_sights() -> Mapping[str, Any]:
    """A pool of keys of Google, where no job ever arrives, and a receiver on this machine."""
    keys = [{"name": name, "key": f"AIzaOf{name}012345678901234567890"} for name in ("studio", "reserve")]
    return {
        **ALLOWED,
        "RUSHES_HOLD_S": 3600,
        "RUSHES_PROVIDERS__GOOGLE__KEYS": json.dumps(keys),
        "RUSHES_PROVIDERS__GOOGLE__BASE_URL": f"http://127.0.0.1:{free_port()}",
    }


async def seed(service: Service, admin: str, receiver: Receiver) -> Seeds:
    """Store something for every page, in a service with the settings of `settings_of_sights`."""
    seeds = Seeds({"admin": admin})
    async with Client(service, admin) as client:
        accounts = {}
        for name, who, mode in (("Nordlicht Film", "tester", "test"), ("A new studio", "newcomer", "live")):
            account = (await client.post("/api/v1/admin/accounts", json={"name": name})).json()["id"]
            keys = f"/api/v1/admin/accounts/{account}/keys"
            made = (await client.post(keys, json={"name": f"laptop of {who}", "mode": mode})).json()
            accounts[who], seeds.keys[who] = account, made["key"]
        account = accounts["tester"]
        patterns = {"models": ["google/*", "seedance-99"], "default_model": "google/veo-3.1-generate-001"}
        (await client.call("PUT", f"/api/v1/admin/accounts/{account}/settings", json=patterns)).ok()
        limits = {"spend_month": 250.0, "requests_per_minute": 60}
        (await client.call("PUT", f"/api/v1/admin/accounts/{account}/limits", json=limits)).ok()
        me = (await client.get("/api/v1/user/me")).ok()
        (await client.call("PUT", f"/api/v1/admin/accounts/{me['account']['id']}/limits", json=limits)).ok()
        hook = {"url": f"{receiver.url}/ok?token=secret", "description": "the film archive"}
        webhook = (await client.post("/api/v1/webhooks", json=hook)).json()["id"]
        done = (await client.create(prompt=PROMPT, user="alice", metadata={"shot": "12"}))["job_id"]
        unsettled = (await client.create(prompt="Fog lifts from a pine forest at dawn"))["job_id"]
        failed = (await client.create(prompt="never drawn", model="animatic/fail"))["job_id"]
        await client.completed([done, unsettled])
        await client.reached(failed)
        pending = (await client.generate(prompt="Snow falls on a station", model="google/gemini-omni-1.2-flash")).ok()
        own = (await client.get(f"/api/v1/admin/accounts/{me['account']['id']}/keys")).ok()["keys"][0]["id"]
        (delivery, *_) = (await client.get(f"/api/v1/webhooks/{webhook}/deliveries")).ok()["deliveries"]
    service.change(
        "INSERT INTO unsettled_jobs (job_id, account_id, key_id, provider, model, accepted_at, reserved_microusd,"
        " spent_microusd, since, cause) SELECT id, account_id, key_id, provider, model, created_at, 500000, 0,"
        " created_at, 'submission_unknown' FROM jobs WHERE id = ?",
        unsettled,
    )
    service.change("UPDATE jobs SET reserved_microusd = 500000 WHERE id = ?", unsettled)
    seeds.ids = {"done": done, "unsettled": unsettled, "failed": failed, "pending": pending["job_id"],
                 "webhook": webhook, "delivery": delivery["id"], "account": account, "key": own}  # fmt: skip
    return seeds
