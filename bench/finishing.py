"""Jobs from their creation to their stored video, at a provider that answers at once: how many a second?"""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench import lag, load, server
from bench.machine import children, computed_s
from bench.report import Report, Row, show
from bench.stored import GENERATIONS, JOBS, working_folder

WARM_UP = 96
BATCH = 608
"""Jobs a round; all are created before the last is finished."""
ROUNDS = 5
CONNECTIONS = 32
PER_SECOND = 150.0
ENDED_S = 120.0
BODY = json.dumps({"model": "gemini-omni-1.2-flash", "prompt": "a lighthouse #fake:instant"}).encode()
SETTINGS = {"RUSHES_POLL_INTERVAL_S": "0.05"}


def measure() -> Report:
    """The report; about half a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    rates, costs_ms, lags_ms = [], [], []
    with (
        server.gemini(folder / "upstream") as upstream,
        server.rushes(folder, **SETTINGS, **server.at_gemini(upstream)) as service,
    ):
        key = server.live_key(folder)
        done = WARM_UP
        _finish(service.port, key, WARM_UP, done)
        for _ in range(ROUNDS):
            done += BATCH
            with lag.probing(service.port) as probe:
                computed, began = _computed_s(service.process_id), time.perf_counter()
                _finish(service.port, key, BATCH, done)
                rates.append(BATCH / (time.perf_counter() - began))
                costs_ms.append((_computed_s(service.process_id) - computed) * 1000 / BATCH)
            lags_ms.append(probe.worst_ms)
    return Report(
        "Jobs from end to end",
        f"Created at {CONNECTIONS} connections, submitted to a fake Gemini API in a process of its own that"
        f" answers with the video, fetched (2 kB), hashed, synced, probed in a child process and completed; SQLite,"
        f" synchronous=FULL; {ROUNDS} rounds of {BATCH} jobs. The service and its children have one core.",
        [
            Row("jobs finished", "1/s", rates, at_least=PER_SECOND),
            Row("processor time of a job, children included", "ms", costs_ms),
            Row("event loop's worst lag", "ms", lags_ms),
        ],
    )


def _finish(port: int, key: str, jobs: int, done: int) -> None:
    """Create so many jobs, and return once `done` in all are completed."""
    message = load.request("POST", GENERATIONS, key=key, body=BODY)
    load.run(port, [message], connections=CONNECTIONS, seconds=load.LONGEST_S, most=jobs)
    give_up = time.monotonic() + ENDED_S
    while (count := _completed(port, key)) < done:
        assert time.monotonic() < give_up, count
        time.sleep(0.02)  # noqa: TID251 - nothing else runs in this process


def _completed(port: int, key: str) -> int:
    page = load.call(port, load.request("GET", f"{JOBS}?status=completed&limit=1", key=key))
    total: int = json.loads(page.body)["total"]
    return total


def _computed_s(process_id: int) -> float:
    return computed_s(process_id) + sum(computed_s(child) for child in children(process_id))


if __name__ == "__main__":
    show(measure)
