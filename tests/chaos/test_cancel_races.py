"""Cancelling races with the worker's claim, thousands of times: no cancelled job is ever submitted."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.chaos.dose import dose
from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings, prompt_of
from tests.fixtures.service import Client
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.gemini import Gemini

RACES = dose(100, 2000)
AT_ONCE = 50
HOLD_S = 0.5


@pytest.mark.timeout(900)
async def test_no_cancelled_job_is_submitted(start: Start) -> None:
    chance = random.Random(7)
    with beside(Gemini()) as upstream:
        service = start(**google_settings(upstream, RUSHES_HOLD_S=HOLD_S))
        async with Client(service, service.key(test=False).text) as client:

            async def race(number: int) -> tuple[str, str, bool]:
                # Refused at once where it is submitted: what matters is whether it was.
                prompt = f"race {number}. #fake:invalid"
                job_id = (await client.generate(prompt=prompt, model=OMNI)).ok()["job_id"]
                await asyncio.sleep(HOLD_S + chance.uniform(-0.2, 0.1))
                answer = await client.cancel(job_id)
                if answer.status != 200:
                    answer.problem(409)
                return prompt, job_id, answer.status == 200

            raced: list[tuple[str, str, bool]] = []
            while len(raced) < RACES:
                raced += await asyncio.gather(*(race(len(raced) + one) for one in range(AT_ONCE)))
            ends = {prompt: (await client.reached(job_id))["error_code"] for prompt, job_id, _ in raced}
        sent = {prompt_of(one.json) for one in upstream.requests if one.method == "POST"}
    cancelled = {prompt for prompt, _, was_cancelled in raced if was_cancelled}
    print(f"{RACES} races: {len(cancelled)} cancelled, {len(sent)} submitted")
    assert cancelled & sent == set()
    assert cancelled | sent == ends.keys()
    assert {ends[prompt] for prompt in cancelled} <= {"cancelled"}
    assert {ends[prompt] for prompt in sent} <= {"provider_rejected"}
    assert set(service.rows("SELECT ready, in_use FROM lanes")) <= {(0, 0)}
