from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from rushes.client import AlreadyThere, AsyncClient, NotAllowed, NotFound, NotWhole, Video, save_video
from rushes.client import download as download_module
from tests.integration.client.conftest import Scripted, says

BYTES = bytes(range(256)) * 5000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "backoff_s", lambda attempt, error: 0.001)


def video(url: str | None, content: bytes = BYTES, *, size_bytes: int | None = None) -> Video:
    digest = hashlib.sha256(content).hexdigest()
    return Video(url, len(content) if size_bytes is None else size_bytes, digest, "video/mp4", 1, 1, 1)


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def whole(request: web.Request) -> web.StreamResponse:
    return web.Response(body=BYTES)


def first(length: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Announces all, sends `length` bytes and cuts the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(BYTES))})
        await response.prepare(request)
        await response.write(BYTES[:length])
        assert request.transport is not None
        request.transport.close()
        return response

    return answer


async def the_rest(request: web.Request) -> web.StreamResponse:
    start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    return web.Response(status=206, body=BYTES[start:])


async def test_a_video_is_there_whole_and_nothing_else(server: Scripted, tmp_path: Path) -> None:
    server.script = [whole]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        await save_video(client.http, video(f"{server.url}/v.mp4"), tmp_path / "a.mp4")
    assert names_in(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == BYTES


async def test_the_key_is_not_sent_to_the_link(server: Scripted, tmp_path: Path) -> None:
    server.script = [whole]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        await save_video(client.http, video(f"{server.url}/v.mp4"), tmp_path / "a.mp4")
    assert "Authorization" not in server.requests[0].headers


async def test_after_a_cut_only_the_rest_is_fetched(server: Scripted, tmp_path: Path) -> None:
    server.script = [first(400_000), the_rest]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        await save_video(client.http, video(f"{server.url}/v.mp4"), tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == BYTES
    assert server.requests[1].headers["Range"].startswith("bytes=")


async def test_a_host_without_ranges_begins_again(server: Scripted, tmp_path: Path) -> None:
    server.script = [first(400_000), whole]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        await save_video(client.http, video(f"{server.url}/v.mp4"), tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == BYTES


@pytest.mark.parametrize(
    "announced",
    [lambda url: video(url, BYTES[::-1]), lambda url: video(url, size_bytes=len(BYTES) - 1)],
    ids=["other bytes", "too many"],
)
async def test_bytes_that_were_not_announced_are_not_kept(
    server: Scripted, tmp_path: Path, announced: Callable[[str], Video]
) -> None:
    server.script = [whole]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(NotWhole):
            await save_video(client.http, announced(f"{server.url}/v.mp4"), tmp_path / "a.mp4")
    assert names_in(tmp_path) == []


async def test_a_file_that_exists_is_kept(server: Scripted, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.write_text("mine")
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(AlreadyThere):
            await save_video(client.http, video(f"{server.url}/v.mp4"), target)
    assert target.read_text() == "mine"


async def test_a_file_that_appears_meanwhile_is_kept(server: Scripted, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"

    async def someone_is_quicker(request: web.Request) -> web.StreamResponse:
        target.write_text("mine")
        return await whole(request)

    server.script = [someone_is_quicker]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(AlreadyThere):
            await save_video(client.http, video(f"{server.url}/v.mp4"), target)
    assert target.read_text() == "mine"
    assert names_in(tmp_path) == ["a.mp4"]


async def test_a_file_is_replaced_if_asked_for(server: Scripted, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.write_text("old")
    server.script = [whole]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        await save_video(client.http, video(f"{server.url}/v.mp4"), target, replace=True)
    assert target.read_bytes() == BYTES


async def test_an_expired_link_and_a_lost_video_are_told_apart(server: Scripted, tmp_path: Path) -> None:
    server.script = [says({}, 403)]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(NotAllowed):
            await save_video(client.http, video(f"{server.url}/v.mp4"), tmp_path / "a.mp4")
        with pytest.raises(NotFound, match="no longer has"):
            await save_video(client.http, video(None), tmp_path / "a.mp4")
    assert names_in(tmp_path) == []
