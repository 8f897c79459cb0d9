"""Stored files over HTTP, through a real server and client: ranges, conditions, and clients that leave."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import cast

import aiohttp
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rushes.accounts.key_store import KeyStore
from rushes.accounts.revocations import Revocations
from rushes.api.http.ranges import NoPart, Part, Sending, ServedFile, is_unchanged, parse_range, ranged_response
from rushes.api.http.server_protocol import ServerProtocol
from rushes.clock import SystemClock
from rushes.errors import AccountBusy
from rushes.media.local import LocalStorage
from rushes.media.storage import StoredFile
from rushes.shared_places import DOWNLOADS, SharedPlace
from tests.fixtures.service import until
from tests.fixtures.time_limits import GENEROUS_S

KEY = "videos/a.mp4"
DATA = bytes(range(256)) * 4096
SIZE = len(DATA)
MODIFIED = datetime(2026, 4, 7, 12, 0, 0, 654321, tzinfo=UTC)
FILE = ServedFile(KEY, SIZE, hashlib.sha256(DATA).hexdigest(), "video/mp4", "job_1.mp4", MODIFIED)
ETAG = f'"{FILE.sha256}"'
DATE = "Tue, 07 Apr 2026 12:00:00 GMT"


@dataclass
class WatchedStorage:
    """A directory that notes how often a reader was opened and closed, and how many bytes it gave."""

    inner: LocalStorage
    opened: int = 0
    given_bytes: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> StoredFile:
        return await self.inner.put(key, chunks, max_bytes=max_bytes)

    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        self.opened += 1
        try:
            async with aclosing(self.inner.open(key, start=start, end=end)) as chunks:
                async for chunk in chunks:
                    self.given_bytes += len(chunk)
                    yield chunk
        finally:
            self.closed.set()

    async def delete(self, key: str) -> None:
        await self.inner.delete(key)

    def on_disk(self, key: str) -> AbstractAsyncContextManager[Path]:
        return self.inner.on_disk(key)

    async def link(self, key: str, *, ttl_s: int, content_type: str, disposition: str) -> str | None:
        return await self.inner.link(key, ttl_s=ttl_s, content_type=content_type, disposition=disposition)

    async def check(self) -> None:
        await self.inner.check()


@dataclass
class Site:
    """A running server with one stored file, and a client of it."""

    storage: WatchedStorage
    client: aiohttp.ClientSession
    port: int
    file: ServedFile = FILE
    sending: Sending | None = None

    async def store(self, data: bytes) -> None:
        async def whole() -> AsyncIterator[bytes]:
            yield data

        stored = await self.storage.put(KEY, whole(), max_bytes=len(data))
        self.file = replace(self.file, size_bytes=stored.size_bytes, sha256=stored.sha256)

    async def get(
        self, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.client.request(method, "/file", headers=headers) as response:
            return response, await response.read()


@asynccontextmanager
async def serving(site_of: list[Site]) -> AsyncIterator[int]:
    async def file(request: Request) -> Response:
        site, headers = site_of[0], {"Cache-Control": "private, max-age=60"}
        try:
            return await ranged_response(request, site.storage, site.file, headers, site.sending)
        except FileNotFoundError:
            return PlainTextResponse("gone", 410)
        except AccountBusy:
            return PlainTextResponse("busy", 429)

    app = Starlette(routes=[Route("/file", file, methods=["GET", "HEAD"])])
    # The protocol is named, because asyncio turns off Nagle's delay (40 ms an answer) only where it is.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=ServerProtocol, log_level="error", lifespan="off", timeout_graceful_shutdown=5
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # Neither `serve` nor `shutdown`, which look every tenth of a second whether they are to go on.
        await server.startup(sockets=[listener])
        try:
            yield listener.getsockname()[1]
        finally:
            for bound in server.servers:
                bound.close()
            for connection in list(server.server_state.connections):
                connection.shutdown()
            await asyncio.gather(*server.server_state.tasks)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    sites: list[Site] = []
    async with serving(sites) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        sites.append(Site(WatchedStorage(LocalStorage(tmp_path)), client, port))
        await sites[0].store(DATA)
        yield sites[0]


async def test_a_get_answers_the_whole_file_and_its_facts(site: Site) -> None:
    response, body = await site.get()
    assert (response.status, body) == (200, DATA)
    expected = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=60",
        "Content-Disposition": 'inline; filename="job_1.mp4"',
        "Content-Length": str(SIZE),
        "Content-Type": "video/mp4",
        "ETag": ETAG,
        "Last-Modified": DATE,
        "X-Content-Type-Options": "nosniff",
    }
    assert {name: response.headers.get(name) for name in expected} == expected
    assert "Content-Range" not in response.headers


async def test_a_head_answers_the_headers_of_a_get_and_reads_nothing(site: Site) -> None:
    got, _ = await site.get()
    site.storage.given_bytes = 0
    head, body = await site.get(method="HEAD")
    unlike = {"Date"}
    assert {k: v for k, v in head.headers.items() if k not in unlike} == {
        k: v for k, v in got.headers.items() if k not in unlike
    }
    assert (head.status, body, site.storage.given_bytes) == (200, b"", 0)


async def test_a_head_has_no_ranges(site: Site) -> None:
    response, _ = await site.get({"Range": "bytes=0-1"}, "HEAD")
    assert (response.status, response.headers["Content-Length"]) == (200, str(SIZE))


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=1000-300000", 1000, 300001),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=5-{SIZE * 9}", 5, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        (f"bytes=-{SIZE * 9}", 0, SIZE),
        ("Bytes= 3-4 ", 3, 5),
    ],
)
async def test_a_range_answers_that_part(site: Site, header: str, start: int, end: int) -> None:
    response, body = await site.get({"Range": header})
    assert (response.status, body) == (206, DATA[start:end])
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert response.headers["Content-Length"] == str(end - start)
    assert response.headers["ETag"] == ETAG


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
async def test_a_range_past_the_end_is_416_and_names_the_size(site: Site, header: str) -> None:
    response, body = await site.get({"Range": header})
    assert (response.status, body) == (416, b"")
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "header", ["", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "lines=0-1", "bytes=0-1,4-5", "bytes=0x1-2"]
)
async def test_a_malformed_or_multiple_range_answers_the_whole(site: Site, header: str) -> None:
    response, body = await site.get({"Range": header})
    assert (response.status, body) == (200, DATA)


async def test_an_empty_file_is_served(site: Site) -> None:
    await site.store(b"")
    response, body = await site.get()
    assert (response.status, body, response.headers["Content-Length"]) == (200, b"", "0")
    response, _ = await site.get({"Range": "bytes=0-"})
    assert (response.status, response.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize("header", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_client_that_has_this_very_file_is_told_so(site: Site, header: str, method: str) -> None:
    response, body = await site.get({"If-None-Match": header, "Range": "bytes=0-1"}, method)
    assert (response.status, body) == (304, b"")
    assert response.headers["ETag"] == ETAG
    assert response.headers["Cache-Control"] == "private, max-age=60"
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("header", ['"other"', "", FILE.sha256, "garbage"])
async def test_a_client_that_has_another_file_gets_this_one(site: Site, header: str) -> None:
    # The date would say "unchanged", but it does not count beside a tag.
    response, body = await site.get({"If-None-Match": header, "If-Modified-Since": DATE})
    assert (response.status, body) == (200, DATA)


@pytest.mark.parametrize("since", [DATE, "Wed, 08 Apr 2026 12:00:00 GMT", "Tue, 07 Apr 2026 14:00:00 +0200"])
async def test_a_file_not_modified_since_is_304(site: Site, since: str) -> None:
    response, _ = await site.get({"If-Modified-Since": since})
    assert response.status == 304


@pytest.mark.parametrize("since", ["Tue, 07 Apr 2026 11:59:59 GMT", "yesterday", ""])
async def test_a_file_modified_since_is_sent(site: Site, since: str) -> None:
    response, _ = await site.get({"If-Modified-Since": since})
    assert response.status == 200


@given(st.text())
def test_no_condition_is_an_error(text: str) -> None:
    for name in (b"if-modified-since", b"if-none-match"):
        is_unchanged(Headers(raw=[(name, text.encode("latin-1", "replace"))]), FILE)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))])))
def test_the_date_of_a_file_counts_in_whole_seconds(modified: datetime) -> None:
    headers = Headers({"If-Modified-Since": format_datetime(modified)})
    assert is_unchanged(headers, replace(FILE, last_modified=modified))


@pytest.mark.parametrize("validator", [ETAG, DATE])
async def test_if_range_with_our_validator_lets_the_range_count(site: Site, validator: str) -> None:
    response, body = await site.get({"Range": "bytes=0-1", "If-Range": validator})
    assert (response.status, body) == (206, DATA[:2])


@pytest.mark.parametrize("validator", ['"other"', f"W/{ETAG}", "Wed, 08 Apr 2026 12:00:00 GMT", "garbage", ""])
async def test_if_range_with_another_validator_answers_the_whole(site: Site, validator: str) -> None:
    response, body = await site.get({"Range": f"bytes={SIZE}-", "If-Range": validator})
    assert (response.status, body) == (200, DATA)


async def test_a_name_beyond_ascii_is_encoded(site: Site) -> None:
    site.file = replace(site.file, filename='Häs"e\r\n.mp4')
    response, _ = await site.get()
    assert response.headers["Content-Disposition"] == "inline; filename*=utf-8''H%C3%A4s%22e%0D%0A.mp4"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-1"}, {"If-None-Match": ETAG}, {"Range": f"bytes={SIZE}-"}])
async def test_a_deleted_file_is_known_before_any_header_is_sent(
    site: Site, method: str, headers: dict[str, str]
) -> None:
    await site.storage.delete(KEY)
    response, _ = await site.get(headers, method)
    assert response.status == 410


async def test_a_connection_serves_one_answer_after_another(site: Site) -> None:
    for _ in range(3):
        response, body = await site.get({"Range": "bytes=10-19"})
        assert body == DATA[10:20]
        assert response.headers.get("Connection") != "close"


async def test_a_file_replaced_by_a_shorter_one_breaks_the_transfer(site: Site) -> None:
    told = site.file
    await site.store(DATA[:1000])
    site.file = told
    with pytest.raises(aiohttp.ClientPayloadError):
        await site.get()


async def test_the_file_is_closed_when_the_client_leaves(site: Site) -> None:
    large = bytes(64 * 1024 * 1024)
    await site.store(large)
    site.storage.closed.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    await asyncio.wait_for(site.storage.closed.wait(), GENEROUS_S)
    assert site.storage.given_bytes < len(large) // 4


async def test_a_client_that_does_not_read_is_not_read_for_and_holds_up_nobody(site: Site) -> None:
    large = bytes(64 * 1024 * 1024)
    await site.store(large)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
    writer.write(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(50):
        _, body = await site.get({"Range": "bytes=0-9"})
        assert body == large[:10]
    assert site.storage.given_bytes < len(large) // 4
    writer.transport.abort()


async def test_the_file_is_closed_when_the_answer_is_cancelled(tmp_path: Path) -> None:
    storage = WatchedStorage(LocalStorage(tmp_path))
    site = Site(storage, None, 0)  # type: ignore[arg-type]  # no client: the answer is called by hand
    await site.store(DATA)
    sending = asyncio.Event()

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    async def send(message: object) -> None:
        sending.set()
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "headers": []}
    response = await ranged_response(Request(scope), storage, site.file)
    task = asyncio.create_task(response(scope, receive, send))
    await sending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert storage.closed.is_set()


def model(header: str, data: bytes) -> bytes | NoPart:
    """RFC 9110, 14.1.2, in the plainest way: the bytes at those positions."""
    first, last = header.removeprefix("bytes=").split("-")
    positions = range(len(data))
    if first == "":
        chosen = [position for position in positions if position >= len(data) - int(last)]
        if chosen == [] and int(last) > 0:
            return NoPart.WHOLE
    elif last == "":
        chosen = [position for position in positions if position >= int(first)]
    elif int(last) < int(first):
        return NoPart.WHOLE
    else:
        chosen = [position for position in positions if int(first) <= position <= int(last)]
    return bytes(data[position] for position in chosen) if chosen else NoPart.UNSATISFIABLE


NUMBER = st.integers(0, 60).map(str) | st.integers(0, 10**30).map(str)


@given(data=st.binary(max_size=40), first=NUMBER | st.just(""), last=NUMBER | st.just(""))
def test_a_well_formed_range_is_the_bytes_at_its_positions(data: bytes, first: str, last: str) -> None:
    if first == last == "":
        return
    header = f"bytes={first}-{last}"
    part = parse_range(header, len(data))
    assert (data[part.start : part.end] if isinstance(part, Part) else part) == model(header, data)


@given(header=st.text() | st.from_regex(r"bytes=[0-9, -]*", fullmatch=True), size_bytes=st.integers(0, 10**15))
def test_any_header_is_read_without_error_and_within_the_file(header: str, size_bytes: int) -> None:
    part = parse_range(header, size_bytes)
    assert isinstance(part, NoPart) or 0 <= part.start < part.end <= size_bytes


@pytest.mark.parametrize("header", [None, "bytes=" + "9" * 5000 + "-", "bytes=٣-٤"])
def test_a_header_that_no_client_means_is_ignored(header: str | None) -> None:
    assert parse_range(header, 100) is NoPart.WHOLE


class Keys:
    """All keys are valid but those that are named here."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    async def readers_among(self, key_ids: Sequence[str]) -> set[str]:
        return set(key_ids) - self.revoked


async def test_a_download_ends_when_its_key_is_revoked(site: Site) -> None:
    keys, place = Keys(), SharedPlace(DOWNLOADS)
    revocations = Revocations(cast(KeyStore, keys), SystemClock())
    site.sending = Sending(place, "a", revocations.watch("key_1"))
    await site.store(bytes(64 * 1024**2))
    async with site.client.get("/file") as answer:
        assert await answer.content.read(1024) == bytes(1024)
        assert place.held_by("a") == 1
        await revocations.look()
        keys.revoked.add("key_1")
        await revocations.look()
        # The reader is told that the file is not whole.
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    await until(lambda: not place.held)
    assert site.storage.closed.is_set()
    assert site.storage.given_bytes < 64 * 1024**2


async def test_an_account_has_a_share_of_the_downloads(site: Site) -> None:
    place = SharedPlace(DOWNLOADS, share=1)
    site.sending = Sending(place, "a", None)
    held = place.take("a")
    response, body = await site.get()
    assert (response.status, body) == (429, b"busy")
    held.release()
    response, body = await site.get()
    assert (response.status, body) == (200, DATA)
    await until(lambda: not place.held)
