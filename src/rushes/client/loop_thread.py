"""An event loop on a thread of its own: how blocking callers use asynchronous code, wherever they are themselves."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")
Told = TypeVar("Told")
CLOSE_S = 5.0


class Relay(Generic[Told]):
    """Carries what work on the loop says to a listener on the thread that waits for the work.

    There a listener may call the client again, draw to a screen, or raise; on the loop's thread none of that is safe.
    """

    def __init__(self, listener: Callable[[Told], object]) -> None:
        self._listener = listener
        self._said: SimpleQueue[tuple[Told] | None] = SimpleQueue()

    def tell(self, said: Told) -> None:
        """To be called on the loop."""
        self._said.put((said,))

    def end(self) -> None:
        """Nothing more will be said."""
        self._said.put(None)

    def listen(self) -> None:
        """Hear everything until the end."""
        while (said := self._said.get()) is not None:
            self._listener(*said)


class LoopThread:
    """Runs coroutines for other threads; daemonic, so that it never keeps a program alive."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process_id = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="rushes-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Answer], relay: Relay[Any] | None = None) -> Answer:
        """What `work` returns or raises. An interrupt here cancels it there.

        Raises RuntimeError where nobody would carry it out and the caller would wait for ever: after `close`, and in a
        child process, to which the thread did not come along.
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
                relay.listen()
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what still runs, then run `last`, then end the thread. Safe to call at exit and by the collector."""
        if self._process_id != os.getpid():
            return
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                # In the order of calls: whatever was handed over before is a task by then, and is cancelled.
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
