"""Inputs are stored once, within the account's room, for as long as a job needs them; from anywhere they come."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from rushes.clock import SystemClock
from rushes.db.database import Transaction
from rushes.db.sqlite import SqliteDatabase
from rushes.decoding.box import Box
from rushes.domain.request import Role
from rushes.domain.tenant import Tenant
from rushes.errors import InputQuotaReached, InvalidRequest, MediaError, RefusedInput, RushesError, UnusableInput
from rushes.media import inputs as module
from rushes.media.decoder import Decoder
from rushes.media.input_cleaner import InputCleaner
from rushes.media.input_store import InputStore, StoredInput
from rushes.media.inputs import GivenMedia, Inputs, Terms
from rushes.media.local import LocalStorage
from rushes.net.client import HttpClient, Sink
from rushes.shared_places import SharedPlaces
from tests.fixtures.databases import fresh_sqlite
from tests.fixtures.media import image, noise, video

NO_HEADERS: Mapping[str, str] = {}
Handler = Callable[[web.Request], AsyncGenerator[bytes, None]]


class Clock(SystemClock):
    """The host's clock, which a test may put forward."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class World:
    """Inputs over a real database, directory and HTTP client, with what the tests look at."""

    def __init__(self, folder: Path, box: Box, **terms: float) -> None:
        self.clock = Clock()
        self.database: SqliteDatabase = fresh_sqlite(folder / "rushes.db", self.clock)
        self.folder = folder / "storage"
        self.storage = LocalStorage(self.folder)
        self.store = InputStore(self.database)
        self.terms = Terms(**terms)  # type: ignore[arg-type]  # quota_bytes is given as a whole number
        self.http = HttpClient(allow={Sink.INPUTS: ["127.0.0.0/8"]})
        decoder = Decoder(self.storage, box, SharedPlaces())
        self.inputs = Inputs(self.store, self.storage, self.http, decoder, self.terms)
        self.cleaner = InputCleaner(self.store, self.storage, self.clock, grace_s=self.terms.grace_s)

    @property
    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    async def rows(self) -> int:
        return len(await self.database.read("SELECT 1 FROM inputs"))

    async def take(self, *values: str | bytes, role: Role = Role.REFERENCE_IMAGE, account: str = "acc") -> list[str]:
        texts = [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in values]
        given = [GivenMedia(role, f"{role.value}.{place}", text) for place, text in enumerate(texts)]
        return [media.key for media in await self.inputs.take(Tenant(account), given)]

    async def upload(self, *chunks: bytes, account: str = "acc") -> StoredInput:
        return await self.inputs.upload(Tenant(account), pieces(*chunks), None)

    async def job(self, job_id: str, status: str, *keys: str) -> None:
        async def body(transaction: Transaction) -> None:
            await transaction.execute("DELETE FROM jobs WHERE id = :id", id=job_id)
            await transaction.execute(
                "INSERT INTO jobs (id, account_id, key_id, state, status, provider, model, served_provider,"
                " served_model, request, response_format, usual_s, warnings, lane, available_at, deadline_at,"
                " created_at) VALUES (:id, '', '', '', :status, '', '', '', '', '', '', 0, '', '', 0, 0, 0)",
                id=job_id,
                status=status,
            )
            for key in keys:
                await transaction.execute("INSERT INTO job_inputs VALUES (:id, :key)", id=job_id, key=key)

        await self.database.write(body)

    async def left_nothing(self) -> bool:
        return not self.files and await self.rows() == 0


