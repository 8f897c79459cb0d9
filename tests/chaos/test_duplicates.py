"""Many callers repeat the same create at the same time: each idempotency key makes one job."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.dose import dose
from tests.e2e.conftest import Start
from tests.fixtures.service import QUICK, Client

KEYS = dose(25, 1000)
DUPLICATES = 20
KEYS_AT_ONCE = 5


@pytest.mark.timeout(900)
async def test_twenty_duplicates_of_each_key_make_one_job(start: Start) -> None:
    service = start(RUSHES_TEST_HOLD_S=3600)
    places = asyncio.Semaphore(KEYS_AT_ONCE)
    async with Client(service, service.key().text) as client:

        async def ask(number: int) -> tuple[str, bool]:
            answer = await client.post(
                "/api/v1/videos/generations",
                json={"prompt": f"scene {number}", **QUICK},
                headers={"Idempotency-Key": f"key-{number}"},
            )
            return answer.ok()["job_id"], answer.headers.get("Idempotent-Replayed") == "true"

        async def ask_often(number: int) -> str:
            async with places:
                answers = await asyncio.gather(*(ask(number) for _ in range(DUPLICATES)))
            (job_id,) = {job_id for job_id, _ in answers}
            assert sum(not replayed for _, replayed in answers) == 1
            return job_id

        job_ids = await asyncio.gather(*(ask_often(number) for number in range(KEYS)))
        total = (await client.jobs(limit=1))["total"]
    print(f"{KEYS} keys x {DUPLICATES} duplicates: {total} jobs")
    assert len(set(job_ids)) == total == KEYS
