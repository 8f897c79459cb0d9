"""`rushes jobs reconcile` and `recover`: what an operator can do for jobs that may have been paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fixtures.google import OMNI, google_settings, submits
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.gemini import Gemini, Interaction


async def unknown(client: Client, prompt: str, **fields: Any) -> str:
    """The id of a job whose submit was accepted and never answered."""
    job_id = str((await client.generate(prompt=f"{prompt} #fake:submit-drop", model=OMNI, **fields)).ok()["job_id"])
    assert (await client.reached(job_id))["error_code"] == "submission_unknown"
    return job_id


def last(fake: Gemini) -> Interaction:
    return list(fake.interactions.values())[-1]


async def test_reconciling_takes_up_what_the_provider_made(google: Service, live: Client, fake: Gemini) -> None:
    job_id = await unknown(live, "found again")
    done = google.run("jobs", "reconcile", job_id, "--provider-id", last(fake).id)
    assert done.returncode == 0, done.stderr
    assert job_id in done.stdout
    job = await live.reached(job_id, "completed")
    assert (job["error"], job["error_code"], job["provider_error"]) == (None, None, None)
    assert (job["progress"], job["provider_video_id"]) == (100, last(fake).id)
    assert (await live.get(job["result"]["url"], plain=True)).body[4:8] == b"ftyp"
    assert len(submits(fake, "found again #fake:submit-drop")) == 1
    assert job_id not in google.run("jobs", "reconcile").stdout
    again = google.run("jobs", "reconcile", job_id, "--provider-id", last(fake).id)
    assert again.returncode != 0
    assert "only a failed job" in again.stderr


async def test_a_wrong_id_leaves_the_job_failed_and_can_be_put_right(
    google: Service, live: Client, fake: Gemini
) -> None:
    job_id = await unknown(live, "mistyped")
    assert google.run("jobs", "reconcile", job_id, "--provider-id", "v1_nonsense").returncode == 0
    while (job := await live.job(job_id))["error_code"] == "submission_unknown":
        assert job["status"] == "failed"
        await asyncio.sleep(0.05)
    assert (job["status"], job["error_code"]) == ("failed", "provider_rejected")
    assert "does not know" in job["error"]
    right = last(fake).id
    done = google.run("jobs", "reconcile", job_id, "--provider-id", right)
    assert done.returncode == 0, done.stderr
    job = await live.reached(job_id, "completed")
    assert job["provider_video_id"] == right


async def test_a_written_off_job_is_listed_no_more(google: Service, live: Client, fake: Gemini) -> None:
    job_id = await unknown(live, "gone")
    listed = google.run("jobs", "reconcile")
    (line,) = [line for line in listed.stdout.splitlines() if job_id in line]
    assert OMNI in line
    assert "may be charged" in line
    done = google.run("jobs", "reconcile", job_id, "--write-off")
    assert done.returncode == 0, done.stderr
    assert job_id not in google.run("jobs", "reconcile").stdout
    assert (await live.job(job_id))["status"] == "failed"
    refused = google.run("jobs", "reconcile", job_id, "--provider-id", last(fake).id)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr


async def test_a_job_on_the_callers_key_is_refused_with_the_reason(google: Service, live: Client, fake: Gemini) -> None:
    job_id = await unknown(live, "on my key", byok_api_key="own-key-0123456789")
    refused = google.run("jobs", "reconcile", job_id, "--provider-id", last(fake).id)
    assert refused.returncode != 0
    assert "caller's own key" in refused.stderr
    assert (await live.job(job_id))["error_code"] == "submission_unknown"
    assert google.run("jobs", "reconcile", job_id, "--write-off").returncode == 0


@pytest.mark.parametrize("options", [[], ["--provider-id", "v1_x", "--write-off"], ["--provider-id", " "]])
def test_reconciling_takes_exactly_one_of_its_options(google: Service, options: list[str]) -> None:
    refused = google.run("jobs", "reconcile", "job_x", *options)
    assert refused.returncode == 2
    assert "--provider-id" in refused.stderr


@pytest.mark.parametrize("command", [["reconcile", "job_none", "--write-off"], ["recover", "job_none"]])
def test_a_job_that_is_none_is_named(google: Service, command: list[str]) -> None:
    refused = google.run("jobs", *command)
    assert refused.returncode != 0
    assert "job_none" in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_a_lost_video_is_recovered(google: Service, live: Client, fake: Gemini) -> None:
    job_id = (await live.generate(prompt="#fake:download-404", model=OMNI)).ok()["job_id"]
    job = await live.reached(job_id)
    assert (job["status"], job["error_code"]) == ("failed", "output_lost")
    assert job_id in google.run("jobs", "reconcile").stdout
    last(fake).script = "ok"
    done = google.run("jobs", "recover", job_id)
    assert done.returncode == 0, done.stderr
    job = await live.reached(job_id, "completed")
    assert (job["error"], job["provider_video_id"]) == (None, last(fake).id)
    assert len(submits(fake, "#fake:download-404")) == 1


async def test_a_job_that_lost_nothing_cannot_be_recovered(google: Service, live: Client) -> None:
    job_id = await unknown(live, "nothing to recover")
    refused = google.run("jobs", "recover", job_id)
    assert refused.returncode != 0
    assert "has lost no video" in refused.stderr


@pytest.fixture
def stopped(tmp_path_factory: pytest.TempPathFactory, fake: Gemini) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("stopped"), **google_settings(fake)).start()
    yield service
    service.finish()


async def test_reconciling_works_while_the_service_is_down(stopped: Service, fake: Gemini) -> None:
    async with Client(stopped, stopped.key(test=False).text) as client:
        job_id = await unknown(client, "at night")
        identity = last(fake).id
        stopped.kill()
        done = stopped.run("jobs", "reconcile", job_id, "--provider-id", identity)
        assert done.returncode == 0, done.stderr
        stopped.start()
        job = await client.reached(job_id, "completed")
        assert job["provider_video_id"] == identity
