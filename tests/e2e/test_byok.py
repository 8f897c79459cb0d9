"""The caller's own provider key: used for that job alone, shown and written nowhere, and wiped when the job ends."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.e2e.conftest import Start
from tests.fixtures.google import DEFAULT, OMNI, OPERATOR_KEY, google_settings, keys_of, submits
from tests.fixtures.service import Client, Service, until
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.gemini import Gemini

CANARY = "canary-own-key-5e1f0c7a9b"
"""Not shaped like any provider's key, so that only its exact value gives it away."""
SEALED = "SELECT count(*) FROM byok_secrets"


async def test_the_job_runs_on_the_callers_key_and_costs_nothing_here(live: Client, fake: Gemini) -> None:
    answer = await live.generate(prompt="on my key", byok_api_key=CANARY)
    envelope = answer.ok()
    assert envelope["byok_api_key"] is True
    assert envelope["usage"] == {"cost": 0, "currency": "USD", "estimated": False}
    job = await live.reached(envelope["job_id"])
    assert (job["status"], job["served_model"]) == ("completed", OMNI)
    assert job["usage"] == {"cost": 0, "currency": "USD", "estimated": False}
    identity = job["provider_video_id"]
    file = next(one for one in fake.interactions.values() if one.id == identity).files[0]
    assert keys_of(submits(fake, "on my key")) == {CANARY}
    its_calls = [request for request in fake.requests if identity in request.path or f"/{file}:" in request.path]
    assert len(its_calls) > 3
    assert keys_of(its_calls) == {CANARY}


async def test_the_next_job_runs_on_the_operators_key_again(live: Client, fake: Gemini) -> None:
    own = (await live.generate(prompt="one on mine", byok_api_key=CANARY)).ok()
    other = (await live.generate(prompt="one on yours")).ok()
    assert other["byok_api_key"] is False
    await live.completed([own["job_id"], other["job_id"]])
    assert keys_of(submits(fake, "one on mine")) == {CANARY}
    assert keys_of(submits(fake, "one on yours")) == {OPERATOR_KEY}


async def test_it_may_stand_in_additional_params(google: Service, live: Client, fake: Gemini) -> None:
    envelope = (await live.generate(prompt="key inside", additional_params={"byok_api_key": CANARY})).ok()
    assert envelope["byok_api_key"] is True
    job = (await live.completed([envelope["job_id"]]))[0]
    (sent,) = submits(fake, "key inside")
    assert keys_of([sent]) == {CANARY}
    assert CANARY.encode() not in sent.body
    assert CANARY not in json.dumps(job)


async def test_it_serves_where_the_operator_has_no_key(start: Start, fake: Gemini) -> None:
    service = start(**google_settings(fake, GEMINI_API_KEY=""))
    async with Client(service, service.key(test=False).text) as client:
        (await client.generate(prompt="nobody pays")).problem(503)
        envelope = (await client.generate(prompt="I pay myself", byok_api_key=CANARY)).ok()
        await client.completed([envelope["job_id"]])


SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "mine",
    "private_key_id": "1",
    "private_key": CANARY,
    "client_email": "a@b.example",
    "token_uri": "https://stranger.example/token",
}
WRONG_SHAPES: list[object] = [
    "",
    "short",
    "with a space " + CANARY,
    "with\nbreak" + CANARY,
    "ключ-" + CANARY,
    CANARY * 1000,
    "{" + CANARY,
    json.dumps({"key": CANARY}),
    json.dumps({"type": "authorized_user", "client_secret": CANARY, "refresh_token": CANARY}),
    json.dumps({"type": "external_account", "credential_source": {"executable": {"command": f"touch {CANARY}"}}}),
    json.dumps({"type": "external_account_authorized_user", "client_secret": CANARY}),
    json.dumps({"type": "impersonated_service_account", "source_credentials": {"refresh_token": CANARY}}),
    json.dumps({**SERVICE_ACCOUNT, "private_key": None, "private_key_id": CANARY}),
    json.dumps([SERVICE_ACCOUNT]),
    {"type": "service_account", "private_key": CANARY},
    [CANARY],
    17,
    True,
]


