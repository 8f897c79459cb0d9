"""The console's pages by axe-core, in both themes; screenshots at three widths are kept where they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.hands import Pointer
from tests.browser.test_console import signed_in
from tests.fixtures.service import Client, Service

AXE = Path(__file__).parent.parent / "node" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = {"serious", "critical"}
PAGES = ("jobs", "jobs?view=rows", "jobs?q=nothing", "playground?model=animatic/storyboard", "models",
         "models/google/veo-3.1-generate-001", "usage", "keys", "webhooks", "operations", "accounts",
         "audit")  # fmt: skip
WIDTHS = (390, 1280, 2560)
SCREENSHOTS = "RUSHES_SCREENSHOTS"
"""Names a folder that pictures of every page are written to."""


@pytest.fixture(scope="module")
def admin(service: Service) -> str:
    """A live key that may do everything."""
    made = service.run("keys", "create", "--scope", "read", "--scope", "generate", "--scope", "admin")
    return made.stdout.splitlines()[-1]


async def violations(page: Page) -> list[str]:
    """What axe finds that is serious, each with the element."""
    await page.evaluate(f"() => {{ {AXE.read_text('utf-8')} }}")
    found: dict[str, Any] = await page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_no_serious_violation(page: Page, service: Service, admin: str, theme: Any) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make node")
    await page.emulate_media(color_scheme=theme)
    await page.goto(f"{service.url}/console")
    assert await violations(page) == []
    await signed_in(page, service, admin, Pointer())
    async with Client(service, admin) as client:
        jobs = [(await client.create(model=model))["job_id"] for model in ("animatic/storyboard", "animatic/fail")]
        for job_id in jobs:
            await client.reached(job_id)
    for path in (*PAGES, *(f"jobs/{job_id}" for job_id in jobs), f"compare?job={jobs[0]}&job={jobs[1]}"):
        await page.goto(f"{service.url}/console/{path}")
        await expect(page.locator("h1")).to_have_count(1)
        assert await violations(page) == [], path


@pytest.mark.parametrize("width", WIDTHS)
async def test_no_page_is_wider_than_its_window(browser: Browser, service: Service, admin: str, width: int) -> None:
    folder = os.environ.get(SCREENSHOTS)
    async with Client(service, admin) as client:
        job_id = (await client.create(prompt="A paper boat on a rainy street, seen from just above the water"))[
            "job_id"
        ]
        await client.completed([job_id])
    context = await browser.new_context(viewport={"width": width, "height": 900 if width < 2000 else 1440})
    page = await context.new_page()
    await signed_in(page, service, admin, Pointer())
    for path in (*PAGES, f"jobs/{job_id}"):
        await page.goto(f"{service.url}/console/{path}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        if folder is not None:
            name = "".join(letter if letter.isalnum() else "-" for letter in path.replace(job_id, "one"))
            await page.wait_for_load_state("networkidle")
            await page.screenshot(path=Path(folder) / f"{name}-{width}.png")
    await context.close()
