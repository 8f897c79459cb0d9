"""Bounded child processes for what would block the event loop or must not share its memory: drawing and decoding."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

IDLE_S = 60.0


def _start_child() -> None:
    """Lower the child's priority and let it die with its parent, so that kill -9 leaves no orphan."""
    os.nice(5)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def leave_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=leave_with_parent, daemon=True).start()


class Offload:
    """A few child processes, started at the first call and given back after a minute of rest.

    A child that dies (out of memory, a crash in a codec) fails the calls under way with BrokenProcessPool; the next
    call starts anew.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._executor: ProcessPoolExecutor | None = None
        self._busy = 0
        self._rest: asyncio.TimerHandle | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args, **kwargs)` in a child; all must be picklable. Excess calls wait their turn."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_child,
            )
        executor = self._executor
        self._busy += 1
        try:
            return await asyncio.wrap_future(executor.submit(function, *args, **kwargs))
        except BrokenProcessPool:
            if self._executor is executor:
                self._executor = None
            raise
        finally:
            self._busy -= 1
            if not self._busy and self._executor is not None:
                self._rest = asyncio.get_running_loop().call_later(IDLE_S, self._give_back)

    def _give_back(self) -> None:
        if self._executor is not None and not self._busy:
            self._executor.shutdown(wait=False)
            self._executor = None

    def close(self) -> None:
        """Stop the children; calls under way are abandoned, so that stopping is quick."""
        if self._rest is not None:
            self._rest.cancel()
        if self._executor is not None:
            for child in list(getattr(self._executor, "_processes", {}).values()):
                child.terminate()
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None
