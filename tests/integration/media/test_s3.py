"""What S3 adds to the promises of every storage: its troubles, its leftovers and its links."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest

from rushes.errors import StorageRefused, StorageUnavailable
from rushes.media import s3 as s3_module
from rushes.media.bucket import Bucket, Place
from rushes.media.s3 import PART_BYTES, S3Storage
from tests.fixtures.s3 import (
    KEY_ID,
    SECRET,
    Gate,
    S3Server,
    bucket_at,
    refusal,
    s3,
    s3_server,
    scratch_files,
)

__all__ = ["s3"]

KEY = "videos/job_1/0.mp4"
MEBIBYTE = 1024**2
PLENTY = 1024 * MEBIBYTE
LARGE = PART_BYTES + MEBIBYTE
"""Two parts."""
DAY_MS = 86_400_000


Reach = Callable[..., S3Storage]


@pytest.fixture
def gate(s3: S3Server) -> Iterator[Gate]:
    opened = Gate(s3)
    yield opened
    opened.close()


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
def reach(bucket: str, tmp_path: Path) -> Iterator[Reach]:
    """Makes storage in the bucket, as it is seen at some address."""
    made: list[Bucket] = []

    def make(url: str, *, tries: int = 1) -> S3Storage:
        made.append(bucket_at(url, bucket, tries=tries, silence_s=5))
        return S3Storage(made[-1], tmp_path)

    yield make
    for one in made:
        one.close()


async def zeros(size_bytes: int) -> AsyncIterator[bytes]:
    for start in range(0, size_bytes, MEBIBYTE):
        yield bytes(min(MEBIBYTE, size_bytes - start))


async def content(storage: S3Storage) -> bytes:
    return b"".join([chunk async for chunk in storage.open(KEY)])


async def test_a_busy_server_is_asked_again(gate: Gate, reach: Reach) -> None:
    storage = reach(gate.url, tries=2)
    gate.answer = lambda line: refusal(503, "SlowDown") if len(gate.requests) == 1 else None
    await storage.put(KEY, zeros(10), max_bytes=PLENTY)
    gate.answer = lambda line: None
    assert await content(storage) == bytes(10)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusal(503, "SlowDown"), "too busy"),
        (refusal(500, "InternalError"), "answered 'InternalError'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<html>", "storage"),
        (b"", "broke the connection off"),
    ],
)
async def test_a_server_in_trouble_is_unavailable_storage(gate: Gate, reach: Reach, answer: bytes, says: str) -> None:
    storage = reach(gate.url)
    gate.answer = lambda line: answer
    with pytest.raises(StorageUnavailable, match=says) as caught:
        await storage.sweep(0)
    assert not isinstance(caught.value, StorageRefused)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "InvalidAccessKeyId", "keys"),
        (403, "SignatureDoesNotMatch", "keys"),
        (403, "AccessDenied", "denies"),
        (404, "NoSuchBucket", "no such bucket"),
        (400, "AuthorizationHeaderMalformed", "RUSHES_STORAGE_REGION"),
    ],
)
async def test_a_server_that_refuses_us_is_quoted_without_what_it_says_of_our_key(
    gate: Gate, reach: Reach, bucket: str, status: int, code: str, says: str
) -> None:
    storage = reach(gate.url)
    gate.answer = lambda line: refusal(status, code, f"{KEY_ID} with {SECRET} in {bucket}")
    for attempt in (storage.prove(), storage.put(KEY, zeros(1), max_bytes=PLENTY), storage.delete(KEY)):
        with pytest.raises(StorageRefused, match=says) as caught:
            await attempt
        shown = repr(caught.value) + repr(caught.value.__cause__)
        assert KEY_ID not in shown
        assert SECRET not in shown
        assert bucket not in shown


async def test_an_address_where_nobody_listens_is_unavailable_storage(reach: Reach) -> None:
    storage = reach("http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        await storage.put(KEY, zeros(1), max_bytes=PLENTY)
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        await storage.check()


def test_a_place_shows_no_key() -> None:
    shown = repr(Place("films", access_key_id=KEY_ID, secret_access_key=SECRET))
    assert KEY_ID not in shown
    assert SECRET not in shown


async def test_a_read_that_is_cut_off_goes_on_where_it_was(gate: Gate, reach: Reach) -> None:
    storage = reach(gate.url)
    data = os.urandom(2 * MEBIBYTE)

    async def once() -> AsyncIterator[bytes]:
        yield data

    await storage.put(KEY, once(), max_bytes=PLENTY)
    gate.requests.clear()
    gate.most_bytes = lambda line: 700_000 if len(gate.requests) < 3 else None
    assert await content(storage) == data
    assert len(gate.requests) == 3


async def test_a_read_that_cannot_go_on_is_an_error_and_not_a_short_file(gate: Gate, reach: Reach) -> None:
    storage = reach(gate.url)
    await storage.put(KEY, zeros(MEBIBYTE), max_bytes=PLENTY)
    gate.most_bytes = lambda line: 600_000 if "GET" in line and len(gate.requests) < 3 else 400
    with pytest.raises(StorageUnavailable):
        await content(storage)


async def test_the_rest_of_a_file_that_was_replaced_is_not_given_for_it(
    gate: Gate, reach: Reach, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    storage = reach(gate.url)
    await storage.put(KEY, zeros(2 * MEBIBYTE), max_bytes=PLENTY)
    gate.most_bytes = lambda line: 700_000
    async with aclosing(storage.open(KEY)) as chunks:
        await anext(chunks)
        await S3Storage(s3.connected(bucket), tmp_path).put(KEY, zeros(2 * MEBIBYTE + 1), max_bytes=PLENTY)
        with pytest.raises(StorageUnavailable, match="replaced"):
            async for _ in chunks:
                pass


@pytest.mark.parametrize("refused", ["partNumber=1", "partNumber=2", "POST /bucket.*uploadId"])
async def test_a_part_that_cannot_be_stored_leaves_nothing(
    gate: Gate, reach: Reach, s3: S3Server, bucket: str, tmp_path: Path, refused: str
) -> None:
    storage = reach(gate.url)
    start, _, end = refused.partition(".*")
    gate.answer = lambda line: refusal(500, "InternalError") if start in line and end in line else None
    with pytest.raises(StorageUnavailable):
        await storage.put(KEY, zeros(LARGE), max_bytes=PLENTY)
    assert s3.everything(bucket) == []
    assert scratch_files(tmp_path) == []


async def test_the_last_part_may_be_as_large_as_the_others(gate: Gate, reach: Reach, s3: S3Server, bucket: str) -> None:
    storage = reach(gate.url)
    await storage.put(KEY, zeros(2 * PART_BYTES), max_bytes=PLENTY)
    assert sorted(re.findall(r"partNumber=\d+", " ".join(gate.requests))) == ["partNumber=1", "partNumber=2"]
    assert len(s3.content(bucket, f"kept/{KEY}")) == 2 * PART_BYTES


async def test_a_server_that_dies_amid_the_parts_is_unavailable_and_takes_the_file_when_it_is_back(
    tmp_path: Path,
) -> None:
    with s3_server() as server:
        bucket = server.new_bucket()
        connection = bucket_at(server.url, bucket, tries=1)
        storage = S3Storage(connection, tmp_path)

        async def dying() -> AsyncIterator[bytes]:
            async for chunk in zeros(LARGE):
                yield chunk
            server.kill()
            async for chunk in zeros(LARGE):
                yield chunk

        with pytest.raises(StorageUnavailable):
            await storage.put(KEY, dying(), max_bytes=PLENTY)
        assert scratch_files(tmp_path) == []
        server.start()
        server.make(bucket)
        await storage.put(KEY, zeros(LARGE), max_bytes=PLENTY)
        assert len(server.content(bucket, f"kept/{KEY}")) == LARGE
        connection.close()


async def test_sweeping_takes_old_leftovers_of_ours_and_nothing_else(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    storage = S3Storage(s3.connected(bucket), tmp_path)
    await storage.put(KEY, zeros(1), max_bytes=PLENTY)
    begun_ms = s3.begin_upload(bucket, "kept/a")
    s3.begin_upload(bucket, "others/a")
    for name in ("copy-1", "something-else"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (begun_ms / 1000, begun_ms / 1000))
    assert await storage.sweep(begun_ms + 1000) == 0
    assert await storage.sweep(begun_ms + 2 * DAY_MS) == 2
    assert s3.everything(bucket) == [f"kept/{KEY}", "others/a+"]
    assert scratch_files(tmp_path) == ["something-else"]


async def test_proving_leaves_nothing(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    await S3Storage(s3.connected(bucket), tmp_path).prove()
    assert s3.everything(bucket) == []


async def test_many_checks_are_one_question(gate: Gate, reach: Reach) -> None:
    storage = reach(gate.url)
    await asyncio.gather(*(storage.check() for _ in range(20)))
    await storage.check()
    assert len(gate.requests) == 1


async def test_a_check_does_not_wait_for_a_server_that_is_silent(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "CHECK_S", 0.05)
    held: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(lambda reader, writer: held.append(writer), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    storage = reach(f"http://127.0.0.1:{port}")
    try:
        with pytest.raises(StorageUnavailable, match="did not answer"):
            await storage.check()
    finally:
        listener.close()
        for writer in held:
            writer.close()


async def test_links_lead_through_us_unless_others_are_wanted(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    storage = S3Storage(s3.connected(bucket), tmp_path)
    assert await storage.link(KEY, ttl_s=60, content_type="video/mp4", disposition="inline") is None


async def test_a_link_gives_the_file_as_it_is_to_be_shown(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    storage = S3Storage(s3.connected(bucket), tmp_path, gives_links=True)
    await storage.put(KEY, zeros(1000), max_bytes=PLENTY)
    url = await storage.link(KEY, ttl_s=60, content_type="video/webm", disposition='inline; filename="a.webm"')
    assert url is not None
    assert SECRET not in url
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Range": "bytes=10-19"}) as answer:
        assert (answer.status, await answer.read()) == (206, bytes(10))
        assert answer.headers["Content-Type"] == "video/webm"
        assert answer.headers["Content-Disposition"] == 'inline; filename="a.webm"'


@pytest.mark.parametrize(("ttl_s", "lasts_s"), [(60, 60), (31 * 86_400, 7 * 86_400), (0, 1)])
async def test_a_link_names_the_public_endpoint_and_how_long_it_lasts(tmp_path: Path, ttl_s: int, lasts_s: int) -> None:
    place = Place(
        "films",
        endpoint_url="http://10.0.0.1:9000",
        public_endpoint_url="https://films.example.com",
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        path_style=True,
    )
    storage = S3Storage(Bucket(place), tmp_path, gives_links=True)
    url = await storage.link(KEY, ttl_s=ttl_s, content_type="video/mp4", disposition="inline")
    assert url is not None
    assert url.startswith(f"https://films.example.com/films/{KEY}?")
    assert f"X-Amz-Expires={lasts_s}&" in url
