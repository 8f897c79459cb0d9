"""The two ways to use a page: with a pointer, and with the keyboard alone."""

from __future__ import annotations

from typing import Protocol

from playwright.async_api import Locator

MOST_TABS = 250
WAY = """
target => {
    const within = document.querySelector("dialog[open]") ?? document;
    const stops = [...within.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
        .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }));
    const ahead = (stops.indexOf(target) - stops.indexOf(document.activeElement) + stops.length) % stops.length;
    const behind = stops.length - ahead;
    return ahead <= behind ? ["Tab", ahead - 1] : ["Shift+Tab", behind - 1];
}
"""
"""The key of the way with fewer stops, and how many lie between. Where it is wrong, the way is longer, and no less
true."""


class Hand(Protocol):
    """What a person does to a page."""

    async def press(self, target: Locator) -> None:
        """Follow a link or press a button."""
        ...

    async def write(self, target: Locator, text: str) -> None:
        """Replace what a field holds."""
        ...

    async def tick(self, target: Locator) -> None:
        """Tick a box."""
        ...

    async def select(self, target: Locator, value: str) -> None:
        """Choose from a list."""
        ...


class Pointer:
    """With a mouse."""

    async def press(self, target: Locator) -> None:
        await target.click()

    async def write(self, target: Locator, text: str) -> None:
        await target.fill(text)

    async def tick(self, target: Locator) -> None:
        await target.check()

    async def select(self, target: Locator, value: str) -> None:
        await target.select_option(value)


class Keys:
    """With Tab, Shift, Enter, Space and letters. Fails if Tab does not lead to the target."""

    async def press(self, target: Locator) -> None:
        await self._reach(target)
        await target.page.keyboard.press("Enter")

    async def write(self, target: Locator, text: str) -> None:
        await self._reach(target)
        await target.page.keyboard.press("Control+a")
        await target.page.keyboard.type(text)

    async def tick(self, target: Locator) -> None:
        await self._reach(target)
        await target.page.keyboard.press("Space")

    async def select(self, target: Locator, value: str) -> None:
        await self._reach(target)
        label = await target.locator(f'option[value="{value}"]').first.inner_text()
        await target.page.keyboard.type(label)

    async def _reach(self, target: Locator) -> None:
        await target.wait_for()
        keyboard = target.page.keyboard
        key, between = await target.evaluate(WAY)
        # Most of the way at once: a question after each of so many keys takes longer than the rest of a test.
        for _ in range(between):
            await keyboard.press(key)
        for _ in range(MOST_TABS):
            if await target.evaluate("one => one === document.activeElement"):
                return
            await keyboard.press(key)
        raise AssertionError(f"{key} does not lead to {target}")
