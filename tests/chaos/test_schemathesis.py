"""The service is what its OpenAPI document says: generated requests, right and wrong, alone and in sequence.

Every route of the document takes part by itself; CONTRIBUTING.md says what a new one declares. `RUSHES_CHAOS=1` plays
many more requests.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.chaos.dose import dose
from tests.e2e.conftest import Start
from tests.fixtures.receiver import ALLOWED
from tests.fixtures.service import Client, Service

CONFIG = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
PLAYED_S = dose(900, 7200)
"""Only what hangs takes so long: the dose is a number of examples."""
SETTINGS = {
    # A request that names no model is for one that we have.
    "RUSHES_MODEL_ALIASES": json.dumps({"sora-2": "animatic/storyboard"}),
    "RUSHES_WEBHOOK_RETRIES_S": "3600",
}
SCOPES = [word for scope in ("read", "generate", "manage", "admin") for word in ("--scope", scope)]
SMALL = """
[phases.coverage]
unexpected-methods = ["OPTIONS", "PUT"]

# They take bodies that other routes take too, and bodies are most of what there is to cover.
[[operations]]
include-operation-id = ["quote_generation", "edit_video", "extend_video", "predict_on_vertex"]
phases.coverage.enabled = false
"""
"""What the small dose leaves out."""


@pytest.mark.timeout(PLAYED_S + 60)
def test_every_answer_to_generated_requests_is_a_documented_one(start: Start, tmp_path: Path) -> None:
    service = start(RUSHES_TEST_HOLD_S=0.2, **SETTINGS, **ALLOWED)
    made = service.run("keys", "create", "--test", *SCOPES)
    key = made.stdout.strip()
    config = tmp_path / "schemathesis.toml"
    given = dictionaries(asyncio.run(existing(service, key)))
    config.write_text(CONFIG.read_text("utf-8") + (SMALL if dose(0, 1) == 0 else "") + given, "utf-8")

    played = subprocess.run(
        [
            SCHEMATHESIS, "--config-file", config, "--no-color", "run", f"{service.url}/openapi.json",
            "--checks", "all", "--max-examples", str(dose(8, 300)), "--header", f"Authorization: Bearer {key}",
        ],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PLAYED_S,
        check=False,
    )  # fmt: skip

    assert played.returncode == 0, played.stdout + played.stderr
    print(played.stdout[played.stdout.rfind("Test cases:") :])


async def existing(service: Service, key: str) -> dict[str, list[object]]:
    """Parameters that lead to something, by the names of the configuration's dictionaries."""
    receiver = f"{service.url}/not-there"
    async with Client(service, key) as client, Client(service, service.key(account="other").text) as other:
        linked = await other.reached((await other.create())["job_id"])
        # Some of them are deleted.
        jobs = [(await client.create(webhook_url=receiver))["job_id"] for _ in range(10)]
        for job_id in jobs:
            await client.reached(job_id)
        cancelled = (await client.create())["job_id"]
        while (await client.cancel(cancelled)).status != 200:
            # A slow machine may have begun it meanwhile.
            cancelled = (await client.create())["job_id"]
        webhooks = [(await client.post("/api/v1/webhooks", json={"url": receiver})).json()["id"] for _ in range(4)]
        account = (await client.post("/api/v1/admin/accounts", json={"name": "governed"})).json()
        keys = [(await client.post(f"/api/v1/admin/accounts/{account['id']}/keys", json={})).json() for _ in range(3)]
        deliveries = (await client.get("/api/v1/webhooks/deliveries")).ok()["deliveries"]
    link, poster = [parse_qs(urlsplit(linked["result"][name]).query) for name in ("url", "thumbnail_url")]
    assert link["expires"] == poster["expires"]
    return {
        "job_id": jobs[:3],
        "video_id": jobs[3:5],
        "operation_id": jobs[:3],
        "interaction_id": jobs[6:],
        "cancelled_id": [cancelled],
        "file_id": [f"{job_id.removeprefix('job_')}0" for job_id in jobs[:3]],
        "remixed_video_id": jobs[5:6],
        "linked_job_id": [linked["job_id"]],
        "index": [0],
        "extension": ["mp4"],
        "expires": [*link["expires"]],
        "signature": [*link["signature"]],
        "poster_signature": [*poster["signature"]],
        "key": [key],
        "provider": ["animatic"],
        "model_id": ["storyboard"],
        "model": ["storyboard"],
        "webhook_id": webhooks,
        "account_id": [account["id"]],
        "key_id": [one["id"] for one in keys],
        "delivery_id": [one["id"] for one in deliveries],
    }


def dictionaries(values: dict[str, list[object]]) -> str:
    """The values of each name, as the configuration has them."""
    return "".join(f"\n[dictionaries.{name}]\nvalues = {json.dumps(given)}\n" for name, given in values.items())
