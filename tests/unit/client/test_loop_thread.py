from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from rushes.client.loop_thread import LoopThread, Relay
from tests.fixtures.time_limits import GENEROUS_S


async def nothing() -> None:
    pass


async def for_ever() -> None:
    await asyncio.Event().wait()


def test_what_runs_when_it_closes_is_cancelled_and_its_caller_told() -> None:
    thread = LoopThread()
    running = threading.Event()

    async def work() -> None:
        running.set()
        await for_ever()

    with concurrent.futures.ThreadPoolExecutor(1) as callers:
        call = callers.submit(thread.run, work())
        assert running.wait(GENEROUS_S)
        thread.close(nothing)
        with pytest.raises(concurrent.futures.CancelledError):
            call.result(GENEROUS_S)


def test_after_it_is_closed_nobody_waits_for_it() -> None:
    thread = LoopThread()
    thread.close(nothing)
    thread.close(nothing)
    with pytest.raises(RuntimeError, match="closed"):
        thread.run(for_ever())


def test_however_calls_and_the_end_cross_every_caller_gets_an_answer() -> None:
    for _ in range(20):
        thread = LoopThread()
        with concurrent.futures.ThreadPoolExecutor(4) as callers:
            calls = [callers.submit(thread.run, for_ever()) for _ in range(4)]
            thread.close(nothing)
            for call in calls:
                with pytest.raises((concurrent.futures.CancelledError, RuntimeError)):
                    call.result(GENEROUS_S)


def test_what_it_closes_with_runs_once() -> None:
    thread = LoopThread()
    runs: list[str] = []

    async def last() -> None:
        runs.append(threading.current_thread().name)

    thread.close(last)
    thread.close(last)
    assert runs == ["rushes-client"]


def test_a_listener_hears_everything_in_order_and_on_its_own_thread() -> None:
    heard: list[tuple[int, bool]] = []
    relay = Relay[int](lambda number: heard.append((number, threading.current_thread() is threading.main_thread())))

    async def work() -> str:
        for number in range(100):
            relay.send(number)
            await asyncio.sleep(0)
        return "done"

    thread = LoopThread()
    assert thread.run(work(), relay) == "done"
    thread.close(nothing)
    assert heard == [(number, True) for number in range(100)]


def test_what_a_listener_raises_cancels_the_work() -> None:
    ended = threading.Event()
    relay = Relay[int](lambda number: 1 // number)

    async def work() -> None:
        try:
            relay.send(0)
            await for_ever()
        finally:
            ended.set()

    thread = LoopThread()
    with pytest.raises(ZeroDivisionError):
        thread.run(work(), relay)
    assert ended.wait(GENEROUS_S)
    thread.close(nothing)
