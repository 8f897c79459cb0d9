"""Pages of the service in a real Chromium, Debian's or another that is installed; Playwright's own cannot be fetched.

A test takes `page` (a new profile each time) and a service of `tests/e2e`. It fails if the page logs an error, raises
one, or asks another host than this machine for anything. RUSHES_CHROMIUM names a browser in another place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Route, async_playwright, expect

from tests.e2e.conftest import fake, google, held, key, live_key, service, start
from tests.fixtures.time_limits import GENEROUS_S

__all__ = ["fake", "google", "held", "key", "live_key", "service", "start"]

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
expect.set_options(timeout=GENEROUS_S * 1000)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in the event loop that the browser was started in."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def chromium() -> str | None:
    """The path of an installed browser, or None."""
    named = os.environ.get("RUSHES_CHROMIUM")
    return next(filter(None, map(shutil.which, NAMES if named is None else [named])), None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a process."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium, or name one in RUSHES_CHROMIUM")
    async with async_playwright() as playwright:
        # Root may not use Chromium's sandbox, and the pages are ours.
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A new profile: no cookies, nothing stored, no way to any other host."""
    strangers: list[str] = []

    async def only_loopback(route: Route) -> None:
        if urlsplit(route.request.url).hostname in LOOPBACK:
            await route.continue_()
        else:
            strangers.append(route.request.url)
            await route.abort()

    context = await browser.new_context()
    context.set_default_timeout(GENEROUS_S * 1000)
    await context.route("http*://**", only_loopback)
    yield context
    await context.close()
    assert strangers == [], "the page asked other hosts for something"


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page that has to stay free of errors."""
    errors: list[str] = []

    def log(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} ({message.location['url']})")

    page = await context.new_page()
    page.on("console", log)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == [], "the page had errors"
