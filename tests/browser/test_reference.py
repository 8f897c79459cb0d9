"""The reference that the service serves of its own API."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.fixtures.service import Service


async def test_the_reference_lists_the_routes_without_asking_another_host(page: Page, service: Service) -> None:
    await page.goto(f"{service.url}/docs")
    await expect(page.get_by_text("/api/v1/videos/generations", exact=True).first).to_be_visible()
