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
    assert "only a job that has failed or expired" in again.stderr


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
    assert "has no video at its provider" in refused.stderr


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


async def test_an_operator_decides_over_http_on_many_jobs_at_once(google: Service, live: Client, fake: Gemini) -> None:
    lost = (await live.generate(prompt="bulk #fake:download-404", model=OMNI)).ok()["job_id"]
    assert (await live.reached(lost))["error_code"] == "output_lost"
    last(fake).script = "ok"
    made = google.run("keys", "create", "--scope", "admin", "--scope", "read", "--account", "operator")
    async with Client(google, made.stdout.splitlines()[-1]) as admin:
        listed = (await admin.get("/api/v1/admin/jobs/unsettled", params={"reason": "output_lost"})).ok()["jobs"]
        (entry,) = [one for one in listed if one["job_id"] == lost]
        assert (entry["reserved_usd"] > 0, "recover" in entry["actions"], entry["status"]) == (True, True, "failed")
        asked = {"action": "recover", "job_ids": [lost, "job_none"], "dry_run": True}
        answer = (await admin.post("/api/v1/admin/jobs/actions", json=asked)).ok()
        assert [(one["done"], one["error_code"]) for one in answer["results"]] == [
            (True, None),
            (False, "job_not_found"),
        ]
        assert (await live.job(lost))["status"] == "failed"
        answer = (await admin.post("/api/v1/admin/jobs/actions", json=asked | {"dry_run": False})).ok()
        assert (answer["done"], answer["refused"]) == (1, 1)
        await live.reached(lost, "completed")
        one = (await admin.get(f"/api/v1/admin/jobs/{lost}")).ok()
        assert (one["job"]["status"], one["needs_operator"]) == ("completed", None)
        page = (await admin.get("/api/v1/admin/jobs", params={"limit": 1, "status": "completed"})).ok()
        assert [job["status"] for job in page["jobs"]] == ["completed"]
        for body, field in [
            ({"action": "recover"}, "job_ids"),
            ({"action": "settle", "job_ids": [lost]}, "cost_usd"),
            ({"action": "reconcile", "job_ids": [lost]}, "provider_video_id"),
            ({"action": "recover", "job_ids": [lost], "cost_usd": 1}, "cost_usd"),
        ]:
            refused = (await admin.post("/api/v1/admin/jobs/actions", json=body)).problem(422)
            assert field in [fault["field"] for fault in refused["errors"]]
    (await live.get("/api/v1/admin/jobs")).problem(403)


async def test_an_operator_decides_on_the_command_line_on_many_jobs_at_once(
    google: Service, live: Client, fake: Gemini
) -> None:
    lost = (await live.generate(prompt="by hand #fake:download-404", model=OMNI)).ok()["job_id"]
    await live.reached(lost)
    last(fake).script = "ok"
    listed = google.run("jobs", "needs-operator", "--reason", "output_lost")
    assert lost in listed.stdout
    tried = google.run("jobs", "decide", "recover", lost, "--dry-run")
    assert (tried.returncode, tried.stdout.startswith("would: ")) == (0, True), tried.stderr
    assert (await live.job(lost))["status"] == "failed"
    done = google.run("jobs", "decide", "recover", lost, "job_none")
    assert (done.returncode, lost in done.stdout, "job_none" in done.stderr) == (1, True, True)
    await live.reached(lost, "completed")
    for arguments in (["recover"], ["settle", lost], ["recover", lost, "--all"], ["reconcile", lost]):
        assert google.run("jobs", "decide", *arguments).returncode == 2
