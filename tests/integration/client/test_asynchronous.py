from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from rushes.client import (
    AsyncClient,
    AsyncJob,
    JobFailed,
    LimitReached,
    NotConfigured,
    NotFinished,
    NotFound,
    Refused,
    ServiceUnavailable,
    Unreachable,
    WaitedTooLong,
)
from rushes.client import asynchronous as asynchronous_module
from rushes.client import http as http_module
from tests.integration.client.answers import STARTED, job, page
from tests.integration.client.conftest import Answer, Scripted, cuts, says

BYTES = b"a video"
VIDEO = {"file_size": len(BYTES), "sha256": hashlib.sha256(BYTES).hexdigest()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous_module, "FIRST_POLL_S", 0.001)
    monkeypatch.setattr(asynchronous_module, "backoff_s", lambda attempt, error: 0.001)
    monkeypatch.setattr(http_module, "backoff_s", lambda attempt, error: 0.001)


def client_of(server: Scripted) -> AsyncClient:
    return AsyncClient(base_url=server.url, api_key="key")


async def a_video(request: web.Request) -> web.StreamResponse:
    return web.Response(body=BYTES)


async def test_a_submit_sends_what_is_given_and_nothing_else(server: Scripted) -> None:
    server.script = [says(STARTED)]
    async with client_of(server) as client:
        await client.submit("a lake", seed=0, generate_audio=False)
    assert json.loads(server.bodies[0]) == {"prompt": "a lake", "seed": 0, "generate_audio": False}


async def test_every_submit_has_its_own_idempotency_key_unless_one_is_given(server: Scripted) -> None:
    server.script = [says(STARTED)]
    async with client_of(server) as client:
        await client.submit("a lake")
        await client.submit("a lake")
        await client.submit("a lake", idempotency_key="mine")
    first, second, third = (request.headers["Idempotency-Key"] for request in server.requests)
    assert len({first, second, third}) == 3
    assert third == "mine"


@pytest.mark.parametrize("trouble", [cuts, says({}, 429), says({}, 502), says({}, 503), says({}, 504)])
async def test_a_submit_whose_answer_is_lost_is_sent_again_as_the_same(server: Scripted, trouble: Answer) -> None:
    server.script = [trouble, trouble, says(STARTED)]
    async with client_of(server) as client:
        assert (await client.submit("a lake")).id == "job_1"
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert len(set(server.bodies)) == 1
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 413, 415, 422, 500, 501])
async def test_a_submit_that_is_refused_is_not_sent_again(server: Scripted, status: int) -> None:
    server.script = [says({"code": "x"}, status)]
    async with client_of(server) as client:
        with pytest.raises(Refused) as caught:
            await client.submit("a lake")
    assert caught.value.status == status
    assert len(server.requests) == 1


async def test_missing_credentials_are_not_waited_for(server: Scripted) -> None:
    server.script = [says({"code": "no_credentials"}, 503)]
    async with client_of(server) as client:
        with pytest.raises(ServiceUnavailable):
            await client.submit("a lake")
    assert len(server.requests) == 1


async def test_a_limit_that_lasts_long_is_told_at_once(server: Scripted) -> None:
    server.script = [says({}, 429, {"Retry-After": "3600"})]
    async with client_of(server) as client:
        with pytest.raises(LimitReached) as caught:
            await client.submit("a lake")
    assert caught.value.retry_after_s == 3600
    assert len(server.requests) == 1


async def test_retries_can_be_turned_off(server: Scripted) -> None:
    server.script = [cuts]
    async with AsyncClient(base_url=server.url, api_key="key", retries=0) as client:
        with pytest.raises(Unreachable):
            await client.submit("a lake")
    assert len(server.requests) == 1


async def test_a_submitted_job_says_what_the_service_answered(server: Scripted) -> None:
    server.script = [says(STARTED)]
    async with client_of(server) as client:
        started = await client.submit("a lake", n=3)
    assert (started.id, started.status, started.prompt, started.n) == ("job_1", "pending", "a lake", 3)
    assert (started.cost_usd, started.warnings, started.content) == (0.5, ("mind this",), STARTED)


