"""A boxed process has its files and nothing else, and its end is no one else's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvloop

from rushes.decoding.box import Box, BoxUnavailableError, Cause, TaskEndedError, _all_of
from rushes.decoding.sandbox import MIB, Limits
from tests.fixtures.box_processes import server_of, tasks_of

LIMITS = Limits(memory_bytes=256 * MIB, cpu_s=20, wall_s=60)
MODULE = "tests.fixtures.boxed_tasks"


@pytest.fixture(scope="module", autouse=True)
def _a_secret() -> Any:
    os.environ["RUSHES_SECRET_KEYS"] = "not for the box"
    yield
    del os.environ["RUSHES_SECRET_KEYS"]


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    opened = Box()
    yield opened
    opened.close()


async def run(box: Box, task: str, *arguments: Any, files: Sequence[int] = (), limits: Limits = LIMITS) -> Any:
    return await box.run(f"{MODULE}:{task}", files, *arguments, limits=limits)


async def ended(box: Box, task: str, limits: Limits = LIMITS) -> Cause:
    with pytest.raises(TaskEndedError) as caught:
        await run(box, task, limits=limits)
    return caught.value.cause


async def test_its_environment_is_empty_and_so_is_its_servers(box: Box) -> None:
    found = await run(box, "look_around")
    assert found["environment"] == {}
    server = f"/proc/{server_of(box)}"
    assert Path(server, "environ").read_bytes() == b""  # noqa: ASYNC240 - no disk is read
    assert b"not for the box" not in Path(server, "cmdline").read_bytes()  # noqa: ASYNC240 - no disk is read


async def test_each_task_has_a_process_of_its_own(box: Box) -> None:
    found = [await run(box, "look_around") for _ in range(3)]
    assert len({item["process"] for item in found} | {os.getpid()}) == 4


async def test_the_walls_of_this_kernel_are_said(box: Box) -> None:
    protection = await box.test()
    assert protection.no_new_privileges
    assert protection.seccomp
    assert box.protection == protection


async def test_no_file_of_the_machine_can_be_opened(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for outcome in await run(box, "open_files", str(secret)):
        assert outcome in ("EPERM", "EACCES", "EMFILE")
    assert secret.exists()


async def test_nothing_can_be_connected_to(box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for outcome in await run(box, "connect", server.getsockname()[1]):
            assert outcome in ("EPERM", "EACCES", "EMFILE")


async def test_no_process_or_thread_can_be_started(box: Box) -> None:
    fork, program, thread = await run(box, "start_processes")
    assert fork in ("EPERM", "EAGAIN")
    assert program in ("EPERM", "EACCES")
    assert "can't start new thread" in thread


async def test_no_other_process_can_be_reached(box: Box) -> None:
    await box.test()
    for outcome in await run(box, "signal_others", [server_of(box), os.getpid()]):
        assert outcome in ("EPERM", "EACCES", "refused")
    await box.test()


async def test_limits_cannot_be_raised(box: Box) -> None:
    assert await run(box, "raise_limits") == ["refused", "refused"]


@pytest.mark.parametrize("task", ["take_memory", "take_shared_memory"])
async def test_memory_is_bounded(box: Box, task: str) -> None:
    taken = await run(box, task, 4 * 1024 * MIB)
    assert 64 * MIB <= taken <= LIMITS.memory_bytes + 160 * MIB


async def test_a_task_beyond_its_memory_says_so(box: Box) -> None:
    assert await ended(box, "run_out_of_memory") is Cause.MEMORY


async def test_a_task_that_computes_on_is_ended(box: Box) -> None:
    assert await ended(box, "compute_on", Limits(cpu_s=1, wall_s=600)) is Cause.TIME


async def test_a_task_that_sleeps_on_is_ended(box: Box) -> None:
    assert await ended(box, "sleep_on", Limits(wall_s=0.5)) is Cause.TIME


async def test_a_crash_ends_one_task_alone(box: Box) -> None:
    others = [asyncio.create_task(run(box, "take_memory", 64 * MIB)) for _ in range(3)]
    assert await ended(box, "crash") is Cause.CRASH
    assert await asyncio.gather(*others) == [64 * MIB] * 3


async def test_a_task_has_its_own_files_and_no_others(box: Box, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_text(path.name)
    files = [os.open(path, os.O_RDONLY) for path in paths]
    waiting = asyncio.create_task(run(box, "sleep_on", files=files, limits=Limits(wall_s=600)))
    try:
        assert await run(box, "read_all", files=files[:1]) == ["a"]
        # The three standard ones, which lead nowhere, and where the answer goes.
        assert len(await run(box, "open_descriptors")) == 4
        assert len(await run(box, "open_descriptors", files=files)) == 6
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        for file in files:
            os.close(file)


async def test_a_file_cannot_grow_beyond_its_limit(box: Box, tmp_path: Path) -> None:
    for file_bytes, outcome in ((0, "EFBIG"), (1000, "done: 1000")):
        file = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        try:
            written = await run(box, "write_file", 5000, files=[file], limits=Limits(file_bytes=file_bytes))
        finally:
            os.close(file)
        assert written == outcome


async def test_a_task_whose_caller_has_gone_is_killed(box: Box) -> None:
    await box.test()
    task = asyncio.create_task(run(box, "compute_on", limits=Limits(cpu_s=600, wall_s=600)))
    while not tasks_of(box):  # noqa: ASYNC110 - a process is no event of ours
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while tasks_of(box):  # noqa: ASYNC110 - a process is no event of ours
        await asyncio.sleep(0.01)


async def test_an_answer_larger_than_asked_for_is_not_taken(box: Box) -> None:
    assert await box.run(f"{MODULE}:answer_much", (), 5000, limits=LIMITS) == b"x" * 5000
    with pytest.raises(TaskEndedError):
        await box.run(f"{MODULE}:answer_much", (), 5000, limits=LIMITS, most_bytes=4000)
    large = await box.run(f"{MODULE}:answer_much", (), 10 * MIB, limits=LIMITS, most_bytes=11 * MIB)
    assert len(large) == 10 * MIB


@pytest.mark.parametrize("run_in_loop", [asyncio.run, uvloop.run])
def test_a_pipe_is_closed_once_and_by_who_opened_it(run_in_loop: Callable[[Coroutine[Any, Any, bytes]], bytes]) -> None:
    # A number that is closed twice may be another thread's file by then.
    reading, writing = os.pipe()
    os.write(writing, b"an answer")
    os.close(writing)
    assert run_in_loop(_all_of(reading, 100)) == b"an answer"
    os.close(reading)


async def test_callers_that_go_at_any_moment_leave_no_file_open(box: Box) -> None:
    await box.test()
    before = len(os.listdir("/proc/self/fd"))
    for passes in range(6):
        task = asyncio.create_task(run(box, "look_around"))
        for _ in range(passes):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_server_that_was_killed_is_started_again(box: Box) -> None:
    await box.test()
    killed = server_of(box)
    os.kill(killed, signal.SIGKILL)
    await box.test()
    assert server_of(box) != killed


async def test_its_processes_end_with_the_server(box: Box) -> None:
    await box.test()
    waiting = asyncio.create_task(run(box, "sleep_on", limits=Limits(wall_s=600)))
    while not (children := tasks_of(box)):  # noqa: ASYNC110 - a process is no event of ours
        await asyncio.sleep(0.01)
    box.close()
    with pytest.raises(BoxUnavailableError):
        await waiting
    for process in children:
        while is_alive(process):  # noqa: ASYNC110 - a process is no event of ours
            await asyncio.sleep(0.01)


async def test_the_server_is_given_back_when_nothing_is_decoded() -> None:
    box = Box(idle_s=0.01)
    await box.test()
    process = server_of(box)
    while is_alive(process):  # noqa: ASYNC110 - a process is no event of ours
        await asyncio.sleep(0.01)
    await box.test()
    box.close()


async def test_a_closed_box_takes_nothing_more(box: Box) -> None:
    box.close()
    with pytest.raises(BoxUnavailableError, match="stopping"):
        await box.test()


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
