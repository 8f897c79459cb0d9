"""Event streams and waiting requests, over real sockets: whole, resumable, bounded, and gone when the service stops."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.event_streams import Event, event_stream
from tests.fixtures.service import QUICK, Client, Key, Service, until
from tests.fixtures.time_limits import GENEROUS_S

SMALL: dict[str, Any] = {"prompt": "a lighthouse", **QUICK}


def without_links(job: dict[str, Any]) -> str:
    """A job without what is made afresh on each read."""
    text = json.dumps(job)
    return text if job["result"] is None else json.dumps({**job, "result": job["result"]["sha256"]})


def events_of(service: Service, job_id: str) -> list[int]:
    return [row[0] for row in service.rows(f"SELECT seq FROM job_events WHERE job_id = '{job_id}' ORDER BY seq")]


def is_whole(events: list[Event]) -> None:
    """Nothing twice, nothing backwards, and an end."""
    positions = [tuple(map(int, event.id.split("."))) for event in events]
    assert positions == sorted(set(positions))
    progress = [event.data["progress"] for event in events]
    assert progress == sorted(progress)
    assert [event.name in ("completed", "failed") for event in events] == [False] * (len(events) - 1) + [True]


async def test_a_stream_tells_a_jobs_life_and_ends_with_the_job(client: Client, service: Service, key: Key) -> None:
    job_id = (await client.create())["job_id"]
    async with event_stream(service, key.text, job_id) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        assert stream.headers["X-Accel-Buffering"] == "no"
        events = await stream.all()
    is_whole(events)
    moves = [event for event in events if event.name != "progress"]
    assert [event.seq for event in moves] == events_of(service, job_id)
    assert [event.data["status"] for event in moves] == ["pending", *["in_progress"] * 3, "completed"]
    assert moves[0].data["message"] == "accepted"
    assert without_links(moves[-1].data) == without_links(await client.job(job_id))
    assert (await client.get(moves[-1].data["result"]["url"], plain=True)).status == 200


async def test_who_comes_late_gets_it_all_and_who_has_it_all_is_told_so(
    client: Client, service: Service, key: Key
) -> None:
    job_id = (await client.create(model="animatic/fail"))["job_id"]
    await client.reached(job_id, "failed")
    path = f"/api/v1/videos/jobs/{job_id}/events"
    async with event_stream(service, key.text, job_id) as stream:
        events = await stream.all()
    is_whole(events)
    assert [event.seq for event in events] == events_of(service, job_id)
    assert events[-1].data["error_code"] == "provider_rejected"
    async with event_stream(service, key.text, job_id, since=events[1].id) as stream:
        assert [event.id for event in await stream.all()] == [event.id for event in events[2:]]
    for given in ({"headers": {"Last-Event-ID": events[-1].id}}, {"params": {"last_event_id": events[-1].id}}):
        nothing = await client.get(path, **given)
        assert (nothing.status, nothing.body) == (204, b"")
    header_wins = await client.get(path, headers={"Last-Event-ID": events[-1].id}, params={"last_event_id": "1.0"})
    assert header_wins.status == 204


async def test_a_result_with_its_bytes_is_in_the_last_event(client: Client, service: Service, key: Key) -> None:
    job_id = (await client.create(response_format="b64_json"))["job_id"]
    async with event_stream(service, key.text, job_id) as stream:
        result = (await stream.until("completed")).data["result"]
    assert hashlib.sha256(base64.b64decode(result["b64_json"])).hexdigest() == result["sha256"]


async def test_after_a_crash_the_last_id_leads_on_without_a_gap_or_a_repetition(start: Start) -> None:
    service = start(RUSHES_TEST_HOLD_S=0.8)
    key = service.key().text
    async with Client(service, key) as client:
        job_id = (await client.create())["job_id"]
    seen: list[Event] = []
    async with event_stream(service, key, job_id) as stream:
        seen.append(await stream.until("status"))
        service.kill()
    service.start()
    async with event_stream(service, key, job_id, since=seen[-1].id) as stream:
        async for event in stream:
            seen.append(event)
            if event.data["status"] == "in_progress":
                break
        service.kill()
    service.start()
    async with event_stream(service, key, job_id, since=seen[-1].id) as stream:
        seen += await stream.all()
    is_whole(seen)
    assert [event.seq for event in seen if event.name != "progress"] == events_of(service, job_id)
    assert "its worker stopped; another goes on with it" in [event.data.get("message") for event in seen]


async def test_two_hundred_streams_hear_of_one_change(held: Service) -> None:
    key = held.key().text
    async with Client(held, key) as client:
        job_id = (await client.create())["job_id"]
        following = asyncio.Semaphore(0)

        async def last() -> Event:
            async with event_stream(held, key, job_id) as stream:
                await stream.until("status")
                following.release()
                return await stream.until("failed")

        readers = [asyncio.ensure_future(last()) for _ in range(200)]
        for _ in readers:
            await following.acquire()
        assert (await client.cancel(job_id)).status == 200
        ends = await asyncio.gather(*readers)
    assert {event.id for event in ends} == {f"{events_of(held, job_id)[-1]}.0"}
    assert {event.data["error_code"] for event in ends} == {"cancelled"}


async def test_a_service_that_is_told_to_stop_does_not_wait_for_streams(start: Start) -> None:
    service = start(RUSHES_TEST_HOLD_S=3600)
    key = service.key().text
    async with Client(service, key) as client:
        job_id = (await client.create())["job_id"]
        # One that never reads, one that reads, and one that waits for an answer.
        with socket.create_connection(("127.0.0.1", service.port)) as deaf:
            request = f"GET /api/v1/videos/jobs/{job_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}"
            deaf.sendall(f"{request}\r\n\r\n".encode())
            async with event_stream(service, key, job_id) as stream:
                await stream.until("status")
                waiting = asyncio.ensure_future(wait_for(client))
                await until(lambda: len(service.rows("SELECT 1 FROM jobs")) == 2)
                assert await asyncio.to_thread(service.stop) == 0
                assert await stream.all() == []
            assert (await waiting).ok()["status"] == "pending"
    assert "graceful" not in service.log_text()


async def wait_for(client: Client, seconds: int = 60, **fields: Any) -> Any:
    return await client.post(
        "/api/v1/videos/generations", json={**SMALL, **fields}, headers={"Prefer": f"wait={seconds}"}
    )


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(
        tmp_path_factory.mktemp("narrow"),
        RUSHES_TEST_HOLD_S=3600,
        RUSHES_MOST_WATCHERS=2,
        RUSHES_MOST_WATCHERS_PER_ACCOUNT=1,
    ).start()
    yield running
    running.finish()


@pytest.fixture
async def mine(narrow: Service, keys: dict[str, str]) -> AsyncIterator[Client]:
    async with Client(narrow, keys["a"]) as client:
        yield client


@pytest.fixture(scope="module")
def keys(narrow: Service) -> dict[str, str]:
    return {account: narrow.key(account=account).text for account in ("a", "b", "c")}


@pytest.fixture
async def job_id(client: Client) -> str:
    return str((await client.create())["job_id"])


async def test_beyond_the_limits_a_stream_is_refused_and_a_wait_left_out(
    narrow: Service, keys: dict[str, str], mine: Client
) -> None:
    job_id = (await mine.create())["job_id"]
    async with Client(narrow, keys["b"]) as second, Client(narrow, keys["c"]) as third:
        others = [(await client.create())["job_id"] for client in (second, third)]
        async with event_stream(narrow, keys["a"], job_id) as stream:
            await stream.until("status")
            refused = await mine.get(f"/api/v1/videos/jobs/{job_id}/events")
            assert refused.problem(429)["code"] == "too_many_watchers"
            assert int(refused.headers["Retry-After"]) > 0
            started = await wait_for(mine)
            assert started.ok()["data"]["is_async"] is True
            assert "Preference-Applied" not in started.headers
            async with event_stream(narrow, keys["b"], others[0]) as other:
                await other.until("status")
                full = await third.get(f"/api/v1/videos/jobs/{others[1]}/events")
                assert full.problem(503)["code"] == "overloaded"
                assert int(full.headers["Retry-After"]) > 0


async def test_who_leaves_gives_the_place_back(narrow: Service, keys: dict[str, str], mine: Client) -> None:
    job_id = (await mine.create())["job_id"]
    path = f"/api/v1/videos/jobs/{job_id}"
    async with event_stream(narrow, keys["a"], job_id) as stream:
        await stream.until("status")
        assert "Preference-Applied" not in (await mine.get(path, headers={"Prefer": "wait=0"})).headers
    give_up = time.monotonic() + GENEROUS_S
    while "Preference-Applied" not in (await mine.get(path, headers={"Prefer": "wait=0"})).headers:
        assert time.monotonic() < give_up, "the place was not given back"


@pytest.mark.parametrize(
    ("options", "status", "field"),
    [
        ({"headers": {"Last-Event-ID": "12"}}, 422, "Last-Event-ID"),
        ({"headers": {"Last-Event-ID": "1.101"}}, 422, "Last-Event-ID"),
        ({"params": {"last_event_id": "x"}}, 422, "last_event_id"),
        ({"params": {"last_event": "1.0"}}, 400, "last_event"),
    ],
)
async def test_an_id_that_is_none_is_named(
    client: Client, job_id: str, options: dict[str, Any], status: int, field: str
) -> None:
    answer = await client.get(f"/api/v1/videos/jobs/{job_id}/events", **options)
    assert [error["field"] for error in answer.problem(status)["errors"]] == [field]


async def test_who_does_not_take_events_is_told(client: Client, job_id: str) -> None:
    answer = await client.get(f"/api/v1/videos/jobs/{job_id}/events", headers={"Accept": "application/json"})
    assert "text/event-stream" in answer.problem(406)["detail"]


@pytest.mark.parametrize("resource", ["events", "timeline"])
async def test_anothers_job_is_not_there(service: Service, job_id: str, resource: str) -> None:
    path = f"/api/v1/videos/jobs/{job_id}/{resource}"
    async with Client(service, service.key(account="other").text) as other:
        (await other.get(path)).problem(404)
        (await other.get(path, plain=True)).problem(401)


class TestWaiting:
    """`Prefer: wait` on a create: the answer holds the videos."""

    async def test_the_answer_is_the_videos(self, client: Client) -> None:
        answer = await wait_for(client)
        content = answer.ok()
        assert answer.headers["Preference-Applied"] == "wait=60"
        assert answer.headers["Location"].endswith(content["job_id"])
        assert (content["status"], content["success"], content["error"]) == ("completed", True, None)
        assert (await client.get(content["data"][0]["url"], plain=True)).headers["Content-Type"] == "video/mp4"

    async def test_the_answer_is_their_bytes_if_so_asked(self, client: Client) -> None:
        (video,) = (await wait_for(client, response_format="b64_json")).ok()["data"]
        assert hashlib.sha256(base64.b64decode(video["b64_json"])).hexdigest() == video["sha256"]

    async def test_a_failure_is_no_refusal(self, client: Client) -> None:
        content = (await wait_for(client, model="animatic/filtered")).ok()
        assert (content["status"], content["success"], content["data"]) == ("failed", False, [])
        assert content["error_code"] == "content_filtered"
        assert content["error"]
        assert content["usage"]["cost"] == 0

    async def test_what_is_not_done_in_time_is_answered_as_usual(self, client: Client) -> None:
        answer = await wait_for(client, 0)
        assert answer.ok()["data"]["is_async"] is True
        assert answer.headers["Preference-Applied"] == "wait=0"
        answer = await client.post(
            "/api/v1/videos/generations", json=SMALL, headers={"Prefer": "respond-async, wait=soon"}
        )
        assert answer.ok()["data"]["is_async"] is True
        assert answer.headers["Preference-Applied"] == "respond-async"

    async def test_a_repetition_waits_too_and_without_waiting_gets_the_first_answer(self, client: Client) -> None:
        async def send(**headers: str) -> Any:
            return await client.post(
                "/api/v1/videos/generations", json=SMALL, headers={"Idempotency-Key": "waits", **headers}
            )

        first = await send()
        waited = await send(Prefer="wait=60")
        assert waited.headers["Idempotent-Replayed"] == "true"
        assert waited.ok()["job_id"] == first.ok()["job_id"]
        assert waited.ok()["data"][0]["url"]
        again = await send()
        assert again.body == first.body
        assert "Preference-Applied" not in again.headers

    async def test_reading_a_job_can_wait_for_its_end(self, client: Client) -> None:
        job_id = (await client.create())["job_id"]
        answer = await client.get(f"/api/v1/videos/jobs/{job_id}", headers={"Prefer": "wait=60"})
        assert answer.ok()["status"] == "completed"
        assert answer.headers["Preference-Applied"] == "wait=60"


async def test_the_timeline_tells_what_happened(client: Client) -> None:
    job_id = (await client.create(model="animatic/fail"))["job_id"]
    await client.reached(job_id, "failed")
    timeline = (await client.get(f"/api/v1/videos/jobs/{job_id}/timeline")).ok()
    assert timeline["entries"][0]["message"] == "accepted"
    assert timeline["entries"][-1]["message"].startswith("failed (provider_rejected): ")
    assert timeline["now"] is None
    (attempt,) = timeline["attempts"]
    assert (attempt["provider"], attempt["model"], attempt["state"]) == ("animatic", "fail", "failed")
    assert attempt["error_code"] == "provider_rejected"


async def test_the_description_of_the_api_has_all_of_it(client: Client) -> None:
    paths = (await client.get("/openapi.json")).ok()["paths"]
    events = paths["/api/v1/videos/jobs/{job_id}/events"]["get"]
    assert events["responses"].keys() >= {"200", "204", "404", "406", "429", "503"}
    assert events["responses"]["200"]["content"].keys() == {"text/event-stream"}
    assert {parameter["name"] for parameter in events["parameters"]} == {
        "job_id", "Last-Event-ID", "last_event_id", "mode"
    }  # fmt: skip
    create = paths["/api/v1/videos/generations"]["post"]
    assert {parameter["name"] for parameter in create["parameters"]} >= {"Prefer", "Idempotency-Key"}
    assert "Finished" in json.dumps(create["responses"]["200"])
    assert "Prefer" in json.dumps(paths["/api/v1/videos/jobs/{job_id}"]["get"]["parameters"])
    assert "/api/v1/videos/jobs/{job_id}/timeline" in paths
