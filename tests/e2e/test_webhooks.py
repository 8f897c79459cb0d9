"""Webhooks from the real service to a real receiver: signed, retried, given up, and never lost."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.e2e.conftest import Start
from tests.fixtures.receiver import ALLOWED, Received, Receiver, receiving
from tests.fixtures.service import Client, Service, until

RETRIES: dict[str, Any] = {"RUSHES_WEBHOOK_RETRIES_S": "0.05,0.1"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that may call loopback and gives up after two quick retries."""
    running = Service(tmp_path_factory.mktemp("telling"), **ALLOWED, **RETRIES).start()
    yield running
    running.finish()


@pytest.fixture
async def owner(telling: Service, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A client of an account of the test's own."""
    async with Client(telling, telling.key(account=request.node.name[:60]).text) as client:
        yield client


async def register(client: Client, url: str, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/webhooks", json={"url": url, **fields})
    assert answer.status == 201, answer.body
    content: dict[str, Any] = answer.json()
    return content


async def deliveries(client: Client, **query: str) -> list[dict[str, Any]]:
    content = (await client.get("/api/v1/webhooks/deliveries", params=query)).ok()
    found: list[dict[str, Any]] = content["deliveries"]
    return found


async def until_tried(client: Client, count: int) -> None:
    """Returns once so many of the account's deliveries have been tried."""
    for _ in range(1000):
        if sum(one["attempts"] > 0 for one in await deliveries(client)) >= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("they were never tried")


async def settled(client: Client, count: int) -> list[dict[str, Any]]:
    """All of the account's deliveries, once there are so many and none is pending."""
    for _ in range(1000):
        found = await deliveries(client, limit="1000")
        if len(found) == count and all(one["status"] != "pending" for one in found):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(found)


def verified(message: Received, secret: str) -> Any:
    return Webhook(secret).verify(message.body, dict(message.headers))


def unsigned(job: dict[str, Any]) -> dict[str, Any]:
    """The job without what differs each time that a link is made."""
    whole = copy.deepcopy(job)
    for video in (whole["result"], *whole["result"]["data"]):
        video.pop("url_expires_at")
        for name in ("url", "video_url", "thumbnail_url"):
            video[name] = video[name].partition("?")[0]
    return whole


async def test_an_endpoint_is_told_of_every_change_signed_and_with_links_that_work(
    owner: Client, receiver: Receiver
) -> None:
    webhook = await register(owner, f"{receiver.url}/ok/all?token=t", description="films")
    job_id = (await owner.create())["job_id"]
    await settled(owner, 2)
    messages = receiver.of("/ok/all")
    assert {message.kind for message in messages} == {"video.started", "video.completed"}
    assert len({message.id for message in messages}) == 2
    for message in messages:
        assert verified(message, webhook["secret"])["data"]["job_id"] == job_id
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", message.content["timestamp"])
        assert message.query == {"token": "t"}
        assert message.headers["Content-Type"] == "application/json"
    (completed,) = receiver.of("/ok/all", "video.completed")
    assert unsigned(completed.content["data"]) == unsigned(await owner.job(job_id))
    played = await owner.get(verified(completed, webhook["secret"])["data"]["result"]["url"], plain=True)
    assert played.status == 200
    with pytest.raises(WebhookVerificationError):
        verified(completed, (await register(owner, f"{receiver.url}/ok/other"))["secret"])


async def test_a_jobs_own_url_is_told_what_it_asked_for_and_its_token_is_shown_nowhere(
    owner: Client, receiver: Receiver, telling: Service
) -> None:
    url = f"{receiver.url}/ok/own?token=hush-hush"
    envelope = await owner.create(webhook_url=url, webhook_events=["video.completed"])
    (delivery,) = await settled(owner, 1)
    secret = (await owner.get("/api/v1/webhooks/signing-secret")).ok()["secret"]
    (message,) = receiver.of("/ok/own")
    assert verified(message, secret)["type"] == "video.completed"
    assert message.query == {"token": "hush-hush"}
    job = await owner.job(envelope["job_id"])
    assert job["request"]["webhook_url"] == delivery["url"] == f"{receiver.url}/ok/own"
    assert job["request"]["webhook_events"] == ["video.completed"]
    assert message.content["data"]["request"] == job["request"]
    assert "hush-hush" not in telling.log_text()
    assert b"hush-hush" not in (telling.data_dir / "rushes.db").read_bytes()
    assert b"hush-hush" not in (telling.data_dir / "rushes.db-wal").read_bytes()


async def test_a_rotated_secret_signs_beside_the_new_one(owner: Client, receiver: Receiver) -> None:
    webhook = await register(owner, f"{receiver.url}/ok/rotated")
    rotated = (await owner.post(f"/api/v1/webhooks/{webhook['id']}/rotate")).ok()
    assert rotated["secret"] != webhook["secret"]
    assert rotated["previous_secret_expires_at"] is not None
    result = (await owner.post(f"/api/v1/webhooks/{webhook['id']}/test")).ok()
    assert (result["success"], result["status_code"], result["error"]) == (True, 200, None)
    (ping,) = receiver.of("/ok/rotated")
    assert ping.kind == "webhook.ping"
    assert len(ping.headers["webhook-signature"].split()) == 2
    for secret in (webhook["secret"], rotated["secret"]):
        verified(ping, secret)


async def test_the_accounts_signing_secret_stays_until_it_is_rotated(owner: Client, receiver: Receiver) -> None:
    path = "/api/v1/webhooks/signing-secret"
    first = (await owner.get(path)).ok()["secret"]
    assert (await owner.get(path)).ok()["secret"] == first
    second = (await owner.post(f"{path}/rotate")).ok()["secret"]
    await owner.create(webhook_url=f"{receiver.url}/ok/account", webhook_events=["video.completed"])
    await settled(owner, 1)
    (message,) = receiver.of("/ok/account")
    assert verified(message, first) == verified(message, second)


async def test_a_failed_try_is_repeated_with_the_same_id_and_a_time_of_its_own(
    owner: Client, receiver: Receiver
) -> None:
    webhook = await register(owner, f"{receiver.url}/flaky/2", events=["video.completed"])
    await owner.create()
    (delivery,) = await settled(owner, 1)
    assert (delivery["status"], delivery["attempts"], delivery["last_status_code"]) == ("delivered", 3, 200)
    messages = receiver.of("/flaky/2")
    assert [message.status for message in messages] == [503, 503, 200]
    assert {message.id for message in messages} == {delivery["id"]}
    for message in messages:
        verified(message, webhook["secret"])
    assert (await owner.get(f"/api/v1/webhooks/{webhook['id']}")).ok()["consecutive_failures"] == 0


async def test_what_always_fails_is_given_up_listed_and_delivered_when_asked_for(
    owner: Client, receiver: Receiver
) -> None:
    webhook = await register(owner, f"{receiver.url}/307", events=["video.completed"])
    await owner.create()
    (dead,) = await settled(owner, 1)
    assert dead == (await deliveries(owner, status="dead"))[0]
    assert (dead["attempts"], dead["last_status_code"], dead["next_attempt_at"]) == (3, 307, None)
    assert "redirects are not followed" in dead["last_error"]
    assert len(receiver.of("/307")) == 3
    shown = (await owner.get(f"/api/v1/webhooks/{webhook['id']}")).ok()
    assert (shown["consecutive_failures"], shown["last_error"]) == (3, dead["last_error"])
    await owner.call("PATCH", f"/api/v1/webhooks/{webhook['id']}", json={"url": f"{receiver.url}/ok/mended"})
    again = (await owner.post(f"/api/v1/webhooks/deliveries/{dead['id']}/redeliver")).ok()
    assert (again["id"], again["status"]) == (dead["id"], "pending")
    (delivered,) = await settled(owner, 1)
    assert (delivered["status"], delivered["attempts"]) == ("delivered", 1)
    assert [message.id for message in receiver.of("/ok/mended")] == [dead["id"]]


async def test_410_disables_the_endpoint_at_once(owner: Client, receiver: Receiver) -> None:
    webhook = await register(owner, f"{receiver.url}/410", events=["video.completed"])
    await owner.create()
    (dead,) = await settled(owner, 1)
    assert (dead["status"], dead["attempts"]) == ("dead", 1)
    shown = (await owner.get(f"/api/v1/webhooks/{webhook['id']}")).ok()
    assert not shown["enabled"]
    assert "410" in shown["disabled_reason"]
    await owner.create()
    await owner.completed([job["job_id"] for job in (await owner.jobs())["jobs"]])
    assert len(await deliveries(owner)) == len(receiver.of("/410")) == 1
    refused = await owner.post(f"/api/v1/webhooks/deliveries/{dead['id']}/redeliver")
    assert refused.problem(409)["code"] == "not_redeliverable"


async def test_a_receiver_that_hangs_or_speaks_no_http_is_given_up_with_the_reason(
    receiver: Receiver, start: Start
) -> None:
    service = start(**ALLOWED, RUSHES_WEBHOOK_RETRIES_S="0.05", RUSHES_WEBHOOK_TIMEOUT_S="0.5")
    async with Client(service, service.key().text) as client:
        for name in ("hang", "cut", "garbage"):
            await register(client, f"{receiver.url}/{name}", events=["video.completed"])
        await client.create()
        found = {one["url"].rpartition("/")[2]: one for one in await settled(client, 3)}
        assert {one["status"] for one in found.values()} == {"dead"}
        assert {one["attempts"] for one in found.values()} == {2}
        assert "did not answer within 0.5 s" in found["hang"]["last_error"]


async def test_a_deleted_job_is_told_of_all_the_same(owner: Client, receiver: Receiver, start: Start) -> None:
    service = start(**ALLOWED)
    async with Client(service, service.key().text) as client:
        webhook = await register(client, f"{receiver.url}/503/deleted", events=["video.completed"])
        job_id = (await client.create())["job_id"]
        await until(lambda: bool(service.rows("SELECT 1 FROM webhook_deliveries WHERE attempts = 1")))
        assert (await client.call("DELETE", f"/api/v1/videos/jobs/{job_id}")).status == 204
        await client.call("PATCH", f"/api/v1/webhooks/{webhook['id']}", json={"url": f"{receiver.url}/ok/deleted"})
        (waiting,) = await deliveries(client)
        (await client.post(f"/api/v1/webhooks/deliveries/{waiting['id']}/redeliver")).ok()
        (delivery,) = await settled(client, 1)
        (first,), (last,) = receiver.of("/503/deleted"), receiver.of("/ok/deleted")
        assert delivery["status"] == "delivered"
        assert first.content["data"]["result"]["url"] is not None
        assert last.content["data"]["job_id"] == job_id
        assert last.content["data"]["status"] == "completed"
        assert last.content["data"]["result"]["url"] is None
        again = await client.post(f"/api/v1/webhooks/deliveries/{delivery['id']}/redeliver")
        assert again.problem(409)["code"] == "not_redeliverable"
        assert "a lighthouse" not in str(service.rows("SELECT * FROM webhook_deliveries"))


async def test_an_address_that_is_not_allowed_is_refused_and_never_connected_to(
    receiver: Receiver, service: Service
) -> None:
    port = receiver.url.rpartition(":")[2]
    before = len(receiver.received)
    async with Client(service, service.key(account="guarded").text) as client:
        refused = await client.post("/api/v1/webhooks", json={"url": f"{receiver.url}/ok"})
        assert refused.problem(400)["errors"][0]["field"] == "url"
        refused = await client.generate(prompt="x", webhook_url=f"{receiver.url}/ok")
        assert refused.problem(400)["errors"][0]["field"] == "webhook_url"
        # A name says only when it is connected to where it leads. One that leads nowhere is answered alike, so nobody
        # can find out which names there are inside.
        tried: list[tuple[str, str]] = []
        for host in ("localhost", "not-there.invalid"):
            webhook = await register(client, f"http://{host}:{port}/ok", events=["video.failed"])
            result = (await client.post(f"/api/v1/webhooks/{webhook['id']}/test")).ok()
            assert (result["success"], result["status_code"]) == (False, None)
            job = await client.create(webhook_url=f"http://{host}:{port}/ok", webhook_events=["video.completed"])
            await client.reached(job["job_id"])
            await until_tried(client, len(tried) + 1)
            (sent,) = [one for one in await deliveries(client) if one["job_id"] == job["job_id"]]
            # The next try is pending, because a name may only be unknown for now.
            assert (sent["status"], sent["attempts"]) == ("pending", 1)
            tried.append((result["error"].replace(host, ""), sent["last_error"].replace(host, "")))
        assert tried[0] == tried[1]
        assert "does not lead to a public internet address" in tried[0][0]
    assert len(receiver.received) == before


async def test_what_a_killed_service_had_not_delivered_is_delivered_after_its_start(
    start: Start, receiver: Receiver
) -> None:
    service = start(**ALLOWED, RUSHES_WEBHOOK_TIMEOUT_S=30)
    async with Client(service, service.key().text) as client:
        webhook = await register(client, f"{receiver.url}/hang/killed")
        job_id = (await client.create())["job_id"]
        await until(lambda: len(receiver.of("/hang/killed")) == 2)
        service.kill()
        service.change("UPDATE webhook_endpoints SET url = ?", f"{receiver.url}/ok/killed")
        service.start()
        assert {one["status"] for one in await settled(client, 2)} == {"delivered"}
        assert {one.id for one in receiver.of("/ok/killed")} == {one.id for one in receiver.of("/hang/killed")}
        for message in receiver.of("/ok/killed"):
            assert verified(message, webhook["secret"])["data"]["job_id"] == job_id


async def test_owners_manage_their_endpoints_and_nobody_elses(owner: Client, telling: Service) -> None:
    made = [await register(owner, f"https://receiver.example/{number}") for number in range(10)]
    full = await owner.post("/api/v1/webhooks", json={"url": "https://receiver.example/11"})
    assert full.problem(409)["code"] == "webhook_limit"
    listed = (await owner.get("/api/v1/webhooks")).ok()["webhooks"]
    assert [one["id"] for one in listed] == [one["id"] for one in made]
    assert "secret" not in listed[0]
    path = f"/api/v1/webhooks/{made[0]['id']}"
    changed = (await owner.call("PATCH", path, json={"events": ["video.failed"], "enabled": False})).ok()
    assert (changed["url"], changed["events"], changed["enabled"]) == (made[0]["url"], ["video.failed"], False)
    assert (await owner.call("PATCH", path, json={"events": None, "enabled": True})).ok()["events"] is None
    for wrong, status in (
        ({"url": "ftp://receiver.example"}, 400),
        ({"url": "https://user:hunter2@receiver.example"}, 400),
        ({"url": "https://receiver.example", "secret": "x"}, 400),
        ({"url": "https://receiver.example", "events": ["video.exploded"]}, 422),
        ({"url": "https://receiver.example", "events": []}, 422),
        ({}, 422),
    ):
        problem = (await owner.post("/api/v1/webhooks", json=wrong)).problem(status)
        assert problem["errors"]
        assert "hunter2" not in str(problem)
    async with Client(telling, telling.key(account="another").text) as other:
        for method, tail in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/test"),
                             ("GET", "/deliveries")):  # fmt: skip
            options: dict[str, Any] = {"json": {"enabled": False}} if method == "PATCH" else {}
            assert (await other.call(method, path + tail, **options)).problem(404)["code"] == "webhook_not_found"
        assert (await other.get("/api/v1/webhooks")).ok() == {"webhooks": []}
    assert (await owner.call("DELETE", path)).status == 204
    assert (await owner.get(path)).problem(404)["code"] == "webhook_not_found"
