"""The console's page of 50 jobs, and a search in prompts that finds nothing, with a million jobs stored."""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench import load, server
from bench.report import Report, Row, percentile_ms, show
from bench.stored import copy_job, finish_a_job, working_folder

JOBS = 1_000_000
ROUNDS = 7
REQUESTS = 50
LARGEST_PAGE_KB = 200
SLOWEST_PAGE_MS = 60
SLOWEST_SEARCH_MS = 150
DAY_MS = 86_400_000


def measure(jobs: int = JOBS) -> Report:
    """The report; about a minute, most of it to store the jobs."""
    with working_folder() as folder:
        return _measure(folder, jobs)


def _measure(folder: Path, jobs: int) -> Report:
    _, job_id = finish_a_job(folder)
    copy_job(folder, job_id, jobs - 1)
    cookie = _signed_in(folder, job_id)
    pages = {"page of 50 jobs": "/console/jobs", "search that finds nothing": "/console/jobs?q=zebra+nebula"}
    times_ms: dict[str, list[float]] = {name: [] for name in pages}
    with server.rushes(folder, **server.NO_RENDERING) as service:
        messages = {name: _page(path, cookie) for name, path in pages.items()}
        size_kb = len(load.call(service.port, messages["page of 50 jobs"]).body) / 1000
        for message in messages.values():
            assert load.call(service.port, message).status == 200
        for _ in range(ROUNDS):
            for name, message in messages.items():
                one = load.run(service.port, [message], connections=1, seconds=load.LONGEST_S, most=REQUESTS)
                times_ms[name].append(percentile_ms(one.latencies_s, 50))
    page, search = times_ms.values()
    return Report(
        "Console",
        f"Pages of the console with {jobs:,} jobs stored, at one connection; {ROUNDS} rounds of {REQUESTS} requests,"
        " each round its median. The jobs are copies of a real one, inserted beside the service. The search reads the"
        " newest 5,000 prompts.",
        [
            Row("page of 50 jobs", "ms", page, at_most=SLOWEST_PAGE_MS),
            Row("its size", "kB", [size_kb], at_most=LARGEST_PAGE_KB),
            Row("search that finds nothing", "ms", search, at_most=SLOWEST_SEARCH_MS),
        ],
    )


def _signed_in(folder: Path, job_id: str) -> str:
    """A session of the key that made this job, as the console's cookie."""
    token = secrets.token_urlsafe(32)
    now_ms = int(time.time() * 1000)
    with closing(sqlite3.connect(server.data_dir(folder) / "rushes.db", timeout=5)) as database, database:
        database.execute(
            "INSERT INTO console_sessions (hash, key_id, created_at, expires_at)"
            " SELECT ?, key_id, ?, ? FROM jobs WHERE id = ?",
            (hashlib.sha256(token.encode()).hexdigest(), now_ms, now_ms + DAY_MS, job_id),
        )
    return f"rushes_console={token}"


def _page(path: str, cookie: str) -> bytes:
    return load.request("GET", path).removesuffix(b"\r\n") + f"Cookie: {cookie}\r\n\r\n".encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS)
    arguments = parser.parse_args()
    show(lambda: measure(arguments.jobs))