async def test_a_generate_waits_and_tells_every_change_once(server: Scripted) -> None:
    server.script = [
        says(STARTED),
        says(job("pending", 0)),
        says(job("in_progress", 10)),
        says(job("in_progress", 10)),
        says(job("completed", 100)),
    ]
    told: list[tuple[str, int]] = []
    async with client_of(server) as client:
        done = await client.generate("a lake", on_progress=lambda each: told.append((each.status, each.progress)))
    assert told == [("pending", 0), ("in_progress", 10), ("completed", 100)]
    assert isinstance(done, AsyncJob)
    assert done.status == "completed"


async def test_a_failed_job_is_an_error_that_knows_the_job(server: Scripted) -> None:
    server.script = [says(STARTED), says(job("failed", 40, error="It was refused.", error_code="content_filtered"))]
    async with client_of(server) as client:
        with pytest.raises(JobFailed, match="It was refused") as caught:
            await client.generate("a lake")
    assert (caught.value.error_code, caught.value.code) == ("content_filtered", "content_filtered")
    assert (caught.value.job.id, caught.value.job.progress) == ("job_1", 40)


async def test_a_watch_ends_with_the_job(server: Scripted) -> None:
    server.script = [says(job("pending", 0)), says(job()), says(job("failed", 40, error="x", error_code="expired"))]
    async with client_of(server) as client:
        seen = [each.status async for each in client.watch("job_1")]
    assert seen == ["pending", "in_progress", "failed"]


# Where a connection is cut, it is cut twice: aiohttp itself repeats a GET once on a connection that was used before.


async def test_a_watch_goes_on_while_the_service_is_away(server: Scripted) -> None:
    server.script = [says(job()), cuts, cuts, says({}, 502), says({}, 429), says(job("completed", 100))]
    troubles: list[str] = []
    async with client_of(server) as client:
        seen = [
            each.status async for each in client.watch("job_1", on_trouble=lambda error: troubles.append(error.code))
        ]
    assert seen == ["in_progress", "completed"]
    assert set(troubles) == {"unreachable", "http_502", "http_429"}


async def test_a_watch_of_nothing_ends_at_once(server: Scripted) -> None:
    server.script = [says({}, 404)]
    async with client_of(server) as client:
        with pytest.raises(NotFound):
            await anext(client.watch("job_1"))
    assert len(server.requests) == 1


async def test_a_watch_gives_up_when_its_patience_is_over() -> None:
    async with AsyncClient(base_url="http://127.0.0.1:9", api_key="key") as client:
        with pytest.raises((Unreachable, ServiceUnavailable)):
            async for _ in client.watch("job_1", patience_s=0.01):
                pass


async def test_a_wait_ends_after_its_timeout_and_names_the_job(server: Scripted) -> None:
    server.script = [says(job())]
    async with client_of(server) as client:
        with pytest.raises(WaitedTooLong, match="it continues") as caught:
            await (await client.job("job_1")).wait(timeout_s=0.05)
    assert caught.value.job_id == "job_1"


async def test_a_job_keeps_fields_that_the_client_does_not_know(server: Scripted) -> None:
    server.script = [says(job(brand_new=1))]
    async with client_of(server) as client:
        assert (await client.job("job_1")).content["brand_new"] == 1


async def test_a_job_is_shown_in_one_line_without_its_link(server: Scripted) -> None:
    server.script = [says(job("completed", 100, result={"data": [{"url": "https://example.com/?signature=1"}]}))]
    async with client_of(server) as client:
        assert repr(await client.job("job_1")) == "<AsyncJob job_1 completed 100% animatic/storyboard>"


async def test_a_refresh_changes_the_job_in_place(server: Scripted) -> None:
    server.script = [says(job("pending", 0)), says(job("in_progress", 30))]
    async with client_of(server) as client:
        one = await client.job("job_1")
        assert await one.refresh() is one
    assert (one.status, one.progress) == ("in_progress", 30)


async def test_a_cancelled_job_knows_it(server: Scripted) -> None:
    server.script = [
        says(job("pending", 0)),
        cuts,
        says({"success": True}),
        says(job("failed", 0, error_code="cancelled")),
    ]
    async with client_of(server) as client:
        one = await (await client.job("job_1")).cancel()
    assert one.error_code == "cancelled"


