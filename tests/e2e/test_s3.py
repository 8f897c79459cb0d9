"""The service with its files in a bucket: jobs, links, inputs and removal, and a bucket that goes away."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from PIL import Image

from tests.e2e.conftest import Start
from tests.fixtures.media import image
from tests.fixtures.s3 import KEY_ID, SECRET, S3Server, s3, s3_server, s3_settings
from tests.fixtures.service import Client, Service
from tests.fixtures.time_limits import GENEROUS_S

__all__ = ["s3"]


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture(scope="module")
def presigning(tmp_path_factory: pytest.TempPathFactory, s3: S3Server, bucket: str) -> Iterator[Service]:
    """A service whose links lead to the bucket."""
    settings = s3_settings(s3, bucket, RUSHES_STORAGE_LINKS="presigned")
    running = Service(tmp_path_factory.mktemp("presigning"), **settings).start()
    yield running
    running.finish()


@pytest.fixture
async def client(presigning: Service) -> AsyncIterator[Client]:
    async with Client(presigning, presigning.key().text) as opened:
        yield opened


async def empty(s3: S3Server, bucket: str, prefix: str) -> None:
    """Returns when nothing of this name is in the bucket."""
    for _ in range(int(GENEROUS_S / 0.1)):
        left = [name for name in await asyncio.to_thread(s3.everything, bucket) if name.startswith(prefix)]
        if not left:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(left)


def local_files(service: Service) -> list[Path]:
    """What of files in the bucket lies on this machine's disk."""
    kept = [path for path in (service.data_dir / "storage").rglob("*") if path.is_file()]
    return kept + list((service.data_dir / "scratch").glob("copy-*"))


async def fetched(url: str, **headers: str) -> tuple[int, bytes, Any]:
    """What a browser gets that follows redirects and has no key."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_a_job_is_kept_in_the_bucket_and_plays_from_there_until_it_is_deleted(
    s3: S3Server, bucket: str, presigning: Service, client: Client
) -> None:
    job = await client.reached((await client.create(prompt="a jetty", response_format="b64_json"))["job_id"])
    assert job["status"] == "completed", job
    video = job["result"]["data"][0]
    content = base64.b64decode(video["b64_json"])
    assert hashlib.sha256(content).hexdigest() == video["sha256"]
    [name] = [name for name in s3.everything(bucket) if name.startswith("kept/videos/") and job["job_id"] in name]
    assert s3.content(bucket, name) == content
    assert local_files(presigning) == []

    redirect = await client.get(video["url"], plain=True)
    assert (redirect.status, redirect.headers["Cache-Control"]) == (307, "no-store")
    there = urlsplit(redirect.headers["Location"])
    assert there.netloc == urlsplit(s3.url).netloc
    status, whole, headers = await fetched(video["url"])
    assert (status, whole, headers["Content-Type"]) == (200, content, "video/mp4")
    assert headers["Content-Disposition"] == f'inline; filename="{job["job_id"]}-0.mp4"'
    assert (await fetched(video["url"], Range="bytes=5-9"))[:2] == (206, content[5:10])

    head = await client.call("HEAD", video["url"], plain=True)
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(content)))
    etag = head.headers["ETag"]
    assert (await client.get(video["url"], plain=True, headers={"If-None-Match": etag})).status == 304
    resumed = await client.get(video["url"], plain=True, headers={"If-Range": etag, "Range": "bytes=5-9"})
    assert (resumed.status, resumed.body) == (206, content[5:10])
    poster = await client.get(video["thumbnail_url"], plain=True)
    assert Image.open(io.BytesIO(poster.body)).size == (640, 360)

    path = f"/api/v1/videos/jobs/{job['job_id']}"
    through_us = await client.get(f"{path}/content", headers={"Range": "bytes=5-9"})
    assert (through_us.status, through_us.body) == (206, content[5:10])
    assert (await client.call("DELETE", path)).status == 204
    (await client.get(video["url"], plain=True)).problem(404)
    # A service cleans at its start, and then every half minute.
    presigning.stop()
    presigning.start()
    await empty(s3, bucket, f"kept/videos/{job['job_id']}")
    assert SECRET not in presigning.log_text()
    assert there.query.rpartition("=")[2] not in presigning.log_text()


async def test_an_upload_is_an_input(s3: S3Server, bucket: str, client: Client) -> None:
    upload = (await client.post("/api/v1/uploads", data=image(color="red"), headers={"Content-Type": "image/png"})).ok()
    assert (upload["content_type"], upload["width"]) == ("image/png", 64)
    job = await client.reached((await client.create(input_image=upload["reference"]))["job_id"])
    assert job["status"] == "completed", job
    inline = "data:image/png;base64," + base64.b64encode(image(color="blue")).decode()
    job = await client.reached((await client.create(input_image=inline))["job_id"])
    assert job["status"] == "completed", job
    assert [name for name in s3.everything(bucket) if upload["upload_id"] in name]


async def test_links_lead_through_us_by_default_and_end_with_retention(s3: S3Server, start: Start) -> None:
    bucket = s3.new_bucket()
    service = start(**s3_settings(s3, bucket, RUSHES_RETENTION_S=2))
    async with Client(service, service.key().text) as client:
        job = await client.reached((await client.create())["job_id"])
        url = job["result"]["url"]
        part = await client.get(url, plain=True, headers={"Range": "bytes=4-7"})
        assert (part.status, part.body) == (206, b"ftyp")
        while (await client.get(url, plain=True)).status == 200:  # noqa: ASYNC110 - it happens elsewhere
            await asyncio.sleep(0.1)
        (await client.get(url, plain=True)).problem(410)


async def test_a_bucket_that_refuses_us_stops_the_start_and_no_secret_is_shown(s3: S3Server, start: Start) -> None:
    service = start(running=False, **s3_settings(s3, "no-such-bucket"))
    with pytest.raises(AssertionError, match="RUSHES_STORAGE_URL 's3://no-such-bucket/kept'"):
        service.start()
    assert SECRET not in service.log_text()
    assert KEY_ID not in service.log_text()


async def test_a_job_waits_for_a_bucket_that_is_away(start: Start) -> None:
    with s3_server() as server:
        bucket = server.new_bucket()
        service = start(**s3_settings(server, bucket))
        async with Client(service, service.key().text) as client:
            server.kill()
            job_id = (await client.create())["job_id"]
            for _ in range(int(GENEROUS_S / 0.1)):
                if "storing_will_be_repeated" in service.log_text():
                    break
                await asyncio.sleep(0.1)
            assert (await client.job(job_id))["status"] == "in_progress"
            # Jobs can be accepted all the same.
            stores = (await client.get("/readyz")).ok()["parts"]["stores"]
            assert "media storage" in stores["detail"]
            metrics = (await client.get("/metrics")).body.decode()
            assert "rushes_storage_up 0.0" in metrics
            assert "rushes_database_writable 1.0" in metrics
            server.start()
            server.make(bucket)
            job = await client.reached(job_id)
            assert job["status"] == "completed", job
            assert (await client.get(job["result"]["url"], plain=True)).status == 200
