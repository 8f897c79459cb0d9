"""Media in over real sockets: it reaches the picture, it leaves with its job, and whatever is wrong is said."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from aiohttp import web
from PIL import Image

from tests.e2e.conftest import Start
from tests.fixtures.media import image, noise, pixel_bomb, video
from tests.fixtures.service import Client, Service
from tests.fixtures.time_limits import GENEROUS_S
from tests.unit.net.test_guard import DISGUISES

UPLOADS = "/api/v1/uploads"
GENERATIONS = "/api/v1/videos/generations"
MIB = 1024**2


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that may fetch inputs from this machine."""
    running = Service(tmp_path_factory.mktemp("open"), RUSHES_NET_ALLOW__INPUTS="127.0.0.0/8,::1/128").start()
    yield running
    running.finish()


@pytest.fixture
async def host() -> AsyncIterator[str]:
    """A host of files: /image.png, /endless, /private (a redirect), /loop, /page."""

    async def answer(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/image.png":
                return web.Response(body=image(color="red"), content_type="text/plain")
            case "/page":
                return web.Response(text="<!doctype html><p>Sign in", content_type="image/png")
            case "/private":
                raise web.HTTPFound("http://169.254.169.254/latest/meta-data/")
            case "/loop":
                raise web.HTTPFound("/loop")
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(b"\x89PNG\r\n\x1a\n")
            while True:
                await response.write(bytes(256 * 1024))
        except ConnectionError:
            return response

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await web.SockSite(runner, listener).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        await runner.cleanup()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def input_files(service: Service) -> list[Path]:
    storage = service.data_dir / "storage"
    return [path for folder in ("inputs", ".incoming") for path in (storage / folder).rglob("*") if path.is_file()]


async def frame(client: Client, job: dict[str, Any], fraction: float) -> Image.Image:
    """One frame of a job's video, `fraction` of the way through it."""
    content = (await client.get(job["result"]["url"], plain=True)).body
    with av.open(io.BytesIO(content), "r") as container:
        frames = list(container.decode(video=0))
    picture: Image.Image = frames[min(int(len(frames) * fraction), len(frames) - 1)].to_image()  # type: ignore[no-untyped-call]  # av's stub
    return picture


def shows(picture: Image.Image, color: tuple[int, int, int]) -> bool:
    """Whether a tenth of the picture is nearly of this color."""
    rgb = picture.convert("RGB").resize((160, 90))
    near = sum(
        all(abs(value - wanted) < 60 for value, wanted in zip(rgb.getpixel((x, y)), color, strict=True))  # type: ignore[arg-type]  # RGB has three
        for x in range(160)
        for y in range(90)
    )
    return near > 1440


RED, BLUE = (255, 0, 0), (0, 0, 255)


async def test_the_inputs_are_seen_in_the_video(client: Client) -> None:
    opening, closing = image(color="red", size=(640, 360)), image("JPEG", color="blue", size=(640, 360))
    started = await client.create(
        duration=2,
        input_image=text(opening),
        last_frame="data:image/jpeg;base64," + text(closing),
        reference_image=text(image("WEBP")),
        reference_images=[text(image(color="lime"))],
    )
    job = await client.reached(started["job_id"])
    assert job["status"] == "completed"
    assert [media["role"] for media in job["request"]["media"]] == [
        "input_image", "last_frame", "reference_image", "reference_image"
    ]  # fmt: skip
    assert all(media.keys() == {"role", "content_type", "size_bytes", "sha256"} for media in job["request"]["media"])
    assert shows(await frame(client, job, 0), RED)
    assert shows(await frame(client, job, 1), BLUE)


async def test_an_uploaded_video_is_extended(client: Client) -> None:
    first = await client.reached((await client.create(input_image=text(image(color="red", size=(640, 360)))))["job_id"])
    content = (await client.get(first["result"]["url"], plain=True)).body
    upload = (await client.post(UPLOADS, data=content, headers={"Content-Type": "video/mp4"})).ok()
    assert upload["reference"] == upload["upload_id"]
    assert (upload["content_type"], upload["size_bytes"], upload["duration"]) == ("video/mp4", len(content), 1.0)
    job = await client.reached((await client.create(video=upload["reference"], duration=1))["job_id"])
    assert job["result"]["duration"] == 2.0


async def test_an_upload_may_be_a_form(client: Client) -> None:
    content = noise((40, 40))
    form = aiohttp.FormData()
    form.add_field("purpose", "input")
    form.add_field("file", content, filename="a.png", content_type="image/png")
    as_form = (await client.post(UPLOADS, data=form)).ok()
    as_body = (await client.post(UPLOADS, data=content, headers={"Content-Type": "application/octet-stream"})).ok()
    assert as_form["upload_id"] == as_body["upload_id"]
    assert (as_form["width"], as_form["height"], as_form["duration"]) == (40, 40, None)


async def test_a_media_url_is_fetched(open_service: Service, host: str) -> None:
    async with Client(open_service, open_service.key().text) as client:
        job = await client.reached((await client.create(input_image=f"{host}/image.png?token=secret"))["job_id"])
        assert job["request"]["media"][0]["content_type"] == "image/png"
        assert "secret" not in str(job)
        assert "secret" not in open_service.log_text()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/endless", "larger than the 20 MiB"),
        ("/page", "an HTML page"),
        ("/private", "does not lead to a public"),
        ("/loop", "redirects more than 5 times"),
    ],
)
async def test_a_remote_file_that_is_not_one_is_refused(
    open_service: Service, host: str, path: str, words: str
) -> None:
    async with Client(open_service, open_service.key().text) as client:
        problem = (await client.generate(prompt="x", model="animatic/storyboard", input_image=host + path)).problem(400)
    assert words in problem["detail"]
    assert problem["errors"][0]["field"] == "input_image"


