"""Sign-in through an identity provider on another site, in a real browser with its rules for cookies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.fixtures.service import Service
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.issuer import CLIENT, SECRET, Issuer


@pytest.fixture(scope="module")
def with_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service at 127.0.0.1 whose people sign in at localhost, which to a browser is another site."""
    with beside(Issuer()) as issuer:
        issuer.base_url = issuer.base_url.replace("127.0.0.1", "localhost")
        running = Service(
            tmp_path_factory.mktemp("provider"),
            RUSHES_OIDC__ISSUER=issuer.base_url,
            RUSHES_OIDC__CLIENT_ID=CLIENT,
            RUSHES_OIDC__CLIENT_SECRET=SECRET,
        ).start()
        assert running.run("accounts", "create", "studio").returncode == 0
        yield running
        running.finish()


async def test_a_person_signs_in_and_arrives_where_they_wanted(page: Page, with_provider: Service) -> None:
    await page.goto(f"{with_provider.url}/console/usage")
    await page.get_by_role("link", name="Sign in with localhost").click()
    await expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    session = {cookie["name"]: cookie for cookie in await page.context.cookies()}["rushes_console"]
    assert (session["sameSite"], session["httpOnly"]) == ("Strict", True)
    await page.get_by_role("button", name="Sign out").last.click()
    await expect(page.get_by_text("You have signed out.")).to_be_visible()


async def test_what_was_typed_outlives_the_way_to_the_provider(context: BrowserContext, with_provider: Service) -> None:
    # Not by the fixture `page`: the browser writes the refused form to its log as an error.
    page = await context.new_page()
    await page.goto(f"{with_provider.url}/console/playground")
    await page.get_by_role("link", name="Sign in with localhost").click()
    await page.get_by_label("Prompt", exact=True).fill("typed before the session ended")
    await page.context.clear_cookies()
    async with page.expect_navigation():
        await page.get_by_role("button", name="Generate").click()
    await expect(page.get_by_text("what you typed is kept")).to_be_visible()
    await page.get_by_role("link", name="Sign in with localhost").click()
    await expect(page.get_by_label("Prompt", exact=True)).to_have_value("typed before the session ended")