async def test_jobs_are_read_to_the_last_page(server: Scripted) -> None:
    server.script = [says(page(job(), job(), next_cursor="next")), says(page(next_cursor="last")), says(page(job()))]
    moment = datetime(2026, 4, 7, 12, tzinfo=UTC)
    async with client_of(server) as client:
        found = [each async for each in client.jobs(status="in_progress", created_after=moment)]
    assert len(found) == 3
    assert [request.query.get("cursor") for request in server.requests] == [None, "next", "last"]
    assert {request.query["status"] for request in server.requests} == {"in_progress"}
    assert {request.query["created_after"] for request in server.requests} == {"2026-04-07T12:00:00+00:00"}


async def test_a_time_without_a_zone_is_refused(server: Scripted) -> None:
    async with client_of(server) as client:
        with pytest.raises(ValueError, match="created_before has no time zone"):
            await client.page(created_before=datetime(2026, 4, 7))  # noqa: DTZ001 - what it is about


async def test_a_download_into_a_folder_is_named_after_the_job(server: Scripted, tmp_path: Path) -> None:
    links = [{**VIDEO, "url": f"{server.url}/v.mp4"}] * 2
    server.script = [says(job("completed", 100, result={"data": links})), a_video]
    async with client_of(server) as client:
        done = await client.job("job_1")
        paths = [await done.download(tmp_path), await done.download(str(tmp_path), index=1)]
    assert paths == [tmp_path / "job_1.mp4", tmp_path / "job_1-2.mp4"]
    assert paths[1].read_bytes() == BYTES


async def test_an_expired_link_is_made_afresh(server: Scripted, tmp_path: Path) -> None:
    completed = says(job("completed", 100, result={"data": [{**VIDEO, "url": f"{server.url}/v.mp4"}]}))
    server.script = [completed, says({}, 403), completed, a_video]
    async with client_of(server) as client:
        path = await (await client.job("job_1")).download(tmp_path / "a.mp4")
    assert path.read_bytes() == BYTES


@pytest.mark.parametrize(
    ("state", "index", "error"),
    [
        (job("in_progress"), 0, NotFinished),
        (job("failed", error_code="expired"), 0, JobFailed),
        (job("completed", 100, result={"data": [{"url": "http://127.0.0.1:9/"}]}), 1, NotFound),
        (job("completed", 100, result={"data": [{"url": "http://127.0.0.1:9/"}]}), -1, NotFound),
        (job("completed", 100, result={"data": [{"url": None}]}), 0, NotFound),
    ],
)
async def test_what_cannot_be_downloaded_says_why(
    server: Scripted, tmp_path: Path, state: dict[str, object], index: int, error: type[Exception]
) -> None:
    server.script = [says(state)]
    async with client_of(server) as client:
        with pytest.raises(error):
            await (await client.job("job_1")).download(tmp_path / "a.mp4", index=index)
    assert not (tmp_path / "a.mp4").exists()


async def test_an_upload_that_was_cut_off_is_sent_whole_again(server: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(b"\x89PNG")
    server.script = [cuts, says({"reference": "upload_1"})]
    async with client_of(server) as client:
        assert await client.upload(file) == "upload_1"
    assert server.bodies == [b"\x89PNG", b"\x89PNG"]


async def test_any_route_can_be_asked(server: Scripted) -> None:
    server.script = [says({"total_requests": 3}), says({"made": True})]
    async with client_of(server) as client:
        assert await client.request("GET", "/api/v1/user/usage", query={"a": "b"}) == {"total_requests": 3}
        assert await client.request("POST", "/api/v1/new", body={"c": 1}) == {"made": True}
    assert [str(request.rel_url) for request in server.requests] == ["/api/v1/user/usage?a=b", "/api/v1/new"]


def test_the_environment_says_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_API_KEY", "key")
    monkeypatch.setenv("RUSHES_BASE_URL", "http://service.example/api/v1")
    assert AsyncClient().base_url == "http://service.example"
    monkeypatch.delenv("RUSHES_API_KEY")
    with pytest.raises(NotConfigured, match="RUSHES_API_KEY"):
        AsyncClient()


async def test_a_timeline_is_read_from_its_own_address(server: Scripted) -> None:
    server.script = [says({"job_id": "job_1", "entries": []})]
    async with client_of(server) as client:
        assert (await client.timeline("job_1"))["entries"] == []
    assert server.requests[0].path == "/api/v1/videos/jobs/job_1/timeline"
