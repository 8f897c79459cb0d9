from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from rushes.offload import Offload
from tests.fixtures.time_limits import GENEROUS_S


@pytest.fixture
def offload() -> Iterator[Offload]:
    offload = Offload(1)
    yield offload
    offload.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(GENEROUS_S):
        while is_alive(pid):  # noqa: ASYNC110 - a process is no event of ours
            await asyncio.sleep(0.01)


async def test_work_is_done_in_another_process(offload: Offload) -> None:
    assert await offload.run(os.getpid) != os.getpid()
    assert await offload.run(int, "ff", base=16) == 255


async def test_a_child_gives_way_to_the_service(offload: Offload) -> None:
    assert await offload.run(os.nice, 0) >= os.nice(0) + 5


async def test_what_the_work_raises_is_raised_and_the_child_goes_on(offload: Offload) -> None:
    pid = await offload.run(os.getpid)
    with pytest.raises(ValueError, match="invalid literal"):
        await offload.run(int, "x")
    assert await offload.run(os.getpid) == pid


async def test_a_child_that_dies_fails_its_call_and_the_next_call_starts_anew(offload: Offload) -> None:
    pid = await offload.run(os.getpid)
    with pytest.raises(BrokenProcessPool):
        await offload.run(os.kill, pid, signal.SIGKILL)
    assert await offload.run(os.getpid) not in (pid, os.getpid())


async def test_children_at_rest_are_given_back_and_started_again(
    offload: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rushes.offload.IDLE_S", 0.01)
    pid = await offload.run(os.getpid)
    await gone(pid)
    assert await offload.run(os.getpid) != pid


async def test_closing_abandons_the_work_under_way(offload: Offload) -> None:
    pid = await offload.run(os.getpid)
    call = asyncio.ensure_future(offload.run(signal.pause))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    offload.close()
    assert time.monotonic() - began < GENEROUS_S
    with pytest.raises((BrokenProcessPool, asyncio.CancelledError)):
        await call
    assert not is_alive(pid)


async def test_closing_twice_or_unused_is_quiet(offload: Offload) -> None:
    offload.close()
    offload.close()
