"""A service that is killed and frozen again and again while it submits: nothing is lost, nothing is paid for twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter

import pytest

from tests.chaos.dose import dose
from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings, prompt_of
from tests.fixtures.service import Client
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.hesitant import Hesitant

ROUNDS = dose(2, 20)
JOBS = dose(20, 200)
LEASE_S = 1
LONG_S = 300.0


@pytest.mark.timeout(900)
async def test_kills_and_freezes_lose_no_job_and_submit_none_twice(start: Start) -> None:
    chance = random.Random(20)
    with beside(Hesitant(0.2)) as upstream:
        service = start(**google_settings(upstream, RUSHES_LEASE_S=LEASE_S))
        key = service.key(test=False).text
        job_ids: dict[str, str] = {}
        for number in range(ROUNDS):
            async with Client(service, key) as client:
                prompts = [f"take {len(job_ids) + one}." for one in range(JOBS // ROUNDS)]
                made = await asyncio.gather(*(client.generate(prompt=prompt, model=OMNI) for prompt in prompts))
                job_ids |= {prompt: answer.ok()["job_id"] for prompt, answer in zip(prompts, made, strict=True)}
                await asyncio.sleep(chance.uniform(0, 0.3))
            if number % 2 == 0:
                service.kill()
                service.start()
            else:
                os.kill(service.process_id, signal.SIGSTOP)
                await asyncio.sleep(1.5 * LEASE_S)
                os.kill(service.process_id, signal.SIGCONT)
        async with Client(service, key) as client:
            jobs = {prompt: await client.reached(job_id, within_s=LONG_S) for prompt, job_id in job_ids.items()}
            assert (await client.jobs())["total"] == JOBS
        sent = Counter(prompt_of(one.json) for one in upstream.requests if one.method == "POST")
    ends = Counter(job["error_code"] or job["status"] for job in jobs.values())
    print(f"{ROUNDS} kills and freezes over {JOBS} jobs: {dict(ends)}, {sum(sent.values())} submits")
    assert {prompt: count for prompt, count in sent.items() if count > 1} == {}
    assert ends.keys() <= {"completed", "submission_unknown"}
    # What was never sent cannot be unknown, or a job was lost between the two; a dead process may not have sent it.
    assert ends["completed"] <= len(sent) <= JOBS
    assert set(service.rows("SELECT ready, in_use FROM lanes")) <= {(0, 0)}
    assert service.rows("SELECT id FROM jobs WHERE lease IS NOT NULL") == []
