"""Every page of the console: axe-core in both themes, no page wider than its window, no error of a script.

With RUSHES_SCREENSHOTS, pictures of each are written to the folder that it names.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from rushes.console.pages.index import all_pages
from rushes.console.routes import Routes
from tests.browser.axe import violations
from tests.browser.hands import Pointer
from tests.browser.sights import SIGHTS, Seeds, Sight, seed, settings_of_sights
from tests.browser.test_console import signed_in
from tests.fixtures.receiver import Receiver, receiving
from tests.fixtures.service import Service

WIDTHS = (360, 390, 1280, 2560)
PICTURED = (390, 1280, 2560)
SCREENSHOTS = "RUSHES_SCREENSHOTS"
UNSEEN = {"", "/", "/jobs/{job_id}/events", "/sign-in/oidc", "/sign-in/oidc/callback"}
"""What answers with no page of its own here: redirects and streams. `test_console_sign_in.py` has the provider."""
SEND = """
([path, fields]) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: path });
    const csrf = document.querySelector('meta[name="csrf"]').content;
    for (const [name, value] of Object.entries({ csrf, ...fields }))
        form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    document.body.append(form);
    form.submit();
}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for which there is something to see on every page."""
    running = Service(tmp_path_factory.mktemp("sights"), **settings_of_sights()).start()
    yield running
    running.finish()


class Visitors:
    """A browser's page for each session, kept for all tests of this file, and what their scripts complained of."""

    def __init__(self, browser: Browser, service: Service, seeds: Seeds) -> None:
        self._browser = browser
        self._service = service
        self._pages: dict[str | None, Page] = {}
        self.seeds = seeds
        self.errors: list[str] = []

    async def page(self, who: str | None) -> Page:
        """The page of this visitor, signed in."""
        if who not in self._pages:
            page = await (await self._browser.new_context(viewport={"width": 1280, "height": 900})).new_page()
            page.on("console", self._log)
            page.on("pageerror", lambda error: self.errors.append(str(error)))
            if who is not None:
                await signed_in(page, self._service, self.seeds.keys[who], Pointer())
            self._pages[who] = page
        return self._pages[who]

    async def show(self, sight: Sight) -> Page:
        """Open what is to be seen."""
        page = await self.page(sight.who)
        address = f"{self._service.url}/console/{sight.path.format(**self.seeds.ids)}"
        if sight.sends is None:
            await page.goto(address)
        else:
            await page.goto(f"{self._service.url}/console/{'keys' if sight.who else 'sign-in'}")
            fields = {name: value.format(**self.seeds.ids) for name, value in sight.sends.items()}
            async with page.expect_navigation():
                await page.evaluate(SEND, [address, fields])
        return page

    async def close(self) -> None:
        """End every session."""
        for page in self._pages.values():
            await page.context.close()

    def _log(self, message: ConsoleMessage) -> None:
        # The browser itself writes pages with a status of 400 and more to its log.
        if message.type == "error" and not message.text.startswith("Failed to load resource: the server responded"):
            self.errors.append(f"{message.text} ({message.location['url']})")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Takes the messages of the service's webhook."""
    with receiving() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visitors(browser: Browser, service: Service, admin: str, receiver: Receiver) -> AsyncIterator[Visitors]:
    """Visitors of a service that has something to show."""
    made = Visitors(browser, service, await seed(service, admin, receiver))
    yield made
    await made.close()


@pytest.mark.parametrize("name", SIGHTS)
async def test_a_page_suits_everyone_at_every_width(visitors: Visitors, name: str) -> None:
    page = await visitors.show(SIGHTS[name])
    await expect(page.locator("h1")).to_have_count(1)
    folder = os.environ.get(SCREENSHOTS)
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900 if width < 2000 else 1440})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        if folder is not None and width in PICTURED:
            for theme in ("light", "dark"):
                await page.emulate_media(color_scheme="light" if theme == "light" else "dark")
                await page.wait_for_timeout(300)
                await page.screenshot(path=Path(folder) / f"{name}-{width}-{theme}.png", full_page=True)
    await page.set_viewport_size({"width": 1280, "height": 900})
    assert visitors.errors == []
    assert await violations(page) == []


def test_no_page_is_left_out() -> None:
    routes = Routes(all_pages())
    seen = set()
    for sight in SIGHTS.values():
        path = "/" + sight.path.partition("?")[0].format_map(dict.fromkeys(
            ("done", "failed", "pending", "unsettled", "webhook", "delivery", "account", "key"), "x"))  # fmt: skip
        found = routes.find("GET" if sight.sends is None else "POST", path)
        if found is not None:
            seen.add((found[0].method, found[0].path))
    wanted = {("GET", page.path) for page in all_pages() if page.method == "GET" and page.path not in UNSEEN}
    assert wanted - seen == set()
