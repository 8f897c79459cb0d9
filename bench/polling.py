"""Thousands of jobs in flight at a provider: what does one worker spend on waiting for them?"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from bench import lag, load, server
from bench.machine import computed_s, resident_mb
from bench.report import Report, Row, show
from bench.stored import GENERATIONS, commits, working_folder

JOBS = 5_000
CONNECTIONS = 25
POLL_INTERVAL_S = 10.0
ROUNDS = 4
ACCEPTED_S = 120.0
"""When jobs that are not all accepted by then are given up."""
HALF_A_CORE = 0.5
BODY = json.dumps({"model": "gemini-omni-1.2-flash", "prompt": "a lighthouse #fake:unending"}).encode()
SETTINGS = {"RUSHES_POLL_INTERVAL_S": str(POLL_INTERVAL_S), "RUSHES_MOST_IN_FLIGHT": str(JOBS)}


@dataclass(frozen=True)
class _Interval:
    """What happened in one poll interval."""

    busy: float
    commits: int
    polls: int
    worst_lag_ms: float


def measure() -> Report:
    """The report; under two minutes."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    with (
        server.gemini(folder / "upstream") as upstream,
        server.rushes(folder, **SETTINGS, **server.at_gemini(upstream)) as service,
    ):
        message = load.request("POST", GENERATIONS, key=server.live_key(folder), body=BODY)
        idle_mb = resident_mb(service.process_id)
        idle = [_interval(folder, service, upstream) for _ in range(ROUNDS)]
        load.run(service.port, [message], connections=CONNECTIONS, seconds=load.LONGEST_S, most=JOBS)
        _wait_until_accepted(upstream)
        # Until the last of them has been polled twice, what they cost is the arrival's doing.
        time.sleep(2 * POLL_INTERVAL_S)  # noqa: TID251 - nothing else runs in this process
        waiting = [_interval(folder, service, upstream) for _ in range(ROUNDS)]
        held_mb = resident_mb(service.process_id) - idle_mb
    beats = Row("transactions of an idle service", "count", [one.commits for one in idle])
    written = Row("transactions while they wait", "count", [one.commits for one in waiting])
    beyond = [one.commits - other.commits for one, other in zip(waiting, idle, strict=True)]
    return Report(
        "Polling",
        f"{JOBS:,} jobs in flight at a fake Gemini API in a process of its own, none of which ends, each polled every"
        f" {POLL_INTERVAL_S:.0f} s by the one worker of `rushes serve`; {ROUNDS} rounds of one poll interval. An idle"
        " service writes its heartbeats alone, one of which may fall into this round or the next; what it computes is"
        " its answers to the probe of its lag.",
        [
            Row("polls", "1/s", [one.polls / POLL_INTERVAL_S for one in waiting]),
            Row("cores that the service uses", "cores", [one.busy for one in waiting], at_most=HALF_A_CORE),
            Row("the same, idle", "cores", [one.busy for one in idle]),
            written,
            beats,
            Row("transactions that waiting costs", "count", beyond, at_most=1),
            Row("memory that they take", "MB", [held_mb]),
            Row("event loop's worst lag", "ms", [one.worst_lag_ms for one in waiting]),
        ],
    )


def _interval(folder: Path, service: server.Server, upstream: server.Server) -> _Interval:
    polls, written, computed, began = (
        _counts(upstream)["polls"], commits(folder), computed_s(service.process_id), time.perf_counter()
    )  # fmt: skip
    with lag.probing(service.port) as probe:
        time.sleep(POLL_INTERVAL_S - (time.perf_counter() - began))  # noqa: TID251 - nothing else runs in this process
        busy = (computed_s(service.process_id) - computed) / (time.perf_counter() - began)
        written, polls = commits(folder) - written, _counts(upstream)["polls"] - polls
    return _Interval(busy, written, polls, probe.worst_ms)


def _wait_until_accepted(upstream: server.Server) -> None:
    give_up = time.monotonic() + ACCEPTED_S
    while (counts := _counts(upstream))["accepted"] < JOBS:
        assert time.monotonic() < give_up, counts
        time.sleep(0.5)  # noqa: TID251 - nothing else runs in this process


def _counts(upstream: server.Server) -> dict[str, int]:
    counts: dict[str, int] = json.loads(load.call(upstream.port, load.request("GET", "/_fake/counts")).body)
    return counts


if __name__ == "__main__":
    show(measure)
