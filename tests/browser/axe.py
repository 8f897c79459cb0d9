"""What axe-core finds on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

AXE = Path(__file__).parent.parent / "node" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = {"serious", "critical"}
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules whose result a theme can change: the themes have the same elements."""


async def violations(page: Page) -> list[str]:
    """What axe finds that is serious in the light theme, or in the dark one, each with the element."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make node")
    await page.evaluate(f"() => {{ {AXE.read_text('utf-8')} }}")
    found: list[str] = []
    for theme, rules in (("light", None), ("dark", COLOURS)):
        await page.emulate_media(color_scheme="light" if theme == "light" else "dark")
        options = {"resultTypes": ["violations"]} | ({} if rules is None else {"runOnly": list(rules)})
        result: dict[str, Any] = await page.evaluate("options => axe.run(document, options)", options)
        found += [
            f"{theme}: {one['id']}: {node['html'][:200]}"
            for one in result["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]
    return found
