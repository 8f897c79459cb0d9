"""Jobs from their creation to their stored video, at a provider that answers at once: how many a second, how soon?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import lag, load, server
from bench.machine import computed_with_children_s
from bench.report import Report, Row, percentile_ms, show
from bench.stored import GENERATIONS, JOBS, working_folder

WARM_UP = 96
BATCH = 608
"""Jobs a round; all are created before the last is finished."""
ROUNDS = 5
CONNECTIONS = 32
SINGLES = 100
"""Jobs that come alone, each when the one before has ended."""
REST_S = 0.03
"""Before each of them, so that the worker has gone to sleep again."""
PER_SECOND = 150.0
PER_SECOND_ON_POSTGRES = 250.0
SUBMITTED_MS = 25.0
ENDED_S = 120.0
LOOK_S = 0.05
"""How often it is asked whether all are done; each look costs the service a request."""
LEASE_S = 2.0
"""On Postgres; the shortest that a lease may be, so that a heartbeat which is held up shows."""
LIMITS = (
    "What limits Postgres: a job is 49 statements in five transactions. Three of these change the account's row of"
    " `job_counts` and two the lane's, each for some round trips and a commit, so those of one account and lane follow"
    " one another there; in the server's log nine tenths of the time was waiting for the two. Where commits and round"
    " trips are quick it is the service's core: a fifth to a third more for a job than on SQLite."
)
BODY = json.dumps({"model": "gemini-omni-1.2-flash", "prompt": "a lighthouse #fake:instant"}).encode()
SETTINGS = {"RUSHES_POLL_INTERVAL_S": "0.05"}


@dataclass
class _Figures:
    """What was measured on one database, a value a round; of `submitted_s` one a job that came alone."""

    rates: list[float] = field(default_factory=list)
    costs_ms: list[float] = field(default_factory=list)
    database_ms: list[float] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    submitted_s: list[float] = field(default_factory=list)
    leases_lost: int = 0


def measure() -> Report:
    """The report; about a minute."""
    with working_folder() as folder:
        embedded = _measure(folder / "embedded", {}, lambda: 0.0)
        with server.postgres() as postgres:
            settings = {**server.on_postgres(postgres.blank()), "RUSHES_LEASE_S": str(LEASE_S)}
            served = _measure(folder / "served", settings, lambda: computed_with_children_s(postgres.process_id))
    return Report(
        "Jobs from end to end",
        f"Created at {CONNECTIONS} connections, submitted to a fake Gemini API in a process of its own that answers"
        " with the video, fetched (2 kB), hashed, synced, probed in a child process and completed;"
        f" {ROUNDS} rounds of {BATCH} jobs. The service, one worker and its children have one core. SQLite with"
        f" synchronous=FULL; Postgres with fsync, on the load's core. Then {SINGLES} jobs that come alone: from before"
        " the connection that creates one is made to the arrival of its submit at the fake API, the create included.",
        [
            Row("jobs finished, SQLite", "1/s", embedded.rates, at_least=PER_SECOND),
            Row("jobs finished, Postgres", "1/s", served.rates, at_least=PER_SECOND_ON_POSTGRES),
            Row("processor time of a job, SQLite, children included", "ms", embedded.costs_ms),
            Row("processor time of a job, Postgres, children included", "ms", served.costs_ms),
            Row("processor time of a job in Postgres itself", "ms", served.database_ms),
            Row(f"leases of {LEASE_S:.0f} s lost, Postgres", "count", [served.leases_lost], at_most=0),
            Row("create to submit of a job alone, SQLite, p50", "ms", [percentile_ms(embedded.submitted_s, 50)]),
            _soon("create to submit of a job alone, SQLite, p99", embedded),
            Row("create to submit of a job alone, Postgres, p50", "ms", [percentile_ms(served.submitted_s, 50)]),
            _soon("create to submit of a job alone, Postgres, p99", served),
            Row("event loop's worst lag, SQLite", "ms", embedded.lags_ms),
            Row("event loop's worst lag, Postgres", "ms", served.lags_ms),
        ],
        [LIMITS],
    )


def _soon(what: str, figures: _Figures) -> Row:
    return Row(what, "ms", [percentile_ms(figures.submitted_s, 99)], at_most=SUBMITTED_MS)


def _measure(folder: Path, settings: dict[str, str], database_s: Callable[[], float]) -> _Figures:
    figures = _Figures()
    with (
        server.gemini(folder / "upstream") as upstream,
        server.rushes(folder, **SETTINGS, **settings, **server.at_gemini(upstream)) as service,
    ):
        key = server.live_key(folder, **settings)
        done = WARM_UP
        _finish(service.port, key, WARM_UP, done)
        for _ in range(ROUNDS):
            done += BATCH
            with lag.probing(service.port) as probe:
                database, computed = database_s(), computed_with_children_s(service.process_id)
                began = time.perf_counter()
                _finish(service.port, key, BATCH, done)
                figures.rates.append(BATCH / (time.perf_counter() - began))
                figures.costs_ms.append((computed_with_children_s(service.process_id) - computed) * 1000 / BATCH)
                figures.database_ms.append((database_s() - database) * 1000 / BATCH)
            figures.lags_ms.append(probe.worst_ms)
        for _ in range(SINGLES):
            done += 1
            time.sleep(REST_S)  # noqa: TID251 - nothing else runs in this process
            began = time.monotonic()
            _finish(service.port, key, 1, done)
            figures.submitted_s.append(_last_submit(upstream.port) - began)
        figures.leases_lost = server.leases_lost(folder)
    return figures


def _finish(port: int, key: str, jobs: int, done: int) -> None:
    """Create so many jobs, and return once `done` in all are completed."""
    message = load.request("POST", GENERATIONS, key=key, body=BODY)
    load.run(port, [message], connections=min(CONNECTIONS, jobs), seconds=load.LONGEST_S, most=jobs)
    give_up = time.monotonic() + ENDED_S
    while (count := completed(port, key)) < done:
        assert time.monotonic() < give_up, count
        time.sleep(LOOK_S)  # noqa: TID251 - nothing else runs in this process


def completed(port: int, key: str) -> int:
    """How many of the account's jobs are completed."""
    page = load.call(port, load.request("GET", f"{JOBS}?status=completed&limit=1", key=key))
    total: int = json.loads(page.body)["total"]
    return total


def _last_submit(port: int) -> float:
    """When the fake API was last given a job, by the clock that all processes of this machine share."""
    at: float = json.loads(load.call(port, load.request("GET", "/_fake/counts")).body)["last_accepted_at"]
    return at


if __name__ == "__main__":
    show(measure)
