"""Pages of the service in a real Chromium, Debian's or another that is installed; Playwright's own cannot be fetched.

A test takes `page` (a new profile each time) and a service of `tests/e2e`. It fails if the page logs an error, raises
one, or asks another host than this machine for anything. RUSHES_CHROMIUM names a browser in another place.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from tests.e2e.conftest import fake, google, held, key, live_key, start
from tests.fixtures.receiver import ALLOWED
from tests.fixtures.service import Service
from tests.fixtures.time_limits import GENEROUS_S

__all__ = ["fake", "google", "held", "key", "live_key", "start"]

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
expect.set_options(timeout=GENEROUS_S * 1000)
FLAGS = [
    # Root may not use Chromium's sandbox, and the pages are ours.
    "--no-sandbox",
    # No name but this machine's leads anywhere. Playwright's own watch over requests would do without the cache.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in the event loop that the browser was started in."""
    for item in items:
        is_here = Path(__file__).parent in item.path.parents
        if is_here and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that starts the jobs of live keys at once, and calls receivers on this machine."""
    running = Service(tmp_path_factory.mktemp("service"), **ALLOWED).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def admin(service: Service) -> str:
    """A live key of that service that may do everything."""
    scopes = ("read", "generate", "manage", "admin")
    made = service.run("keys", "create", *(part for scope in scopes for part in ("--scope", scope)))
    assert made.returncode == 0, made.stderr
    return made.stdout.splitlines()[-1]


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
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A new profile: no cookies, nothing stored, no way to any other host."""
    strangers: list[str] = []

    def note_strangers(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https") and address.hostname not in LOOPBACK:
            strangers.append(request.url)

    # Without motion, a page that waits takes no processor time.
    context = await browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(GENEROUS_S * 1000)
    context.on("request", note_strangers)
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
