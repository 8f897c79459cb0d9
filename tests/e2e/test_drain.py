"""A service that is told to stop: it says so, and waits for what it has just asked a provider, unless told twice."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings, submits
from tests.fixtures.service import Client, until
from tests.fixtures.upstreams.gemini import Gemini


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_while_it_stops_it_is_not_ready_and_a_second_signal_ends_it_at_once(
    start: Start, fake: Gemini, number: signal.Signals
) -> None:
    service = start(**google_settings(fake, RUSHES_DRAIN_S=3600))
    prompt = f"{number.name} #fake:submit-hang"
    async with Client(service, service.key(test=False).text) as client:
        job_id = (await client.generate(prompt=prompt, model=OMNI)).ok()["job_id"]
        await until(lambda: bool(submits(fake, prompt)))
        os.kill(service.process_id, number)
        while (answer := await client.get("/readyz")).status == 200:
            pass
        assert "stopping" in answer.problem(503)["detail"]
        # Callers are still answered, and what is accepted now is carried out after the next start.
        assert (await client.job(job_id))["status"] == "in_progress"
        late = (await client.generate(prompt="late", model=OMNI)).ok()["job_id"]
        assert service.stop() == 0
        service.start()
        assert (await client.reached(job_id))["error_code"] == "submission_unknown"
        await client.completed([late])
    assert len(submits(fake, prompt)) == 1


async def test_a_front_serves_on_while_its_proxy_learns_that_it_stops(start: Start) -> None:
    service = start(RUSHES_LAME_DUCK_S=3600)
    async with Client(service, service.key().text) as client:
        os.kill(service.process_id, signal.SIGTERM)
        while (await client.get("/readyz")).status == 200:
            pass
        # Also a job of now is made, which needs the worker: nothing is drained yet.
        job_id = (await client.create())["job_id"]
        await client.completed([job_id])
        assert service.stop() == 0
