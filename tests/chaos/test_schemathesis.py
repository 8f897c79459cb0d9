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
from tests.fixtures.service import Client, Service

CONFIG = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
PLAYED_S = dose(100, 1800)


@pytest.mark.timeout(PLAYED_S + 20)
def test_every_answer_to_generated_requests_is_a_documented_one(start: Start, tmp_path: Path) -> None:
    service = start(RUSHES_TEST_HOLD_S=0.2)
    key = service.key().text
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.read_text("utf-8") + dictionaries(asyncio.run(existing(service, key))), "utf-8")

    played = subprocess.run(
        [
            SCHEMATHESIS, "--config-file", config, "--no-color", "run", f"{service.url}/openapi.json",
            "--checks", "all", "--max-examples", str(dose(12, 300)), "--header", f"Authorization: Bearer {key}",
        ],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PLAYED_S,
        check=False,
    )  # fmt: skip

    assert played.returncode == 0, played.stdout + played.stderr


async def existing(service: Service, key: str) -> dict[str, object]:
    """Parameters that lead to something, by the names of the configuration's dictionaries."""
    async with Client(service, key) as client:
        job = await client.reached((await client.create())["job_id"])
    link = parse_qs(urlsplit(job["result"]["url"]).query)
    return {
        "job_id": job["job_id"],
        "index": 0,
        "expires": link["expires"][0],
        "signature": link["signature"][0],
        "key": key,
        "provider": "animatic",
    }


def dictionaries(values: dict[str, object]) -> str:
    """One value for each name, as the configuration has them."""
    return "".join(f"\n[dictionaries.{name}]\nvalues = [{json.dumps(value)}]\n" for name, value in values.items())