async def pieces(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    opened = Box()
    yield opened
    opened.close()


@pytest.fixture
async def world(tmp_path: Path, box: Box) -> AsyncIterator[World]:
    made = World(tmp_path, box, fetch_s=1.0)
    yield made
    await made.http.close()
    await made.database.close()


@asynccontextmanager
async def remote(handler: Handler, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> AsyncIterator[str]:
    """A host that answers what `handler` yields; the context is its URL."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        try:
            async for chunk in handler(request):
                await response.write(chunk)
        except ConnectionError:
            pass
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # asyncio's own server
    try:
        yield f"http://127.0.0.1:{port}/image.png?token=secret"
    finally:
        await runner.cleanup()


async def refusal(world: World, *values: str | bytes, role: Role = Role.INPUT_IMAGE) -> RushesError:
    with pytest.raises(RushesError) as caught:
        await world.take(*values, role=role)
    assert await world.left_nothing()
    assert "secret" not in caught.value.message
    return caught.value


async def test_an_input_is_stored_with_its_bytes_unchanged(world: World) -> None:
    content = image("JPEG")
    (media,) = await world.inputs.take(
        Tenant("acc"), [GivenMedia(Role.INPUT_IMAGE, "input_image", base64.b64encode(content).decode())]
    )
    assert (media.content_type, media.size_bytes) == ("image/jpeg", len(content))
    assert media.sha256 == hashlib.sha256(content).hexdigest()
    assert world.storage.path(media.key).read_bytes() == content


async def test_the_same_bytes_are_stored_once_however_they_come(world: World) -> None:
    content = image("PNG")

    async def whole(_: web.Request) -> AsyncGenerator[bytes, None]:
        yield content

    async with remote(whole) as url:
        keys = await world.take(content, url, "data:image/png;base64," + base64.b64encode(content).decode())
    uploaded = await world.upload(content[:5], content[5:])
    assert {*keys, uploaded.key} == {keys[0]}
    assert len(world.files) == 1
    assert await world.rows() == 1
    assert await world.store.total_bytes("acc") == len(content)


async def test_a_provider_is_sent_the_very_bytes(world: World) -> None:
    content = noise((400, 400))
    stored = await world.upload(content)
    assert await world.inputs.read(stored.media(Role.INPUT_IMAGE)) == content
    await world.storage.delete(stored.key)
    with pytest.raises(MediaError, match="no longer"):
        await world.inputs.read(stored.media(Role.INPUT_IMAGE))


async def test_accounts_share_nothing(world: World) -> None:
    content = image()
    ours, theirs = await world.take(content, account="ours"), await world.take(content, account="theirs")
    assert ours != theirs
    assert len(world.files) == 2


async def test_inputs_come_in_together_and_keep_their_order(world: World) -> None:
    contents = [noise((8, 8)) for _ in range(5)]
    keys = await world.take(*contents)
    assert [world.storage.path(key).read_bytes() for key in keys] == contents


async def test_an_upload_is_referred_to_by_its_account_alone(world: World) -> None:
    upload = await world.upload(image())
    assert await world.take(upload.id) == [upload.key]
    for reference, account in ((upload.id, "other"), ("upload_" + "0" * 24, "acc"), ("upload_x", "acc")):
        with pytest.raises(UnusableInput, match="no upload") as caught:
            await world.take(reference, account=account)
        assert caught.value.field == "reference_image.0"


async def test_an_upload_must_be_of_the_kind_its_field_takes(world: World, tmp_path: Path) -> None:
    upload = await world.upload(video(tmp_path / "a.mp4"))
    assert await world.take(upload.id, role=Role.VIDEO) == [upload.key]
    with pytest.raises(UnusableInput, match="video/mp4"):
        await world.take(upload.id)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!doctype html><p>404", "an HTML page"),
        (b"GIF89a" + bytes(50), "a GIF picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "broken PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(500), "broken JPEG"),
    ],
)
async def test_what_is_no_image_is_refused_by_what_it_is(world: World, content: bytes, words: str) -> None:
    error = await refusal(world, "data:;base64," + base64.b64encode(content).decode())
    assert isinstance(error, UnusableInput)
    assert words in error.message
    assert error.field == "input_image.0"


async def test_an_image_is_no_video_and_a_video_no_image(world: World, tmp_path: Path) -> None:
    assert "a PNG picture" in (await refusal(world, image(), role=Role.VIDEO)).message
    assert "a video" in (await refusal(world, video(tmp_path / "a.mp4"))).message


@pytest.mark.parametrize("claimed", ["image/png", "image/*", "undefined", "video/mp4", "text/html", ""])
async def test_the_bytes_decide_whatever_a_data_url_claims(world: World, claimed: str) -> None:
    text = f"data:{claimed};base64," + base64.b64encode(image("JPEG")).decode()
    (media,) = await world.inputs.take(Tenant("acc"), [GivenMedia(Role.REFERENCE_IMAGE, "reference_image", text)])
    assert media.content_type == "image/jpeg"


async def test_an_empty_value_is_refused(world: World) -> None:
    assert isinstance(await refusal(world, ""), InvalidRequest)


async def test_of_several_inputs_the_bad_one_is_named(world: World) -> None:
    with pytest.raises(InvalidRequest, match=r"reference_image\.1"):
        await world.take(image(), "!!!")


async def test_an_image_over_its_limit_is_refused_before_the_rest_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IMAGE_BYTES", module.MIB)
    read_bytes = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal read_bytes
        yield b"\x89PNG\r\n\x1a\n"
        while True:
            read_bytes += 65536
            yield bytes(65536)

    with pytest.raises(UnusableInput, match="larger than the 1 MiB"):
        await world.inputs.upload(Tenant("acc"), endless(), None)
    assert read_bytes < 2 * module.MIB
    assert await world.left_nothing()


async def test_a_url_is_fetched_through_redirects(world: World) -> None:
    content = image()

    async def hops(request: web.Request) -> AsyncGenerator[bytes, None]:
        yield content

    async with remote(hops) as url, remote(hops, 302, {"Location": url}) as first:
        (key,) = await world.take(first)
    assert world.storage.path(key).read_bytes() == content


async def test_a_redirect_to_a_private_address_is_refused(world: World) -> None:
    async def nothing(_: web.Request) -> AsyncGenerator[bytes, None]:
        yield b""

    async with remote(nothing, 302, {"Location": "http://169.254.169.254/latest/meta-data/"}) as url:
        assert isinstance(await refusal(world, url), RefusedInput)


async def test_redirects_end(world: World) -> None:
    async def nothing(_: web.Request) -> AsyncGenerator[bytes, None]:
        yield b""

    async with remote(nothing, 302, {"Location": "/again"}) as url:
        assert "redirects more than 5 times" in (await refusal(world, url)).message


async def test_an_endless_file_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IMAGE_BYTES", module.MIB)

    async def endless(_: web.Request) -> AsyncGenerator[bytes, None]:
        yield b"\x89PNG\r\n\x1a\n"
        while True:
            yield bytes(65536)

    async with remote(endless) as url:
        assert "larger than" in (await refusal(world, url)).message


async def test_a_slow_file_ends(world: World) -> None:
    async def dripping(_: web.Request) -> AsyncGenerator[bytes, None]:
        for byte in b"\x89PNG\r\n\x1a\n" * 1000:
            yield bytes([byte])
            await asyncio.sleep(0.05)

    async with remote(dripping) as url:
        assert "within 1.0 s" in (await refusal(world, url)).message


async def test_a_wait_for_a_turn_does_not_count_as_the_hosts_time(world: World) -> None:
    async def prompt(_: web.Request) -> AsyncGenerator[bytes, None]:
        yield image()

    place = world.inputs._connections
    held = [place.take("acc") for _ in range(place.declaration.share)]
    async with remote(prompt) as url:
        taken = asyncio.create_task(world.take(url))
        # Longer than a host has.
        await asyncio.sleep(world.terms.fetch_s + 0.3)
        assert place.waiting == 1
        assert len(await world.take(url, account="other")) == 1
        held.pop().release()
        assert len(await taken) == 1
    for holding in held:
        holding.release()
    assert place.held == 0


async def test_a_file_that_is_cut_off_is_refused(world: World) -> None:
    async def short(request: web.Request) -> AsyncGenerator[bytes, None]:
        yield image()[:30]
        assert request.transport is not None
        request.transport.close()

    async with remote(short, headers={"Content-Length": "5000"}) as url:
        assert "before it was whole" in (await refusal(world, url)).message


async def test_a_compressed_answer_is_refused_unread(world: World) -> None:
    async def anything(_: web.Request) -> AsyncGenerator[bytes, None]:
        yield b"\x1f\x8b"

    async with remote(anything, headers={"Content-Encoding": "gzip"}) as url:
        assert "compressed" in (await refusal(world, url)).message


async def test_an_error_of_the_host_is_named(world: World) -> None:
    async def gone(_: web.Request) -> AsyncGenerator[bytes, None]:
        yield b"<html>"

    async with remote(gone, 404) as url:
        assert "'127.0.0.1' answered 404" in (await refusal(world, url)).message


async def test_a_name_is_refused_for_the_address_it_has_when_it_is_connected_to(world: World) -> None:
    class Rebound(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

        async def close(self) -> None:
            pass

    world.inputs._http = HttpClient(resolver=Rebound)
    try:
        error = await refusal(world, "http://images.example.com/a.png")
    finally:
        await world.inputs._http.close()
    assert isinstance(error, RefusedInput)
    assert "127.0.0.1" not in error.message


async def test_a_host_that_is_not_there_is_named(world: World) -> None:
    assert "cannot be reached" in (await refusal(world, "http://127.0.0.1:9999/x?secret")).message


async def test_an_account_has_room_for_its_quota_and_no_more(tmp_path: Path, box: Box) -> None:
    world = World(tmp_path, box, quota_bytes=100_000)
    try:
        await world.upload(noise((128, 128)))
        with pytest.raises(InputQuotaReached):
            await world.upload(noise((160, 160)))
        with pytest.raises(InputQuotaReached):
            await world.inputs.upload(Tenant("acc"), pieces(), 60_000)
        await world.upload(noise((128, 128)), account="other")
        assert len(world.files) == 2
        assert world.inputs._arriving_bytes == {}
    finally:
        await world.http.close()
        await world.database.close()


async def test_an_upload_that_is_cut_in_the_middle_leaves_nothing(world: World) -> None:
    async def cut() -> AsyncGenerator[bytes, None]:
        yield image()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await world.inputs.upload(Tenant("acc"), cut(), None)
    assert await world.left_nothing()


async def test_an_upload_that_is_cancelled_leaves_nothing(world: World) -> None:
    arrived = asyncio.Event()

    async def stalled() -> AsyncGenerator[bytes, None]:
        yield image()
        arrived.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(world.inputs.upload(Tenant("acc"), stalled(), None))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await world.left_nothing()


async def test_a_file_stays_while_a_job_needs_it_and_goes_afterwards(world: World) -> None:
    (key,) = await world.take(image())
    await world.job("job_1", "pending", key)
    await world.job("job_2", "in_progress", key)
    for statuses, stays in ((("pending", "in_progress"), 1), (("completed", "in_progress"), 1), (("failed",) * 2, 0)):
        for job_id, status in zip(("job_1", "job_2"), statuses, strict=True):
            await world.job(job_id, status)
        world.clock.ahead_ms += 4000 * 1000
        await world.cleaner.clean()
        assert len(world.files) == stays
    assert await world.left_nothing()
    assert await world.store.total_bytes("acc") == 0
    assert not await world.database.read("SELECT 1 FROM job_inputs")


async def test_a_file_that_no_job_needs_stays_for_its_grace(world: World) -> None:
    await world.take(image())
    upload = await world.upload(image("JPEG"))
    world.clock.ahead_ms += 3500 * 1000
    assert await world.cleaner.clean() == 0
    world.clock.ahead_ms += 200 * 1000
    assert await world.cleaner.clean() == 1
    assert await world.take(upload.id) == [upload.key]
    world.clock.ahead_ms += 24 * 3600 * 1000
    assert await world.cleaner.clean() == 1
    with pytest.raises(UnusableInput, match="expired"):
        await world.take(upload.id)


async def test_a_file_whose_writer_was_killed_is_removed(world: World) -> None:
    await world.store.announce("upload_x", Tenant("acc"), "inputs/acc/upload_x", keep_s=10)
    await world.storage.put("inputs/acc/upload_x", pieces(b"half"), max_bytes=10)
    world.clock.ahead_ms += 11_000
    assert await world.cleaner.clean() == 1
    assert await world.left_nothing()


async def test_a_cleaner_that_was_killed_half_way_is_followed_by_one_that_ends_it(world: World) -> None:
    await world.take(image())
    world.clock.ahead_ms += 4000 * 1000
    await world.store.retire_due(10, keep_s=1)
    assert len(world.files) == 1
    assert await world.cleaner.clean() == 0
    world.clock.ahead_ms += 61_000
    assert await world.cleaner.clean() == 1
    assert await world.left_nothing()
    assert await world.store.total_bytes("acc") == 0


async def test_many_files_are_cleaned_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rushes.media.input_cleaner.BATCH", 2)
    keys = [key for _ in range(5) for key in await world.take(noise((4, 4)))]
    for number, key in enumerate(keys):
        await world.job(f"job_{number}", "completed", key)
    world.clock.ahead_ms += 4000 * 1000
    assert await world.cleaner.clean() == 5
    assert await world.left_nothing()