@pytest.mark.parametrize("given", WRONG_SHAPES, ids=lambda given: str(given)[:24].replace(CANARY, "KEY"))
async def test_what_is_no_key_is_refused_without_being_repeated(google: Service, live: Client, given: object) -> None:
    answer = await live.generate(prompt="x", model=OMNI, byok_api_key=given)
    problem = answer.problem(400, 422)
    assert "byok_api_key" in problem["detail"]
    assert CANARY.encode() not in answer.body
    assert google.rows(SEALED) == [(0,)]


async def test_two_different_keys_are_refused_and_neither_is_repeated(live: Client) -> None:
    answer = await live.generate(prompt="x", byok_api_key=CANARY, additional_params={"byok_api_key": CANARY + "2"})
    answer.problem(400)
    assert CANARY.encode() not in answer.body


async def test_a_body_that_is_not_json_is_not_repeated(live: Client) -> None:
    text = f'{{"prompt": "x", "byok_api_key": "{CANARY}" "model"}}'
    answer = await live.post("/api/v1/videos/generations", data=text, headers={"Content-Type": "application/json"})
    answer.problem(400, 422)
    assert CANARY.encode() not in answer.body


async def test_a_key_that_google_refuses_is_said_to_be_the_callers(live: Client) -> None:
    envelope = (await live.generate(prompt="bad", model=OMNI, byok_api_key="bad-key-")).ok()
    await live.completed([envelope["job_id"]])
    envelope = (await live.generate(prompt="#fake:bad-key", model=OMNI, byok_api_key=CANARY)).ok()
    job = await live.reached(envelope["job_id"])
    assert (job["status"], job["error_code"]) == ("failed", "provider_auth")
    assert "byok_api_key" in job["error"]
    assert "API_KEY_INVALID" in job["provider_error"]


async def test_a_lost_answer_says_that_the_key_is_gone(google: Service, live: Client, fake: Gemini) -> None:
    prompt = "my money #fake:submit-drop"
    envelope = (await live.generate(prompt=prompt, model=OMNI, byok_api_key=CANARY)).ok()
    job = await live.reached(envelope["job_id"])
    assert (job["status"], job["error_code"]) == ("failed", "submission_unknown")
    assert "may be charged" in job["error"]
    assert "your own key is wiped" in job["error"]
    assert len(submits(fake, prompt)) == 1


