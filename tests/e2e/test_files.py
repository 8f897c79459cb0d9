"""How long files live and how else they are had: content, inline bytes, posters, retention, deletion."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.conftest import Start
from tests.fixtures.service import Client, Service
from tests.fixtures.time_limits import GENEROUS_S


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """Jobs that were drawn for this file, by name."""
    return {}


@pytest.fixture
async def done(client: Client, drawn: dict[str, str]) -> dict[str, Any]:
    """One finished job, read afresh."""
    if "done" not in drawn:
        drawn["done"] = (await client.create(prompt="a jetty"))["job_id"]
    return await client.reached(drawn["done"])


def stored_files(service: Service) -> list[Path]:
    """Every finished file in the service's storage."""
    return [path for path in (service.data_dir / "storage").rglob("*") if path.is_file()]


async def gone(service: Service, *, within_s: float = GENEROUS_S) -> None:
    for _ in range(int(within_s / 0.1)):
        if not stored_files(service):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(stored_files(service))


async def test_content_is_the_video_to_its_account(client: Client, done: dict[str, Any]) -> None:
    path = f"/api/v1/videos/jobs/{done['job_id']}/content"
    whole = await client.get(path)
    assert whole.status == 200
    assert hashlib.sha256(whole.body).hexdigest() == done["result"]["sha256"]
    part = await client.get(path, params={"index": 0}, headers={"Range": "bytes=4-7"})
    assert (part.status, part.body) == (206, b"ftyp")
    head = await client.call("HEAD", path)
    assert (head.status, int(head.headers["Content-Length"]), head.body) == (200, len(whole.body), b"")


async def test_content_needs_the_accounts_own_key(client: Client, service: Service, done: dict[str, Any]) -> None:
    path = f"/api/v1/videos/jobs/{done['job_id']}/content"
    (await client.get(path, plain=True)).problem(401)
    async with Client(service, service.key(account="another").text) as stranger:
        (await stranger.get(path)).problem(404)
        (await stranger.call("DELETE", f"/api/v1/videos/jobs/{done['job_id']}")).problem(404)


@pytest.mark.parametrize(("index", "status"), [("1", 404), ("-1", 422), ("x", 422)])
async def test_content_of_no_video_is_a_problem(client: Client, done: dict[str, Any], index: str, status: int) -> None:
    (await client.get(f"/api/v1/videos/jobs/{done['job_id']}/content", params={"index": index})).problem(status)


async def test_content_of_an_unfinished_job_is_a_conflict(held: Service) -> None:
    async with Client(held, held.key().text) as client:
        job_id = (await client.create())["job_id"]
        assert "pending" in (await client.get(f"/api/v1/videos/jobs/{job_id}/content")).problem(409)["detail"]
        assert "pending" in (await client.call("DELETE", f"/api/v1/videos/jobs/{job_id}")).problem(409)["detail"]


async def test_inline_bytes_are_in_the_job_and_not_in_lists(client: Client) -> None:
    job_id = (await client.create(response_format="b64_json", n=2))["job_id"]
    job = await client.reached(job_id)
    first, second = job["result"]["data"]
    for video in (first, second):
        assert hashlib.sha256(base64.b64decode(video["b64_json"])).hexdigest() == video["sha256"]
    assert first["sha256"] != second["sha256"]
    assert job["result"]["b64_json"] == first["b64_json"]
    assert first["url"].startswith("http")
    listed = next(one for one in (await client.jobs(limit=5))["jobs"] if one["job_id"] == job_id)
    assert not any("b64_json" in video for video in (listed["result"], *listed["result"]["data"]))


async def test_a_prompt_cannot_pose_as_inline_bytes(client: Client) -> None:
    prompt = '\x00video:0\x00 {"b64_json": 0} 0123456789abcdef0123456789abcdef:0:'
    job = await client.reached((await client.create(response_format="b64_json", prompt=prompt))["job_id"])
    assert job["prompt"] == prompt
    assert base64.b64decode(job["result"]["b64_json"])[4:8] == b"ftyp"


async def test_a_poster_is_a_picture_of_the_video(client: Client, done: dict[str, Any]) -> None:
    url = done["result"]["thumbnail_url"]
    answers = await asyncio.gather(*(client.get(url, plain=True) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert answers[0].headers["Content-Type"] == "image/jpeg"
    width, height = Image.open(io.BytesIO(answers[0].body)).size
    assert (width, height) == (640, 360)
    etag = answers[0].headers["ETag"]
    assert (await client.get(url, plain=True, headers={"If-None-Match": etag})).status == 304
    (await client.get(url.replace("/0.jpg", "/1.jpg"), plain=True)).problem(403)


async def test_a_deleted_job_is_gone_with_its_files(start: Start) -> None:
    service = start()
    async with Client(service, service.key().text) as client:
        kept_total = (await client.jobs())["total"]
        job = await client.reached((await client.create())["job_id"])
        assert (await client.get(job["result"]["thumbnail_url"], plain=True)).status == 200
        path = f"/api/v1/videos/jobs/{job['job_id']}"
        deleted = await client.call("DELETE", path)
        assert (deleted.status, deleted.body) == (204, b"")
        for again in (
            await client.get(path),
            await client.call("DELETE", path),
            await client.get(f"{path}/content"),
            await client.get(job["result"]["url"], plain=True),
        ):
            again.problem(404)
        listed = await client.jobs()
        assert (listed["total"], listed["jobs"]) == (kept_total, [])
        # It looks for files to remove when it starts, and every half a minute.
        service.stop()
        service.start()
        await gone(service)


async def test_after_retention_the_job_stays_and_its_video_is_gone(start: Start) -> None:
    service = start(RUSHES_RETENTION_S=2)
    async with Client(service, service.key().text) as client:
        job = await client.reached((await client.create(response_format="b64_json"))["job_id"])
        video = job["result"]["data"][0]
        assert video["expires_at"] is not None
        while (await client.get(video["url"], plain=True)).status == 200:  # noqa: ASYNC110 - it happens elsewhere
            await asyncio.sleep(0.1)
        (await client.get(video["url"], plain=True)).problem(410)
        (await client.get(video["thumbnail_url"], plain=True)).problem(410)
        assert (await client.get(f"/api/v1/videos/jobs/{job['job_id']}/content")).problem(410)["code"] == "file_expired"
        after = await client.job(job["job_id"])
        assert (after["status"], after["progress"]) == ("completed", 100)
        assert after["result"]["data"][0]["sha256"] == video["sha256"]
        for name in ("url", "video_url", "thumbnail_url", "url_expires_at"):
            assert after["result"][name] is None, name
        assert "b64_json" not in after["result"]
        service.stop()
        service.start()
        await gone(service)


async def test_a_file_that_vanished_is_gone_and_not_an_error(start: Start) -> None:
    service = start()
    async with Client(service, service.key().text) as client:
        job = await client.reached((await client.create(response_format="b64_json"))["job_id"])
        for path in stored_files(service):
            path.unlink()
        (await client.get(job["result"]["url"], plain=True)).problem(410)
        (await client.get(job["result"]["thumbnail_url"], plain=True)).problem(410)
        assert "b64_json" not in (await client.job(job["job_id"]))["result"]