@pytest.mark.parametrize("start", range(0, len(DISGUISES), 10))
async def test_no_disguise_of_a_private_address_is_fetched(client: Client, start: int) -> None:
    for url in DISGUISES[start : start + 10]:
        answer = await client.generate(prompt="x", model="animatic/storyboard", input_image=url)
        problem = answer.problem(400, 422)
        assert problem["errors"][0]["field"] == "input_image", url
        assert problem["code"] == "refused_address" or ":" not in url[:64] or url.startswith("data:"), url


def test_there_are_enough_disguises() -> None:
    assert len(DISGUISES) >= 50


async def test_counts_are_checked_before_anything_is_fetched(open_service: Service, host: str) -> None:
    async with Client(open_service, open_service.key().text) as client:
        # Whoever fetched one would say that it is too large.
        answer = await client.generate(
            prompt="x", model="animatic/storyboard", reference_images=[f"{host}/endless"] * 11
        )
        assert "takes at most 10" in answer.problem(400)["detail"]


@pytest.mark.parametrize(
    ("field", "value", "status", "words"),
    [
        ("input_image", "not base64!", 422, "base64"),
        ("input_image", "", 422, "empty"),
        ("input_image", "data:image/png;base64", 422, "data URL"),
        ("input_image", 7, 422, "string"),
        ("input_image", text(b"<html><body>404"), 400, "HTML page"),
        ("input_image", text(b"%PDF-1.7"), 400, "a PDF"),
        ("input_image", text(pixel_bomb()), 400, "30000 x 30000"),
        ("input_image", text(image()[:-30]), 400, "broken"),
        ("last_frame", text(image("GIF")), 400, "GIF"),
        ("video", text(image()), 400, "PNG"),
        ("reference_images", [text(image()), "?"], 422, "reference_images.1"),
        ("input_image", "file:///etc/passwd", 400, "URL"),
        ("input_image", "upload_" + "0" * 24, 400, "no upload"),
    ],
)  # fmt: skip
async def test_bad_media_is_refused_by_name(client: Client, field: str, value: Any, status: int, words: str) -> None:
    answer = await client.generate(prompt="x", model="animatic/storyboard", **{field: value})
    problem = answer.problem(status)
    assert words in problem["detail"]
    assert problem["errors"][0]["field"].startswith(field)


async def test_a_video_of_the_wrong_codec_is_refused_by_its_name(client: Client, tmp_path: Path) -> None:
    content = video(tmp_path / "a.mov", "mjpeg", pix_fmt="yuvj420p")
    answer = await client.generate(prompt="x", model="animatic/storyboard", video=text(content))
    assert "'mjpeg'" in answer.problem(400)["detail"]


async def test_a_foreign_upload_is_unknown(service: Service, client: Client) -> None:
    upload = (await client.post(UPLOADS, data=image(), headers={"Content-Type": "image/png"})).ok()
    async with Client(service, service.key(account="stranger").text) as stranger:
        theirs = await stranger.generate(prompt="x", model="animatic/storyboard", input_image=upload["reference"])
        never = await stranger.generate(prompt="x", model="animatic/storyboard", input_image="upload_" + "0" * 24)
    assert theirs.problem(400)["detail"].replace(upload["reference"], "") == never.problem(400)["detail"].replace(
        "upload_" + "0" * 24, ""
    )


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "application/x-www-form-urlencoded"])
async def test_an_upload_of_another_type_is_refused(client: Client, content_type: str) -> None:
    (await client.post(UPLOADS, data=image(), headers={"Content-Type": content_type})).problem(415)


@pytest.mark.parametrize(
    "content_type", ["", "undefined", "null", "*/*", "image/*", "image/jpeg", "video/mp4", "binary/octet-stream"]
)
async def test_the_bytes_of_an_upload_decide_what_it_is(client: Client, content_type: str) -> None:
    stored = (await client.post(UPLOADS, data=image(), headers={"Content-Type": content_type})).ok()
    assert stored["content_type"] == "image/png"


async def test_an_upload_that_is_no_media_is_refused(client: Client) -> None:
    answer = await client.post(UPLOADS, data=b"%PDF-1.7", headers={"Content-Type": "image/png"})
    assert answer.problem(400)["errors"][0]["field"] == "file"


async def test_uploads_need_a_key(client: Client) -> None:
    (await client.post(UPLOADS, data=image(), headers={"Content-Type": "image/png"}, plain=True)).problem(401)