class Echoing(Gemini):
    """Repeats the key it was sent in whatever it says."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("x-goog-api-key", "")
        encoded = base64.b64encode(f"user:{key}".encode()).decode()
        words = f"API '{key}' ({encoded}) said {key}"
        if request.method == "POST":
            said = (await request.json())["input"][-1]["text"]
            status = int(said.removeprefix("echo ")) if said.startswith("echo ") else 0
            if status:
                error = {"code": f"bad {key}", "message": words, "status": key, "details": [{"reason": key}]}
                return web.json_response([{"error": error}], status=status, headers={"X-Key": key})
        elif "/interactions/" in request.path:
            job = self.interactions[request.path.rpartition("/")[2]]
            job.polls += 1
            if job.polls == 1:
                return web.json_response({"id": job.id, "status": f"odd {key}", "error": {"message": words}})
            error = {"code": f"bad-{key}", "message": words}
            return web.json_response({"id": job.id, "status": "failed", "error": error, "steps": [{"type": words}]})
        return await super().handle(request)


@pytest.fixture
def echoing() -> Iterator[Gemini]:
    with beside(Echoing()) as upstream:
        yield upstream


async def test_the_key_is_in_no_file_and_no_answer_even_if_google_repeats_it(start: Start, echoing: Gemini) -> None:
    service = start(**google_settings(echoing, RUSHES_LOG_LEVEL="debug"))
    answers: list[bytes] = []
    async with Client(service, service.key(test=False).text) as client:
        job_ids = []
        for said in ("400", "401", "403", "404", "422", "500", "polled"):
            headers = {"Idempotency-Key": f"once-{said}"}
            body = {"prompt": f"echo {said}" if said != "polled" else "x", "byok_api_key": CANARY, "model": OMNI}
            answer = await client.post("/api/v1/videos/generations", json=body, headers=headers)
            answers.append(answer.body + str(answer.headers).encode())
            job_ids.append(answer.ok()["job_id"])
        for job_id in job_ids:
            job = await client.reached(job_id)
            assert job["status"] == "failed"
            answers.append((await client.get(f"/api/v1/videos/jobs/{job_id}")).body)
        assert "[redacted]" in job["error"]
        assert "[redacted]" in job["warnings"][0]
        answers.append((await client.get("/api/v1/videos/jobs")).body)
    not_in_any(files_of(service), while_running=True)
    service.kill()
    not_in_any(files_of(service))
    service.start()
    service.stop()
    not_in_any(files_of(service))
    assert all(CANARY.encode() not in said_to_caller for said_to_caller in answers)


async def test_the_key_is_in_no_file_while_the_job_waits_and_runs(start: Start, fake: Gemini) -> None:
    service = start(**google_settings(fake, RUSHES_HOLD_S=3600, RUSHES_LOG_LEVEL="debug"))
    async with Client(service, service.key(test=False).text) as client:
        envelope = (await client.generate(prompt="waits", byok_api_key=CANARY)).ok()
        assert service.rows(SEALED) == [(1,)]
        not_in_any(files_of(service), while_running=True)
        (await client.cancel(envelope["job_id"])).ok()
        assert service.rows(SEALED) == [(0,)]
    assert submits(fake, "waits") == []


@pytest.mark.parametrize("prompt", ["ends well", "#fake:failed", "#fake:submit-drop", "#fake:download-404"])
async def test_it_is_wiped_when_the_job_ends(google: Service, live: Client, prompt: str) -> None:
    envelope = (await live.generate(prompt=prompt, byok_api_key=CANARY)).ok()
    await live.reached(envelope["job_id"])
    assert google.rows(SEALED) == [(0,)]
    assert CANARY.encode() not in b"".join(file.read_bytes() for file in files_of(google))


OLD, NEW = "old-0123456789abcdef-old-0123456789", "new-0123456789abcdef-new-0123456789"


async def test_secret_keys_are_rotated_while_a_job_runs(start: Start, fake: Gemini) -> None:
    folder_settings = google_settings(fake, RUSHES_SECRET_KEYS=OLD)
    service = start(**folder_settings)
    async with Client(service, service.key(test=False).text) as client:
        running = (await client.generate(prompt="#fake:unknown-status", byok_api_key=CANARY)).ok()["job_id"]
        await client.reached(running, "in_progress")
        accepted = f"SELECT provider_video_id FROM jobs WHERE id = '{running}' AND provider_video_id IS NOT NULL"
        await until(lambda: bool(service.rows(accepted)))
        identity = str(service.rows(accepted)[0][0])
    service.kill()
    rotated = start(data_dir=service.data_dir, **{**folder_settings, "RUSHES_SECRET_KEYS": f"{NEW},{OLD}"})
    seen = len(fake.requests)
    async with Client(rotated, rotated.key(test=False).text) as client:
        interaction = next(one for one in fake.interactions.values() if one.id == identity)
        await until(lambda: len(fake.requests) >= seen + 3)
        interaction.script = "ok"
        await until(lambda: rotated.rows(f"SELECT status FROM jobs WHERE id = '{running}'") == [("completed",)])
        new = (await client.generate(prompt="under the new key", byok_api_key=CANARY)).ok()
        await client.completed([new["job_id"]])
    polls = [request for request in fake.requests[seen:] if identity in request.path]
    assert keys_of(polls) == {CANARY}


async def test_a_job_waits_for_a_process_that_has_its_secret_key(start: Start, fake: Gemini) -> None:
    settings = google_settings(fake, RUSHES_SECRET_KEYS=OLD, RUSHES_HOLD_S=3600)
    service = start(**settings)
    key = service.key(test=False).text
    async with Client(service, key) as client:
        job_id = (await client.generate(prompt="sealed away", byok_api_key=CANARY)).ok()["job_id"]
    service.kill()
    service.change("UPDATE jobs SET available_at = 0")
    other = start(data_dir=service.data_dir, **{**settings, "RUSHES_SECRET_KEYS": NEW})
    await until(lambda: other.rows(f"SELECT trouble_code FROM jobs WHERE id = '{job_id}'") == [("secret_key_missing",)])
    async with Client(other, key) as client:
        assert (await client.job(job_id))["status"] == "pending"
        waits = (await client.get(f"/api/v1/videos/jobs/{job_id}/timeline")).ok()
        assert "secret_key_missing" in waits["now"]
        metrics = (await client.get("/metrics", plain=True)).body.decode()
        assert "rushes_secret_keys_missing 1.0" in metrics
    assert other.log_text().count("secret_key_unknown") == 1
    assert OLD not in other.log_text()
    assert other.stop() == 0
    both = start(data_dir=service.data_dir, **{**settings, "RUSHES_SECRET_KEYS": f"{NEW},{OLD}"})
    async with Client(both, key) as client:
        await client.completed([job_id])
    assert keys_of(submits(fake, "sealed away")) == {CANARY}
    assert both.rows(SEALED) == [(0,)]
    assert "secret_key_unknown" not in both.log_text()


async def test_a_job_whose_secret_key_never_comes_back_fails_when_its_time_is_over(start: Start, fake: Gemini) -> None:
    settings = google_settings(fake, RUSHES_SECRET_KEYS=OLD, RUSHES_HOLD_S=3600)
    service = start(**settings)
    key = service.key(test=False).text
    async with Client(service, key) as client:
        job_id = (await client.generate(prompt="sealed for good", byok_api_key=CANARY)).ok()["job_id"]
    service.kill()
    in_8_s = "CAST(1000 * (julianday('now') - 2440587.5) * 86400 AS INTEGER) + 8000"
    service.change(f"UPDATE jobs SET available_at = 0, deadline_at = {in_8_s}")
    other = start(data_dir=service.data_dir, **{**settings, "RUSHES_SECRET_KEYS": NEW})
    async with Client(other, key) as client:
        job = await client.reached(job_id)
    # A slow machine may find it when its time is over already.
    assert job["error_code"] in ("no_credentials", "expired")
    if job["error_code"] == "no_credentials":
        assert "secret keys" in job["error"]
    assert submits(fake, "sealed for good") == []
    assert other.rows(SEALED) == [(0,)]


async def test_a_byok_job_may_use_what_is_reserved(live: Client, fake: Gemini) -> None:
    reserved: dict[str, Any] = {"service_tier": "priority"}
    (await live.generate(prompt="tier", model=OMNI, additional_params=reserved)).problem(400)
    envelope = (await live.generate(prompt="my tier", model=OMNI, additional_params=reserved, byok_api_key=CANARY)).ok()
    await live.completed([envelope["job_id"]])
    assert submits(fake, "my tier")[0].json["service_tier"] == "priority"


async def test_with_a_test_key_it_is_not_used_and_not_kept(google: Service, fake: Gemini) -> None:
    async with Client(google, google.key(test=True).text) as client:
        envelope = (await client.generate(prompt="for nothing", model=DEFAULT, byok_api_key=CANARY)).ok()
        assert google.rows(SEALED) == [(0,)]
        assert any("byok_api_key" in warning for warning in envelope["warnings"])
    assert submits(fake, "for nothing") == []


def files_of(service: Service) -> list[Path]:
    return [path for path in service.folder.rglob("*") if path.is_file()]


def not_in_any(files: list[Path], *, while_running: bool = False) -> None:
    forms = [CANARY.encode(), base64.b64encode(CANARY.encode()).rstrip(b"="), CANARY.encode().hex().encode()]
    assert {"rushes.db", "serve.log"} <= {path.name for path in files}
    assert not while_running or any(path.name.endswith("-wal") for path in files)
    for path in files:
        content = path.read_bytes()
        for form in forms:
            assert form not in content, path
