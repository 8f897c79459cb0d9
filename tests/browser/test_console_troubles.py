"""What goes wrong while a page of the console is open, in a real Chromium.

Pages are made here and not by the fixture `page`: a browser writes refused requests and broken connections to its log.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.hands import Pointer
from tests.browser.test_console import JOB, signed_in
from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI, google_settings
from tests.fixtures.service import Client, Key, Service
from tests.fixtures.upstreams.gemini import Gemini

PLAYGROUND = "/playground?model=animatic/storyboard"


@pytest_asyncio.fixture(loop_scope="session")
async def tab(context: BrowserContext) -> Page:
    """A page whose log is not looked at."""
    return await context.new_page()


async def test_a_file_of_40_mb_shows_its_progress_and_its_refusal(tab: Page, service: Service, key: Key) -> None:
    await signed_in(tab, service, key.text, Pointer(), PLAYGROUND)
    await tab.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const bar = document.querySelector('[data-drop="input_image"] progress');
                if (bar) window.seen.push(bar.value);
            }).observe(document.body, { subtree: true, childList: true, attributes: true });
            const bytes = new Uint8Array(40 * 1024 * 1024);
            bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "huge.png", { type: "image/png" }));
            const drop = document.querySelector('[data-drop="input_image"] .drop');
            drop.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }"""
    )
    trouble = tab.locator('[data-drop="input_image"] .field-error')
    await expect(trouble).to_contain_text("huge.png: The file is larger than the 20 MiB that an image may have here")
    assert await tab.evaluate("window.seen.length") > 0
    await tab.get_by_label("Prompt", exact=True).fill("the form still works")
    await tab.get_by_role("button", name="Generate").click()
    await tab.wait_for_url(JOB)


async def test_a_session_that_expires_in_the_middle_of_a_form_keeps_what_was_typed(
    tab: Page, service: Service, key: Key
) -> None:
    await signed_in(tab, service, key.text, Pointer(), "/webhooks")
    await tab.get_by_label("URL", exact=True).fill("https://example.com/typed-with-care")
    await tab.get_by_label("What it is for").fill("the archive")
    service.change("UPDATE console_sessions SET expires_at = 0")
    await tab.get_by_role("button", name="Add").click()
    await expect(tab.get_by_text("what you typed is kept")).to_be_visible()
    await tab.get_by_label("API key").fill(key.text)
    await tab.get_by_role("button", name="Sign in").click()
    await expect(tab.get_by_role("heading", name="Your form is still here")).to_be_visible()
    await expect(tab.get_by_text("the archive")).to_be_visible()
    assert service.rows("SELECT count(*) FROM webhook_endpoints") == [(0,)]
    await tab.get_by_role("button", name="Send it now").click()
    await expect(tab.get_by_text("whsec_")).to_be_visible()


async def test_a_session_that_ends_in_another_tab_loses_nothing(tab: Page, service: Service, key: Key) -> None:
    await signed_in(tab, service, key.text, Pointer(), PLAYGROUND)
    await tab.get_by_label("Prompt", exact=True).fill("typed in the first tab")
    await expect(tab.locator("#text-curl")).to_contain_text("typed in the first tab")
    second = await tab.context.new_page()
    await second.goto(f"{service.url}/console/jobs")
    await second.get_by_role("button", name="Sign out").last.click()
    await expect(second.get_by_text("You have signed out.")).to_be_visible()
    async with tab.expect_navigation():
        await tab.get_by_role("button", name="Generate").click()
    await expect(tab.get_by_text("what you typed is kept")).to_be_visible()
    await tab.get_by_label("API key").fill(key.text)
    await tab.get_by_role("button", name="Sign in").click()
    await expect(tab.get_by_label("Prompt", exact=True)).to_have_value("typed in the first tab")
    # A new session in the second tab: the form of the first tab belongs to the one before.
    await second.goto(f"{service.url}/console/jobs")
    await second.get_by_role("button", name="Sign out").last.click()
    await signed_in(second, service, key.text, Pointer())
    await tab.get_by_role("button", name="Generate").click()
    await expect(tab.get_by_text("You are signed in again. Nothing was made yet.")).to_be_visible()
    await expect(tab.get_by_label("Prompt", exact=True)).to_have_value("typed in the first tab")
    await tab.get_by_role("button", name="Generate").click()
    await tab.wait_for_url(JOB)


async def test_what_one_tab_does_shows_in_the_other(tab: Page, held: Service) -> None:
    key = held.key()
    async with Client(held, key.text) as client:
        job_id = (await client.create())["job_id"]
    await signed_in(tab, held, key.text, Pointer(), f"/jobs/{job_id}")
    second = await tab.context.new_page()
    await second.goto(f"{held.url}/console/jobs/{job_id}")
    await second.get_by_role("button", name="Cancel").click()
    await expect(tab.get_by_text("Cancelled before anything was charged.")).to_be_visible()
    await second.get_by_role("button", name="Delete").click()
    await second.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(second.get_by_text("Deleted, with the videos.")).to_be_visible()
    await tab.get_by_role("link", name="Run again").click()
    await expect(tab.get_by_role("heading", name="Nothing here")).to_be_visible()


async def test_a_model_that_retires_while_the_page_is_open_is_said(
    tab: Page, start: Start, tmp_path: Path, fake: Gemini
) -> None:
    own = tmp_path / "catalogue"
    own.mkdir()
    service = start(**google_settings(fake), RUSHES_CATALOGUE_DIR=own, RUSHES_ON_RETIRED="refuse")
    await signed_in(tab, service, service.key(test=False).text, Pointer(), f"/playground?model=google/{OMNI}")
    await tab.get_by_label("Prompt", exact=True).fill("kept")
    service.stop()
    (own / "google.toml").write_text(
        'provider = "google"\nsource = "a test"\nchecked = 2026-01-01\n'
        f'[[models]]\nid = "{OMNI}"\nretired = {datetime.now(UTC).date()}\n'
    )
    service.start()
    await tab.get_by_role("button", name="Generate").click()
    await expect(tab.get_by_role("alert")).to_contain_text("was retired on")
    await expect(tab.get_by_label("Prompt", exact=True)).to_have_value("kept")
    await expect(tab.get_by_label("Model", exact=True).locator("option:checked")).to_contain_text("(retired)")
    assert fake.requests == []


async def test_a_stream_that_breaks_comes_back(tab: Page, held: Service) -> None:
    key = held.key()
    async with Client(held, key.text) as client:
        job_id = (await client.create())["job_id"]
        await signed_in(tab, held, key.text, Pointer(), f"/jobs/{job_id}")
        await expect(tab.get_by_role("button", name="Cancel")).to_be_visible()
        held.kill()
        await expect(tab.get_by_text("The connection was lost; trying again.")).to_be_visible()
        held.start()
        (await client.cancel(job_id)).ok()
        await expect(tab.get_by_text("Cancelled before anything was charged.")).to_be_visible()
