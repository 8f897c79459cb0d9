from __future__ import annotations

import asyncio
import threading

import pytest

from rushes.threads import Threads
from tests.fixtures.time_limits import GENEROUS_S


async def test_a_call_gives_its_result_or_its_error() -> None:
    threads = Threads(1)
    assert await threads.run(lambda: 1 + 1) == 2
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


async def test_no_more_run_at_once_than_allowed() -> None:
    threads, lock, running, most = Threads(2), threading.Lock(), 0, 0
    together = threading.Barrier(2, timeout=GENEROUS_S)

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1

    await asyncio.gather(*(threads.run(call) for _ in range(8)))
    assert most == 2


async def test_a_cancelled_call_keeps_its_place_until_it_ends() -> None:
    threads, begun, go_on = Threads(1), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        go_on.wait(GENEROUS_S)

    first = asyncio.create_task(threads.run(call))
    await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(threads.run(lambda: "next"))
    await asyncio.sleep(0)
    assert not second.done()
    go_on.set()
    assert await second == "next"
