"""Providers that answer with anything at all: the service stays up, small and honest, and keeps its keys to itself.

A failure prints the seed; `RUSHES_CHAOS_SEED=...` plays the same answers again. `RUSHES_CHAOS=1` plays many more.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.dose import dose
from tests.contract.test_bedrock import KEYS
from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, OPERATOR_KEY
from tests.fixtures.service import Client, Service
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.hostile import (
    Hostile,
    HostileBedrock,
    HostileGemini,
    HostileOpenaiShape,
    HostileVertex,
)

ANSWERS = dose(60, 1000)
JOBS_AT_ONCE = 12
PATIENCE_S = dose(6, 150)
MOST_GROWTH_BYTES = 200 * 1024**2
"""How much larger the service may become, loading boto3 included: it reads one megabyte of a reply."""
FARM_KEY = "sk-render-farm-0123456789"
FLAVORS = ("openai", "vllm-omni", "sglang")
MODEL_OF_OWN = "plain-model"
CODES = {
    "provider_rejected", "content_filtered", "provider_auth", "provider_quota", "provider_unavailable",
    "unexpected_response", "submission_unknown", "output_invalid", "output_lost", "expired", "provider_error",
}  # fmt: skip


@pytest.fixture
def seed() -> str:
    """What the wrong answers are drawn from."""
    chosen = os.environ.get("RUSHES_CHAOS_SEED", "rushes")
    print(f"RUSHES_CHAOS_SEED={chosen}")
    return chosen


@pytest.fixture
def upstreams(seed: str) -> Iterator[dict[str, Hostile]]:
    """One hostile server for each adapter and flavor."""
    patient = ANSWERS >= 1000
    made: dict[str, Hostile] = {
        "gemini": HostileGemini(f"{seed}/gemini", patient=patient),
        "vertex": HostileVertex(f"{seed}/vertex", patient=patient),
        "bedrock": HostileBedrock(f"{seed}/bedrock", patient=patient),
    }
    for flavor in FLAVORS:
        made[flavor] = HostileOpenaiShape(f"{seed}/{flavor}", patient=patient, flavor=flavor, models=(MODEL_OF_OWN,))
    with ExitStack() as listening:
        for upstream in made.values():
            listening.enter_context(beside(upstream))
        yield made


def settings(upstreams: dict[str, Hostile]) -> dict[str, Any]:
    """A service that uses all of them; Vertex by a caller's own service account."""
    vertex = upstreams["vertex"]
    assert isinstance(vertex, HostileVertex)
    google = {
        "BASE_URL": upstreams["gemini"].base_url, "API_KEY": OPERATOR_KEY, "VERTEX_BASE_URL": vertex.base_url,
        "TOKEN_URL": vertex.token_url, "STORAGE_URL": vertex.base_url,
    }  # fmt: skip
    aws = {"BASE_URL": upstreams["bedrock"].base_url, "STORAGE_URL": upstreams["bedrock"].base_url,
           "API_KEY": json.dumps(KEYS)}  # fmt: skip
    found: dict[str, Any] = {"RUSHES_NET_ALLOW__RESULTS": "127.0.0.1/32", "RUSHES_POLL_INTERVAL_S": 0.03}
    found |= {f"RUSHES_PROVIDERS__GOOGLE__{name}": value for name, value in google.items()}
    found |= {f"RUSHES_PROVIDERS__BEDROCK__{name}": value for name, value in aws.items()}
    for place, flavor in enumerate(FLAVORS):
        own = {
            "KIND": "openai", "FLAVOR": flavor, "BASE_URL": f"{upstreams[flavor].base_url}/v1", "API_KEY": FARM_KEY,
            "MODELS": json.dumps([{"id": MODEL_OF_OWN, "usual_s": 10, "deadline_s": 60}]),
        }  # fmt: skip
        found |= {f"RUSHES_PROVIDERS__FARM{place}__{name}": value for name, value in own.items()}
    return found


def requests_of(upstreams: dict[str, Hostile]) -> dict[str, dict[str, Any]]:
    """What to ask for, so that each of the servers has work."""
    vertex = upstreams["vertex"]
    assert isinstance(vertex, HostileVertex)
    own = {flavor: {"model": f"farm{place}/{MODEL_OF_OWN}"} for place, flavor in enumerate(FLAVORS)}
    return {
        "gemini": {"model": OMNI},
        "vertex": {"model": "google/veo-3.1-generate-001", "byok_api_key": vertex.service_account()},
        "bedrock": {"model": "bedrock/luma.ray-v2:0"},
        **own,
    }


@pytest.mark.timeout(dose(900, 3600))
async def test_no_answer_of_a_provider_brings_the_service_down_or_a_key_out(
    start: Start, upstreams: dict[str, Hostile], seed: str
) -> None:
    service = start(**settings(upstreams))
    before_bytes = resident_bytes(service)
    jobs: list[str] = []
    async with Client(service, service.key(test=False).text) as client:
        watching = asyncio.create_task(stays_healthy(client))
        bodies = requests_of(upstreams)
        asked = random.Random(seed)
        while played(upstreams) < ANSWERS:
            names = [asked.choice(list(bodies)) for _ in range(JOBS_AT_ONCE)] if jobs else list(bodies) * 2
            batch = [(await client.generate(prompt="a red kite", **bodies[name])).ok()["job_id"] for name in names]
            jobs += batch
            await ended(client, batch)
        watching.cancel()
        growth_bytes = resident_bytes(service) - before_bytes
        print(f"{played(upstreams)} wrong answers to {len(jobs)} jobs; the service grew by {growth_bytes >> 20} MiB")

        await let_deadlines_pass(service)
        at_last = [await client.reached(job_id) for job_id in jobs]

    assert growth_bytes < MOST_GROWTH_BYTES
    for job in at_last:
        assert (job["error_code"] is None) == (job["status"] == "completed"), job
        assert job["error_code"] is None or (job["error_code"] in CODES and job["error"]), job
    assert "completed" in {job["status"] for job in at_last}
    assert [leak for upstream in upstreams.values() for leak in upstream.stranger.leaks] == []
    answered = json.dumps(at_last) + service.log_text()
    for secret in (OPERATOR_KEY, FARM_KEY, KEYS["secret_access_key"], KEYS["session_token"], "PRIVATE KEY"):
        assert secret not in answered


def played(upstreams: dict[str, Hostile]) -> int:
    return sum(len(upstream.played) for upstream in upstreams.values())


async def ended(client: Client, job_ids: list[str]) -> None:
    """Returns when these jobs have ended, or after some patience: some may wait for their deadline."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            for job_id in job_ids:
                await client.reached(job_id, within_s=2 * PATIENCE_S)
    except TimeoutError:
        pass


async def stays_healthy(client: Client) -> None:
    """Ask until cancelled; no answer of a provider may keep the service from answering others."""
    while True:
        async with asyncio.timeout(GENEROUS_S):
            (await client.get("/healthz", plain=True)).ok()
        await asyncio.sleep(0.05)


async def let_deadlines_pass(service: Service) -> None:
    """Take the service down and up again long after every deadline."""
    await asyncio.to_thread(service.kill)
    service.change("UPDATE jobs SET deadline_at = 0 WHERE state IN ('queued', 'submitting', 'running', 'storing')")
    await asyncio.to_thread(service.start)


def resident_bytes(service: Service) -> int:
    """The most memory that the service has held so far, its child processes not counted."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{service.process_id}/status").read_text("utf-8"))
    assert found is not None
    return int(found[1]) * 1024
