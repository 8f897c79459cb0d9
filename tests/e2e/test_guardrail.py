"""The guardrail is asked before a job is accepted, once for one idempotency key, and what it says is done."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from yarl import URL

from tests.e2e.conftest import Start
from tests.fixtures.guardrail import REASON, REWRITTEN, FakeGuardrail, guarding
from tests.fixtures.mcp import called
from tests.fixtures.media import image
from tests.fixtures.postgres import shared_server
from tests.fixtures.service import Client, Service

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
GENERATIONS = "/api/v1/videos/generations"
BAD_ANSWERS = {
    "status 500": "it answered 500",
    "status 204": "it answered 204",
    "moved": "it answered 307",
    "html": "its answer is not JSON",
    "raw": "its answer is empty",
    "raw [1]": "its answer is not a JSON object",
    'raw {"action": "maybe"}': "its action 'maybe' is not one of allow, block, rewrite",
    'raw {"act": "allow"}': "it has no action",
    'raw {"action": 1}': "its action 1 is not one of",
    'raw {"action": "rewrite"}': "its rewrite has no prompt",
    'raw {"action": "rewrite", "prompt": " "}': "its rewrite has no prompt",
    'raw {"action": "rewrite", "prompt": 5}': "its prompt is not a text",
    "longer 100001": "the prompt of its rewrite has 100001 characters",
    "large": "its answer is larger than 256 KiB",
    "cut": "it closed the connection without an answer",
    "hang": "it did not answer within 2 s",
}


@pytest.fixture(scope="module")
def guardrail() -> Iterator[FakeGuardrail]:
    with guarding() as one:
        yield one


def settings(guardrail: FakeGuardrail, **more: Any) -> dict[str, Any]:
    return {
        "RUSHES_GUARDRAIL_URL": f"{guardrail.url}/",
        "RUSHES_GUARDRAIL_SECRETS": f"{SECRET},{OTHER}",
        "RUSHES_GUARDRAIL_TIMEOUT_S": 2,
        "RUSHES_GUARDRAIL_ON_ERROR": "block",
        "RUSHES_TEST_HOLD_S": 3600,
        **more,
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, guardrail: FakeGuardrail) -> Iterator[tuple[Service, Service]]:
    """Two processes on one Postgres that ask the guardrail."""
    shared = settings(
        guardrail,
        RUSHES_DATABASE_URL=shared_server().fresh(),
        RUSHES_SECRET_KEYS="0123456789abcdef0123456789abcdef",
    )
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for folder in folders:
        (folder / "data").mkdir()
    (folders[0] / "data" / "storage").mkdir()
    (folders[1] / "data" / "storage").symlink_to(folders[0] / "data" / "storage")
    pair = (Service(folders[0], **shared).start(), Service(folders[1], **shared).start())
    yield pair
    for one in pair:
        one.finish()


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory, guardrail: FakeGuardrail) -> Iterator[Service]:
    """A service that lets through what was not judged, and keeps the prompts of what was blocked."""
    given = settings(guardrail, RUSHES_GUARDRAIL_ON_ERROR="allow", RUSHES_GUARDRAIL_KEEP_PROMPTS="true")
    running = Service(tmp_path_factory.mktemp("lenient"), **given).start()
    yield running
    running.finish()


async def records(service: Service, **filters: str) -> list[dict[str, Any]]:
    made = service.run("keys", "create", "--scope", "admin")
    async with Client(service, made.stdout.strip()) as admin:
        found = (await admin.get("/api/v1/admin/guardrail", params=filters)).ok()["records"]
        assert isinstance(found, list)
        return found


async def test_a_question_says_what_is_asked_for_and_is_signed_as_webhooks_are(
    two: tuple[Service, Service], guardrail: FakeGuardrail
) -> None:
    key = two[0].key(account="asked")
    async with Client(two[0], key.text) as client:
        uploaded = await client.post("/api/v1/uploads", data=image(), headers={"Content-Type": "image/png"})
        wanted = {
            "prompt": "allow this", "model": "google/veo-3.1-generate-001", "negative_prompt": "rain", "user": "u1",
            "metadata": {"a": "b"}, "input_image": uploaded.json()["reference"],
        }  # fmt: skip
        made = await client.generate(**wanted)
        account = (await client.get("/api/v1/user/me")).ok()["account"]["id"]
    (asked,) = guardrail.about("allow this")
    (file,) = asked.content["media"]
    assert {name: value for name, value in asked.content.items() if name != "media"} == {
        "request_id": made.headers["X-Request-Id"],
        "account_id": account,
        "key_id": key.id,
        "model": "google/veo-3.1-generate-001",
        "prompt": "allow this",
        "negative_prompt": "rain",
        "user": "u1",
        "metadata": {"a": "b"},
    }
    assert (file["role"], file["content_type"], len(file["sha256"])) == ("input_image", "image/png", 64)
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(asked.body.decode(), {k.lower(): v for k, v in asked.headers.items()})


async def test_a_guardrail_fetches_the_very_files_that_it_judges_and_nothing_else(
    start: Start, guardrail: FakeGuardrail
) -> None:
    service = start(**settings(guardrail, RUSHES_TEST_HOLD_S=0))
    async with Client(service, service.key().text) as client:
        first = await client.create()
        await client.reached(first["job_id"], "completed")
        uploaded = await client.post("/api/v1/uploads", data=image(), headers={"Content-Type": "image/png"})
        inline = "data:image/png;base64," + base64.b64encode(image(color="navy")).decode()
        await client.create(prompt="fetch these", input_image=uploaded.json()["reference"], last_frame=inline)
        await client.create(prompt="fetch this", previous_job_id=first["job_id"])
        asked = [one for prompt in ("fetch these", "fetch this") for one in guardrail.about(prompt)]
        files = [file for one in asked for file in one.content["media"]]
        assert [file["role"] for file in files] == ["input_image", "last_frame", "video"]
        for file in files:
            assert hashlib.sha256(guardrail.fetched[file["url"]]).hexdigest() == file["sha256"]
        assert guardrail.fetched[files[0]["url"]] == image()
        links = [URL(file["url"]) for file in files]
        assert {link.path.rpartition("/")[0] for link in links} == {"/media/inputs"}
    async with Client(service, None) as stranger:
        part = await stranger.get(links[0].path, params=links[0].query, headers={"Range": "bytes=0-3"})
        assert (part.status, part.body) == (206, image()[:4])
        later = {**links[0].query, "expires": str(int(links[0].query["expires"]) + 60)}
        for path, query in ((links[1].path, links[0].query), (links[0].path, later), (links[0].path, {})):
            (await stranger.get(path, params=query)).problem(403)


async def test_what_is_blocked_is_refused_on_every_surface_counted_and_recorded_without_its_prompt(
    two: tuple[Service, Service],
) -> None:
    key = two[0].key(account="blocked")
    said = f"The guardrail of this service blocked the request: {REASON}"
    async with Client(two[0], key.text) as client:
        problem = (await client.generate(prompt="block a cat", user="u7")).problem(400)
        assert (problem["code"], problem["detail"]) == ("guardrail_blocked", said)
        video = await client.post("/v1/videos", json={"prompt": "block a cat", "model": "animatic/storyboard"})
        assert (video.status, video.json()["error"]["code"]) == (400, "guardrail_blocked")
        asked = {"instances": [{"prompt": "block a cat"}]}
        google = await client.post("/v1beta/models/veo-3.1-generate-001:predictLongRunning", json=asked)
        assert (google.status, said in google.json()["error"]["message"]) == (400, True)
        tool = await called(client, "generate_video", prompt="block a cat", model="animatic/storyboard")
        assert tool["isError"]
        assert said in tool["content"][0]["text"]
        assert (await client.get("/api/v1/videos/jobs")).ok()["total"] == 0
        assert (await client.get("/api/v1/user/usage")).ok()["blocked_requests"] == 4
        account = (await client.get("/api/v1/user/me")).ok()["account"]["id"]
    found = await records(two[1], account_id=account)
    assert len(found) == 4
    assert {(one["action"], one["reason"], one["prompt"], one["key_id"]) for one in found} == {
        ("block", REASON, None, key.id)
    }
    assert [one["user"] for one in found] == [None, None, None, "u7"]
    printed = two[0].run("guardrail", "list", "--account", account, "--json")
    assert json.loads(printed.stdout) == found
    table = two[0].run("guardrail", "list", "--account", account, "--mode", "test", "--limit", "2").stdout.splitlines()
    assert [line.split()[1:3] for line in table] == [["action", "account"], ["block", "blocked"], ["block", "blocked"]]
    assert "no record" in two[0].run("guardrail", "list", "--account", account, "--mode", "live").stderr
    assert 'rushes_guardrail_duration_seconds_count{answer="block"}' in await metrics(two[0])


async def metrics(service: Service) -> str:
    async with Client(service, "none") as client:
        return (await client.get("/metrics", plain=True)).body.decode()


async def test_a_rewrite_shows_and_its_original_is_for_the_operator(two: tuple[Service, Service]) -> None:
    key = two[0].key(account="rewritten")
    async with Client(two[0], key.text) as client:
        made = (await client.generate(prompt="rewrite a cat")).ok()
        assert f"The guardrail of this service rewrote the prompt: {REASON}" in made["warnings"]
        job = await client.job(made["job_id"])
        assert job["prompt"] == REWRITTEN
        timeline = (await client.get(f"/api/v1/videos/jobs/{made['job_id']}/timeline")).ok()
        assert f"the guardrail rewrote the prompt: {REASON}" in [one["message"] for one in timeline["entries"]]
        (record,) = await records(two[1], job_id=made["job_id"])
        assert (record["action"], record["prompt"]) == ("rewrite", "rewrite a cat")
        (await client.cancel(made["job_id"])).ok()
        assert (await client.call("DELETE", f"/api/v1/videos/jobs/{made['job_id']}")).status == 204
        assert await records(two[1], job_id=made["job_id"]) == []


@pytest.mark.parametrize("word", ["slow block", "slow"])
async def test_one_idempotency_key_is_asked_about_once_in_all_processes(
    two: tuple[Service, Service], guardrail: FakeGuardrail, word: str
) -> None:
    key = two[0].key(account="once")
    prompt = f"{word} one" if word == "slow" else "block it once"
    body, headers = {"prompt": prompt}, {"Idempotency-Key": f"once {word}"}
    async with Client(two[0], key.text) as near, Client(two[1], key.text) as far:
        sent = [(near, far)[i % 2].post(GENERATIONS, json=body, headers=headers) for i in range(8)]
        answers = [*await asyncio.gather(*sent), await far.post(GENERATIONS, json=body, headers=headers)]
        assert {answer.status for answer in answers} == {200 if word == "slow" else 400}
        if word == "slow":
            assert len({answer.json()["job_id"] for answer in answers}) == 1
        else:
            assert {answer.json()["code"] for answer in answers} == {"guardrail_blocked"}
        other = await near.post(GENERATIONS, json={"prompt": "another"}, headers=headers)
        assert other.problem(422)["code"] == "idempotency_mismatch"
    assert len(guardrail.about(prompt)) == 1


async def test_answers_that_cannot_be_used_refuse_the_request_and_say_why(
    two: tuple[Service, Service], guardrail: FakeGuardrail
) -> None:
    async with Client(two[0], two[0].key(account="broken").text) as client:
        answers = await asyncio.gather(*(client.generate(prompt=prompt) for prompt in BAD_ANSWERS))
        for (prompt, why), answer in zip(BAD_ANSWERS.items(), answers, strict=True):
            problem = answer.problem(503)
            assert problem["code"] == "guardrail_failed", prompt
            assert why in problem["detail"], prompt
        headers = {"Idempotency-Key": "broken"}
        for _ in range(2):
            answer = await client.post(GENERATIONS, json={"prompt": "status 502"}, headers=headers)
            assert "with a new Idempotency-Key" in answer.problem(503)["detail"]
        assert len(guardrail.about("status 502")) == 1
        assert (await client.get("/api/v1/videos/jobs")).ok()["total"] == 0


async def test_an_operator_may_let_through_what_was_not_judged(lenient: Service) -> None:
    async with Client(lenient, lenient.key().text) as client:
        answers = await asyncio.gather(*(client.generate(prompt=prompt) for prompt in BAD_ANSWERS))
        for (prompt, why), answer in zip(BAD_ANSWERS.items(), answers, strict=True):
            (said,) = [one for one in answer.ok()["warnings"] if "guardrail" in one]
            assert why in said, prompt
        (await client.generate(prompt="block a cat")).problem(400)
    assert [one["prompt"] for one in await records(lenient)] == ["block a cat"]


async def test_openais_moderations_are_a_preset(start: Start, guardrail: FakeGuardrail) -> None:
    service = start(
        RUSHES_GUARDRAIL_URL=f"{guardrail.url}/v1/moderations",
        RUSHES_GUARDRAIL_PRESET="openai",
        RUSHES_GUARDRAIL_API_KEY="sk-moderation",
        RUSHES_GUARDRAIL_ON_ERROR="block",
    )
    async with Client(service, service.key().text) as client:
        (await client.generate(prompt="a calm sea", negative_prompt="violence")).ok()
        problem = (await client.generate(prompt="violence at sea")).problem(400)
        assert problem["detail"].endswith("blocked the request: violence")
        assert "does not say" in (await client.generate(prompt="wrong answer")).problem(503)["detail"]
    (asked,) = guardrail.about("a calm sea")
    assert asked.content == {"model": "omni-moderation-latest", "input": "a calm sea"}
    assert asked.headers["Authorization"] == "Bearer sk-moderation"


def test_settings_that_leave_something_open_stop_the_start(start: Start, held: Service) -> None:
    url = {"RUSHES_GUARDRAIL_URL": "http://127.0.0.1:9/"}
    for given, said in (
        (url, "RUSHES_GUARDRAIL_ON_ERROR is not set"),
        ({**url, "RUSHES_GUARDRAIL_ON_ERROR": "allow"}, "RUSHES_GUARDRAIL_SECRETS must hold"),
        ({**url, "RUSHES_GUARDRAIL_ON_ERROR": "allow", "RUSHES_GUARDRAIL_SECRETS": "whsec_c2hvcnQ="}, "24 to 64"),
        ({"RUSHES_GUARDRAIL_ON_ERROR": "allow"}, "RUSHES_GUARDRAIL_URL is not"),
    ):
        answer = held.run("serve", "--port", "0", **given)
        assert answer.returncode != 0
        assert said in answer.stderr, given
