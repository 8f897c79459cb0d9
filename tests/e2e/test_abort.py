"""`rushes jobs abort`: an operator ends a job beside the running service, or before its next start."""

from __future__ import annotations

from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings, submits
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.gemini import Gemini


async def running(client: Client) -> str:
    """A job that its provider has accepted and never finishes."""
    job_id = str((await client.generate(prompt="#fake:unending", model=OMNI)).ok()["job_id"])
    while (await client.job(job_id))["provider_video_id"] is None:
        pass
    return job_id


async def test_a_running_job_is_stopped_at_its_provider_within_seconds(
    google: Service, live: Client, fake: Gemini
) -> None:
    job_id = await running(live)
    done = google.run("jobs", "abort", job_id, "--no-wait")
    assert done.returncode == 0, done.stderr
    assert job_id in done.stdout
    job = await live.reached(job_id)
    assert (job["status"], job["error_code"]) == ("failed", "aborted")
    assert "'google' has stopped it; it may be charged" in job["error"]
    assert job["usage"]["estimated"] is True
    assert job["usage"]["cost"] > 0
    assert next(one for one in fake.interactions.values() if one.id == job["provider_video_id"]).cancelled
    again = google.run("jobs", "abort", job_id)
    assert again.returncode != 0
    assert "is failed" in again.stderr


async def test_a_pending_job_is_never_submitted(start: Start, fake: Gemini) -> None:
    service = start(**google_settings(fake, RUSHES_HOLD_S=3600))
    async with Client(service, service.key(test=False).text) as client:
        job_id = (await client.generate(prompt="changed my mind", model=OMNI)).ok()["job_id"]
        done = service.run("jobs", "abort", job_id)
        assert "nothing was charged" in done.stdout
        job = await client.job(job_id)
    assert (job["error_code"], job["usage"]) == ("aborted", {"cost": 0.0, "currency": "USD", "estimated": False})
    assert submits(fake, "changed my mind") == []


async def test_the_word_is_kept_for_a_service_that_is_down(start: Start, fake: Gemini) -> None:
    service = start(**google_settings(fake))
    async with Client(service, service.key(test=False).text) as client:
        job_id = await running(client)
        service.kill()
        done = service.run("jobs", "abort", job_id)
        assert done.returncode == 0, done.stderr
        assert "when the service starts" in done.stdout
        service.start()
        job = await client.reached(job_id)
    assert job["error_code"] == "aborted"


def test_a_job_that_is_none_is_named(google: Service) -> None:
    refused = google.run("jobs", "abort", "job_none")
    assert refused.returncode != 0
    assert "job_none" in refused.stderr
    assert "Traceback" not in refused.stderr
