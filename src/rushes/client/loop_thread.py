"""An event loop on a thread of its own, for blocking callers of asynchronous code."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")
Item = TypeVar("Item")
CLOSE_S = 5.0


class Relay(Generic[Item]):
    """Passes items from the loop's thread to a callback on the thread that waits for the work.

    On its own thread the callback may use the client, draw to a screen, or raise. On the loop's thread it could not.
    """

    def __init__(self, callback: Callable[[Item], object]) -> None:
        self._callback = callback
        self._queue: SimpleQueue[tuple[Item] | None] = SimpleQueue()

    def send(self, item: Item) -> None:
        """Pass an item on. To be called on the loop's thread."""
        self._queue.put((item,))

    def end(self) -> None:
        """Say that no more items follow."""
        self._queue.put(None)

    def deliver(self) -> None:
        """Call the callback with each item until the end. To be called on the waiting thread."""
        while (item := self._queue.get()) is not None:
            self._callback(*item)


class LoopThread:
    """Runs coroutines for other threads. Its thread is a daemon, so that it does not keep a program alive."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process_id = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="rushes-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Answer], relay: Relay[Any] | None = None) -> Answer:
        """Run `work` on the loop, and return or raise its result. An interrupt here cancels the work.

        Raises RuntimeError after `close`, and in a child process that was forked without the thread: there the work
        would never run.
        """
        if self._process_id != os.getpid():
            work.close()
            raise RuntimeError("this client was used before a fork; make one in each process")
        with self._lock:
            if self._is_closed:
                work.close()
                raise RuntimeError("this client was closed by another thread")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            if relay is not None:
                future.add_done_callback(lambda _: relay.end())
                relay.deliver()
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel the running work, run `last`, and end the thread. Safe at exit and in garbage collection."""
        if self._process_id != os.getpid():
            return
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                # Calls run in order: all work that was passed before is a task by then, and is cancelled.
                self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._wind_up(last)))
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_S)

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _wind_up(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        try:
            await asyncio.gather(*others, return_exceptions=True)
            await self._loop.shutdown_asyncgens()
            await last()
        finally:
            self._loop.stop()