@pytest.mark.parametrize(("path", "content_type"), [(UPLOADS, "video/mp4"), (GENERATIONS, "application/json")])
async def test_two_gigabytes_are_refused_unread(service: Service, path: str, content_type: str, key: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {2 * 1024**3}\r\n\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.read(), GENEROUS_S)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer
    writer.close()


@pytest.mark.parametrize(
    ("path", "content_type", "most_bytes"),
    [(UPLOADS, "video/mp4", 512 * MIB), (GENERATIONS, "application/json", 64 * MIB)],
)
async def test_an_endless_body_is_refused_at_its_limit(
    service: Service, path: str, content_type: str, most_bytes: int, key: Any
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\nContent-Type: {content_type}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n".encode()
    )
    chunk = b"100000\r\n" + b"\0\0\0\x18ftypisom".ljust(MIB, b"\0") + b"\r\n"
    sent_bytes = 0
    answer = asyncio.ensure_future(reader.read(100))
    try:
        while not answer.done() and sent_bytes < 2 * most_bytes:
            writer.write(chunk)
            await writer.drain()
            sent_bytes += MIB
    except ConnectionError:
        pass
    assert (await answer).startswith(b"HTTP/1.1 413")
    assert sent_bytes < most_bytes + 32 * MIB
    writer.close()


async def test_an_upload_that_is_no_media_is_refused_by_its_beginning(service: Service, key: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"POST {UPLOADS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\nContent-Type: video/mp4\r\n"
        f"Content-Length: {500 * MIB}\r\n\r\n".encode()
        + b"%PDF-1.7".ljust(2048)
    )
    answer = await asyncio.wait_for(reader.read(), GENEROUS_S)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"a PDF" in answer
    writer.close()


async def test_an_upload_that_is_cut_leaves_nothing(start: Start) -> None:
    service = start()
    key = service.key()
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"POST {UPLOADS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\nContent-Type: video/mp4\r\n"
        "Content-Length: 9000000\r\n\r\n".encode()
        + b"\0\0\0\x18ftypisom".ljust(3 * MIB, b"\0")
    )
    await writer.drain()
    give_up = time.monotonic() + GENEROUS_S
    while not input_files(service):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)
    writer.transport.abort()
    while input_files(service) or service.rows("SELECT 1 FROM inputs"):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


async def test_a_file_leaves_after_its_job_and_not_before(start: Start) -> None:
    service = start(RUSHES_INPUT_GRACE_S=0.3, RUSHES_TEST_HOLD_S=3600)
    content = text(image())
    async with Client(service, service.key().text) as client:
        started = [await client.create(input_image=content) for _ in range(3)]
        assert len(input_files(service)) == 1
        await asyncio.sleep(1)
        assert len(input_files(service)) == 1
        for one in started:
            (await client.cancel(one["job_id"])).ok()
        give_up = time.monotonic() + GENEROUS_S
        while input_files(service) or service.rows("SELECT 1 FROM inputs UNION ALL SELECT 1 FROM job_inputs"):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)


async def test_a_killed_service_keeps_the_inputs_of_its_jobs(start: Start) -> None:
    service = start(RUSHES_INPUT_GRACE_S=0.3, RUSHES_TEST_HOLD_S=2)
    async with Client(service, service.key().text) as client:
        started = await client.create(input_image=text(image(color="red", size=(640, 360))))
        service.kill()
        service.start()
        job = await client.reached(started["job_id"])
        assert shows(await frame(client, job, 0), RED)


async def test_an_accounts_quota_is_its_own(start: Start) -> None:
    service = start(RUSHES_INPUT_QUOTA_BYTES=100_000)
    async with Client(service, service.key().text) as client, Client(service, service.key(account="b").text) as other:
        (await client.post(UPLOADS, data=noise((150, 150)), headers={"Content-Type": "image/png"})).ok()
        second = noise((150, 150))
        answer = await client.post(UPLOADS, data=second, headers={"Content-Type": "image/png"})
        assert answer.problem(413)["code"] == "input_quota"
        (await other.post(UPLOADS, data=second, headers={"Content-Type": "image/png"})).ok()


async def test_a_sixty_megabyte_body_holds_nobody_up(client: Client, tmp_path: Path) -> None:
    content = video(tmp_path / "a.mp4")
    content += (40 * MIB).to_bytes(4, "big") + b"free" + bytes(40 * MIB - 8)
    body = json.dumps({"prompt": "x", "model": "animatic/storyboard", "duration": 1, "video": text(content)}).encode()
    waits: list[float] = []

    async def knock() -> None:
        while True:
            began = time.perf_counter()
            (await client.get("/healthz")).ok()
            waits.append(time.perf_counter() - began)

    knocking = asyncio.create_task(knock())
    began = time.perf_counter()
    headers = {"Content-Type": "application/json"}
    (await client.post("/api/v1/videos/generations", data=io.BytesIO(body), headers=headers)).ok()
    took_s = time.perf_counter() - began
    knocking.cancel()
    # A service that stopped for it would do so for most of the time.
    assert max(waits) < took_s / 3, (len(waits), took_s)
