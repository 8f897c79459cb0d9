"""A page of 20 by cursor: does it cost the same with few and with many jobs stored?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench import lag, load, server
from bench.report import Report, Row, percentile_ms, ratio, show
from bench.stored import JOBS, copy_job, finish_a_job, working_folder

FEW = 1_000
MANY = 1_000_000
PAGE = 20
ROUNDS = 7
REQUESTS = 200
"""Pages a round, at each of the four places."""
DEPTHS = tuple(0.05 + 0.1 * tenth for tenth in range(10))
"""How deep inside the pages are, as parts of the whole; several, so that they are not all in the cache."""
GROWTH = 1.2


def measure(many: int = MANY) -> Report:
    """The report; about a minute, half of it to store 1,000,000 jobs (1.7 GB)."""
    with working_folder() as folder:
        return _measure(folder, many)


def _measure(folder: Path, many: int) -> Report:
    keys = {}
    for stored in (FEW, many):
        keys[stored], job_id = finish_a_job(folder / str(stored))
        copy_job(folder / str(stored), job_id, stored - 1)
    times_ms: dict[str, list[float]] = {}
    lags_ms = []
    with (
        server.rushes(folder / str(FEW), **server.NO_RENDERING) as small,
        server.rushes(folder / str(many), **server.NO_RENDERING) as large,
    ):
        places = {}
        for service, stored in ((small, FEW), (large, many)):
            places[f"at the head of {stored:,}"] = (service.port, [_page(keys[stored])])
            places[f"deep inside {stored:,}"] = (service.port, _deep_pages(service.port, keys[stored], stored))
        for port, messages in places.values():
            load.run(port, messages, connections=1, seconds=load.LONGEST_S, most=REQUESTS)
        for _ in range(ROUNDS):
            for name, (port, messages) in places.items():
                with lag.probing(port) as probe:
                    one = load.run(port, messages, connections=1, seconds=load.LONGEST_S, most=REQUESTS)
                times_ms.setdefault(name, []).append(percentile_ms(one.latencies_s, 50))
                if port == large.port:
                    lags_ms.append(probe.worst_ms)
    rows = {name: Row(f"page {name}", "ms", rounds) for name, rounds in times_ms.items()}
    head, deep = f"at the head of {FEW:,}", f"deep inside {FEW:,}"
    many_head, many_deep = f"at the head of {many:,}", f"deep inside {many:,}"
    return Report(
        "List",
        f"Pages of {PAGE} finished jobs, links included, at one connection; at the head with no cursor, deep inside by"
        f" {len(DEPTHS)} cursors by turns; {ROUNDS} rounds of {REQUESTS} pages at each place, each round its median."
        " The jobs are copies of a real one, inserted beside the service.",
        [
            *rows.values(),
            ratio(f"head, {many:,} / {FEW:,}", rows[many_head], rows[head], at_most=GROWTH),
            ratio(f"deep inside, {many:,} / {FEW:,}", rows[many_deep], rows[deep], at_most=GROWTH),
            ratio(f"deep inside / head, {many:,}", rows[many_deep], rows[many_head], at_most=GROWTH),
            Row(f"event loop's worst lag with {many:,}", "ms", lags_ms),
        ],
    )


def _page(key: str, query: str = "") -> bytes:
    return load.request("GET", f"{JOBS}?limit={PAGE}{query}", key=key)


def _deep_pages(port: int, key: str, stored: int) -> list[bytes]:
    pages = []
    for depth in DEPTHS:
        before = load.call(port, load.request("GET", f"{JOBS}?limit=1&skip={int(stored * depth)}", key=key))
        pages.append(_page(key, f"&cursor={json.loads(before.body)['next_cursor']}"))
    return pages


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=MANY, help="How many jobs are many, such as 200000.")
    given = parser.parse_args()
    show(lambda: measure(given.jobs))
