from __future__ import annotations

import asyncio
import hashlib
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp import web

from rushes import Client
from rushes.client import AsyncClient, AsyncJob, Job, JobFailed, NotFound, Unreachable, WaitedTooLong
from rushes.client import asynchronous as asynchronous_module
from rushes.client import http as http_module
from tests.fixtures.time_limits import GENEROUS_S
from tests.integration.client.answers import STARTED, job, page
from tests.integration.client.conftest import Scripted, cuts, says

BYTES = b"a video"
VIDEO = {"file_size": len(BYTES), "sha256": hashlib.sha256(BYTES).hexdigest()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous_module, "FIRST_POLL_S", 0.001)
    monkeypatch.setattr(asynchronous_module, "backoff_s", lambda attempt, error: 0.001)
    monkeypatch.setattr(http_module, "backoff_s", lambda attempt, error: 0.001)


@pytest.fixture
def client(server_beside: Scripted) -> Iterator[Client]:
    with Client(base_url=server_beside.url, api_key="key") as opened:
        yield opened


async def a_video(request: web.Request) -> web.StreamResponse:
    return web.Response(body=BYTES)


def verbs_of(kind: type) -> dict[str, Callable[..., object]]:
    named = inspect.getmembers(kind, inspect.isfunction)
    return {name: verb for name, verb in named if not name.startswith("_") and name != "run"}


@pytest.mark.parametrize(("blocking", "asynchronous"), [(Client, AsyncClient), (Job, AsyncJob)])
def test_both_clients_have_the_same_verbs_with_the_same_parameters(blocking: type, asynchronous: type) -> None:
    def parameters(verb: Callable[..., object]) -> list[tuple[str, object, object, str]]:
        return [
            (each.name, each.kind, each.default, str(each.annotation).replace("AsyncJob", "Job"))
            for each in inspect.signature(verb).parameters.values()
        ]

    ours = {name: parameters(verb) for name, verb in verbs_of(blocking).items()}
    assert ours == {name: parameters(verb) for name, verb in verbs_of(asynchronous).items()}


def test_both_clients_are_made_alike() -> None:
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


def test_a_prompt_becomes_a_file(server_beside: Scripted, client: Client, tmp_path: Path) -> None:
    links = [{**VIDEO, "url": f"{server_beside.url}/v.mp4"}]
    server_beside.script = [
        says(STARTED),
        says(job("in_progress", 10)),
        says(job("completed", 100, result={"data": links})),
        a_video,
    ]
    received: list[int] = []
    done = client.generate("a lake", duration=4)
    assert done.status == "completed"
    assert done.download(tmp_path / "a.mp4", on_received=received.append).read_bytes() == BYTES
    assert received[-1] == len(BYTES)


def test_progress_is_told_on_the_caller_s_thread_which_may_call_the_client(
    server_beside: Scripted, client: Client
) -> None:
    server_beside.script = [says(job("pending", 0)), says(job("in_progress", 10)), says(job("completed", 100))]
    told: list[tuple[threading.Thread, str, int]] = []

    def on_progress(each: Job) -> None:
        assert client.state(each.id).id == each.id
        told.append((threading.current_thread(), each.status, each.progress))

    one = client.job("job_1")
    assert one.wait(on_progress=on_progress) is one
    assert {thread for thread, *_ in told} == {threading.main_thread()}
    assert told[-1][1:] == ("completed", 100)


def test_what_a_listener_raises_ends_the_wait(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says(job())]

    def on_progress(each: Job) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.job("job_1").wait(on_progress=on_progress)


def test_errors_are_the_asynchronous_client_s(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says({"code": "job_not_found", "request_id": "req_1"}, 404)]
    with pytest.raises(NotFound) as caught:
        client.job("job_1")
    assert (caught.value.code, caught.value.request_id) == ("job_not_found", "req_1")


def test_a_failed_job_is_an_error_and_the_job_says_so(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says(job()), says(job("failed", 10, error="x", error_code="expired"))]
    one = client.job("job_1")
    with pytest.raises(JobFailed):
        one.wait()
    assert (one.status, one.error_code) == ("failed", "expired")


def test_a_wait_ends_after_its_timeout(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says(job())]
    with pytest.raises(WaitedTooLong):
        client.job("job_1").wait(timeout_s=0.05)


def test_jobs_are_read_as_far_as_they_are_wanted(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says(page(job(), next_cursor="next")), says(page(job(), next_cursor="more"))]
    found = client.jobs()
    assert [next(found).id, next(found).id] == ["job_1", "job_1"]
    found.close()
    assert len(server_beside.requests) == 2


def test_a_watch_tells_of_trouble_on_the_caller_s_thread(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says(job()), cuts, cuts, says(job("completed", 100))]
    threads: set[threading.Thread] = set()
    seen = [
        each.status for each in client.watch("job_1", on_trouble=lambda error: threads.add(threading.current_thread()))
    ]
    assert seen == ["in_progress", "completed"]
    assert threads == {threading.main_thread()}


def test_threads_share_a_client(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says(job())]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(client.job, [f"job_{number}" for number in range(40)]))
    assert len(found) == 40
    assert len({each.name for each in threading.enumerate() if each.name == "rushes-client"}) == 1


async def test_it_works_inside_a_running_loop(server_beside: Scripted) -> None:
    server_beside.script = [says(job())]
    assert asyncio.get_running_loop().is_running()
    with Client(base_url=server_beside.url, api_key="key") as client:
        assert client.job("job_1").status == "in_progress"


def test_a_closed_client_opens_again(server_beside: Scripted, client: Client) -> None:
    server_beside.script = [says(job())]
    for _ in range(2):
        assert client.job("job_1").id == "job_1"
        client.close()
    assert [each for each in threading.enumerate() if each.name == "rushes-client"] == []


def test_a_script_that_closes_nothing_ends_without_a_word(server_beside: Scripted) -> None:
    server_beside.script = [says(page(job()))]
    script = f"""
from rushes import Client
client = Client(base_url="{server_beside.url}", api_key="key")
for job in client.jobs():
    print(job.id)
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", script], capture_output=True, text=True, timeout=GENEROUS_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "job_1\n", "")


def test_a_client_that_was_used_before_a_fork_says_so_instead_of_hanging(server_beside: Scripted) -> None:
    server_beside.script = [says(job())]
    script = f"""
import os
from rushes import Client
client = Client(base_url="{server_beside.url}", api_key="key")
client.job("job_1")
child = os.fork()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    client.job("job_1")
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=GENEROUS_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "this client was used before a fork; make one in each process\n"


def test_nobody_there_is_unreachable() -> None:
    with Client(base_url="http://127.0.0.1:9", api_key="key", retries=0) as client, pytest.raises(Unreachable):
        client.models()
