"""A few threads for calls that block on the network, none of which keeps the process from stopping."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """Runs at most `most` calls at once; more wait their turn.

    Not a ThreadPoolExecutor: Python waits for the threads of one before it exits, and a call that hangs would make
    stopping take as long as its time limit.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, function: Callable[[], T]) -> T:
        """`function()` in a thread. A call that is cancelled goes on there, and keeps its place until it ends."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            self._free.release()
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]
            else:
                future.set_exception(error)

        def call() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = function()
            except BaseException as exc:  # noqa: BLE001 - the caller that awaits it gets it
                error = exc
            # The loop may be closed by now, and then no caller waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=call, name="blocking-call", daemon=True).start()
        return await future

    def start(self, function: Callable[[], None]) -> None:
        """Start a call that no caller awaits, beyond the limit."""
        threading.Thread(target=function, name="blocking-call", daemon=True).start()
