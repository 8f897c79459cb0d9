"""10,000 jobs at a provider that takes a minute for each: what does one worker spend, and how late is it?"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench import lag, load, server
from bench.machine import SERVER_CORE, computed_with_children_s, core_busy_s, forget_peak, peak_mb
from bench.report import Report, Row, percentile_ms, show
from bench.stored import GENERATIONS, commits, working_folder

JOBS = 10_000
ARRIVAL_S = 60.0
GENERATION_S = 60.0
POLL_INTERVAL_S = 10.0
BURST = 25
"""Jobs that arrive at once; a burst every 150 ms."""
PART_S = 10.0
"""How long one figure of use is taken over."""
ENDED_S = 120.0
CORES = 1.0
MEMORY_MB = 250.0
LATE_S = 1.0
BODY = json.dumps({"model": "gemini-omni-1.2-flash", "prompt": "a lighthouse #fake:minute"}).encode()
SETTINGS = {"RUSHES_POLL_INTERVAL_S": str(POLL_INTERVAL_S), "RUSHES_MOST_IN_FLIGHT": str(2 * JOBS)}
LATENCIES = "SELECT completed_at - started_at FROM jobs WHERE state = 'succeeded'"


def measure() -> Report:
    """The report; two and a half minutes."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    busy, others, lags_ms, written = [], [], [], []
    with (
        server.gemini(folder / "upstream") as upstream,
        server.rushes(folder, **SETTINGS, **server.at_gemini(upstream)) as service,
    ):
        message = load.request("POST", GENERATIONS, key=server.live_key(folder), body=BODY)
        forget_peak(service.process_id)
        began, sent = time.perf_counter(), 0
        while _ended(folder) < JOBS:
            with lag.probing(service.port) as probe:
                core_s, computed = core_busy_s(SERVER_CORE), computed_with_children_s(service.process_id)
                at, changed = time.perf_counter(), commits(folder)
                while (now := time.perf_counter()) - at < PART_S:
                    if sent < JOBS and now - began >= sent / JOBS * ARRIVAL_S:
                        load.run(service.port, [message], connections=BURST, seconds=load.LONGEST_S, most=BURST)
                        sent += BURST
                    else:
                        time.sleep(0.005)  # noqa: TID251 - nothing else runs in this process
                took_s = time.perf_counter() - at
                busy.append((computed_with_children_s(service.process_id) - computed) / took_s)
                others.append((core_busy_s(SERVER_CORE) - core_s) / took_s - busy[-1])
                written.append((commits(folder) - changed) / took_s)
            lags_ms.append(probe.worst_ms)
            assert time.perf_counter() - began < ARRIVAL_S + GENERATION_S + ENDED_S, _ended(folder)
        memory_mb = peak_mb(service.process_id)
        polls = json.loads(load.call(upstream.port, load.request("GET", "/_fake/counts")).body)["polls"]
    beyond_s = [(taken_s - GENERATION_S) for taken_s in _latencies_s(folder)]
    return Report(
        "Ten thousand jobs in flight",
        f"{JOBS:,} jobs arrive evenly over {ARRIVAL_S:.0f} s at a fake Gemini API in a process of its own, which takes"
        f" {GENERATION_S:.0f} s for each; each is polled every {POLL_INTERVAL_S:.0f} s by the one worker of"
        f" `rushes serve`, then fetched (2 kB), stored and completed. Use is taken over parts of {PART_S:.0f} s, from"
        " the first arrival to the last end. Late is what a job took beyond its generation and one poll interval; what"
        " strangers take of the core, they take of that.",
        [
            Row("cores that the service and its children use", "cores", busy, at_most=CORES),
            Row("of the service's core, taken by strangers", "cores", others),
            Row("memory, at its peak", "MB", [memory_mb], at_most=MEMORY_MB),
            Row("late, p50", "s", [percentile_ms(beyond_s, 50) / 1000 - POLL_INTERVAL_S]),
            Row("late, p99", "s", [percentile_ms(beyond_s, 99) / 1000 - POLL_INTERVAL_S], at_most=LATE_S),
            Row("polls of a job", "count", [polls / JOBS]),
            Row("transactions", "1/s", written),
            Row("event loop's worst lag", "ms", lags_ms),
        ],
    )


def _ended(folder: Path) -> int:
    with closing(_reader(folder)) as database:
        (count,) = database.execute("SELECT SUM(jobs) FROM job_counts WHERE status = 'completed'").fetchone()
        return count or 0


def _latencies_s(folder: Path) -> list[float]:
    with closing(_reader(folder)) as database:
        return [row[0] / 1000 for row in database.execute(LATENCIES)]


def _reader(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{server.data_dir(folder) / 'rushes.db'}?mode=ro", uri=True, timeout=5)


if __name__ == "__main__":
    show(measure)
