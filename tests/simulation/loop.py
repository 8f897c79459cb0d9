"""An event loop in virtual time: whenever nothing is left to do, it is the next sleeper's time.

Nothing outside the loop wakes it and tasks hash by their number, so the same program runs in the same order each time.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Mapping
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """`asyncio` as it is, but for the time."""

    def __init__(self, on_task: Callable[[asyncio.Task[Any], contextvars.Context], None]) -> None:
        self._virtual_s = 0.0
        self._tasks_made = 0
        self._on_task = on_task
        super().__init__(_NothingToSelect(self))
        self.set_task_factory(self._make_task)
        # Whoever dies in the middle of things leaves errors that nobody asks for.
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self._virtual_s

    def jump(self) -> None:
        """Make it the time of the next timer."""
        scheduled = self._scheduled  # type: ignore[attr-defined]
        if not scheduled:
            raise AssertionError("nothing sleeps and nothing runs: this would wait for ever")
        self._virtual_s = max(self._virtual_s, scheduled[0]._when)

    def _make_task(self, _: object, coroutine: Any, context: contextvars.Context | None = None) -> asyncio.Task[Any]:
        self._tasks_made += 1
        task = NumberedTask(self._tasks_made, coroutine, loop=self, context=context)
        self._on_task(task, context if context is not None else contextvars.copy_context())
        return task


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it lies in memory."""

    def __init__(self, number: int, *arguments: Any, **options: Any) -> None:
        # First of all: asyncio puts each task into a set before its own `__init__` returns.
        self._number = number
        super().__init__(*arguments, **options)

    def __hash__(self) -> int:
        return self._number


class _NothingToSelect(selectors.BaseSelector):
    """No file ever becomes ready; waiting is what makes time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._loop.jump()
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}
