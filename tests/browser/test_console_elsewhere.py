"""The console where an operator puts it: under a path of another server, with its videos in a bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, expect

from tests.browser.test_console import JOB
from tests.e2e.conftest import Start
from tests.fixtures.s3 import S3Server, s3, s3_settings
from tests.fixtures.service import Key, Service
from tests.fixtures.upstreams.server import listen

__all__ = ["s3"]

PREFIX = "/video"
HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


class Proxy:
    """Passes on what is asked below PREFIX, without it, and hands on each piece of an answer as it comes."""

    def __init__(self) -> None:
        self.target = ""
        self.strangers: list[str] = []
        """Paths that were asked for outside of PREFIX."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not request.path.startswith(f"{PREFIX}/"):
            self.strangers.append(request.path)
            return web.Response(status=404)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = self.target + request.raw_path.removeprefix(PREFIX)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, url, headers=headers, data=await request.read(), allow_redirects=False
            ) as asked,
        ):
            kept = [(name, value) for name, value in asked.headers.items() if name.lower() not in HOP_BY_HOP]
            answer = web.StreamResponse(status=asked.status)
            for name, value in kept:
                answer.headers.add(name, value)
            await answer.prepare(request)
            async for chunk in asked.content.iter_any():
                await answer.write(chunk)
            return answer


@pytest_asyncio.fixture(loop_scope="session")
async def proxy() -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy, and the URL that it serves the console under."""
    made = Proxy()
    runner, url = await listen(made.handle)
    yield made, url + PREFIX
    await runner.cleanup()


async def test_a_video_is_made_and_played_behind_a_path_and_from_a_bucket(
    page: Page, start: Start, s3: S3Server, proxy: tuple[Proxy, str]
) -> None:
    made, url = proxy
    bucket = s3.new_bucket()
    service: Service = start(**s3_settings(s3, bucket, RUSHES_STORAGE_LINKS="presigned", RUSHES_PUBLIC_URL=url))
    made.target = service.url
    key: Key = service.key()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{url}/console/usage")
    await page.get_by_label("API key").fill(key.text)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    (cookie,) = [one for one in await page.context.cookies() if one["name"] == "rushes_console"]
    assert cookie["path"] == f"{PREFIX}/console"
    await page.get_by_role("link", name="Jobs", exact=True).last.click()
    await page.get_by_role("button", name="Make a first video").click()
    await page.wait_for_url(JOB)
    video = page.locator("video")
    # By the stream of events: the page is not loaded again.
    await expect(video).to_be_visible()
    assert await video.evaluate("one => { one.muted = true; return one.play().then(() => one.duration) }") > 0
    await video.evaluate("one => new Promise(done => { one.onseeked = done; one.currentTime = 1 })")
    await page.get_by_role("link", name="Jobs", exact=True).last.click()
    poster = page.locator(".shot img")
    await expect(poster).to_have_count(1)
    await expect(poster).to_have_js_property("complete", True)
    assert await poster.evaluate("one => one.naturalWidth") > 0
    origins = {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, asked)}
    assert s3.url in origins, "the bytes of the video come from the bucket itself"
    await page.get_by_role("button", name="Sign out").last.click()
    await expect(page.get_by_text("You have signed out.")).to_be_visible()
    assert [path for path in made.strangers if path != "/favicon.ico"] == []
