"""One account's jobs, alone and beside another's 10,000 and a provider that hangs: how much later do they begin?"""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench import load, server
from bench.report import Report, Row, percentile_ms, ratio, show
from bench.stored import GENERATIONS, copy_into_queue, working_folder

BACKLOG = 10_000
HUNG = 4_000
MOST_IN_FLIGHT = 1_000
ROUNDS = 3
JOBS = 80
"""Of the account that is measured, in each round."""
WARM_UP = 8
PACE_S = 0.03
POLL_INTERVAL_S = 0.2
POLLS = 3
"""How often the fake is asked until a video is done."""
PATIENCE_S = 20.0
RATIO = 2.0
SETTLED_S = 1.5
"""From its start until a service has as many jobs under way as it can."""
DONE = "served_model = 'ltx-2' AND state = 'succeeded'"
TIMES = """
SELECT started_at - created_at, completed_at - started_at FROM jobs
WHERE id IN (SELECT id FROM jobs WHERE served_model = 'ltx-2' AND state = 'succeeded' ORDER BY seq DESC LIMIT ?)
"""


def measure() -> Report:
    """The report; most of a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    starts: dict[bool, list[list[float]]] = {False: [], True: []}
    ends: dict[bool, list[list[float]]] = {False: [], True: []}
    hung: list[int] = []
    with server.openai_shape(folder / "upstream") as upstream, _hanging() as hung_url:
        settings = {
            "RUSHES_POLL_INTERVAL_S": str(POLL_INTERVAL_S),
            "RUSHES_MOST_IN_FLIGHT": str(MOST_IN_FLIGHT),
            # Or each stop would wait for the answers of the provider that gives none.
            "RUSHES_DRAIN_S": "0",
            **server.own_server(
                "gpu", f"http://127.0.0.1:{upstream.port}", {"id": "wan-2.2", "concurrency": 4}, "ltx-2"
            ),
            **server.own_server("hung", hung_url, "wan-2.2"),
        }
        for _ in range(ROUNDS):
            for is_beside in (False, True):
                place = folder / ("beside" if is_beside else "alone")
                is_new = not server.data_dir(place).exists()
                with server.rushes(place, **settings) as service:
                    if is_beside and is_new:
                        _fill(place, service.port)
                    time.sleep(SETTLED_S)  # noqa: TID251 - nothing else runs in this process
                    _round(place, service.port, WARM_UP)
                    begun, ended = _round(place, service.port, JOBS)
                    if is_beside:
                        hung.append(_count(place, "served_provider = 'hung' AND lease IS NOT NULL"))
                starts[is_beside].append(begun)
                ends[is_beside].append(ended)
    rows = []
    for what, times in (("from accepted to begun", starts), ("poll, fetch and store beyond the interval", ends)):
        for percent in (50, 99):
            alone, beside = (
                Row(f"{what}, p{percent}, {how}", "ms", [percentile_ms(round_s, percent) for round_s in times[which]])
                for which, how in ((False, "alone"), (True, "beside"))
            )
            goal = RATIO if percent == 99 else None
            rows += [alone, beside, ratio(f"{what}, p{percent}, beside to alone", beside, alone, at_most=goal)]
    rows.append(Row("jobs at the provider that hangs, after a round", "count", hung))
    return Report(
        "Fairness",
        f"An account asks for {JOBS} jobs a round, one every {PACE_S * 1000:.0f} ms, at a fake model server in a"
        f" process of its own, which is polled every {POLL_INTERVAL_S} s; alone, and beside another account's"
        f" {BACKLOG:,} jobs for a model of the same server that takes 4 at once and its {HUNG:,} jobs at a"
        f" provider that takes connections and never answers. Two services on SQLite take turns, each started anew for"
        f" a round, with room for {MOST_IN_FLIGHT:,} jobs and some jobs done before.",
        rows,
    )


def _round(folder: Path, port: int, jobs: int) -> tuple[list[float], list[float]]:
    """How long each of a round's jobs waited to begin, and then beyond what its provider took, in seconds."""
    key = server.live_key(folder, account="measured")
    body = json.dumps({"provider": "gpu", "model": "ltx-2", "prompt": "a boat"}).encode()
    message = load.request("POST", GENERATIONS, key=key, body=body)
    before = _count(folder, DONE)
    began = time.perf_counter()
    for number in range(jobs):
        time.sleep(max(0.0, began + number * PACE_S - time.perf_counter()))  # noqa: TID251 - nothing else runs here
        answer = load.call(port, message)
        assert answer.status == 200, answer
    while _count(folder, DONE) < before + jobs:
        assert time.perf_counter() - began < PATIENCE_S, "the measured account's jobs do not end"
        time.sleep(0.1)  # noqa: TID251 - likewise
    with closing(_reader(folder)) as database:
        times = database.execute(TIMES, [jobs]).fetchall()
    return [start / 1000 for start, _ in times], [end / 1000 - POLLS * POLL_INTERVAL_S for _, end in times]


def _fill(folder: Path, port: int) -> None:
    key = server.live_key(folder, account="many")
    for provider, copies in (("gpu", BACKLOG), ("hung", HUNG)):
        body = json.dumps({"provider": provider, "model": "wan-2.2", "prompt": "a lighthouse"}).encode()
        answer = load.call(port, load.request("POST", GENERATIONS, key=key, body=body))
        assert answer.status == 200, answer
        copy_into_queue(folder, json.loads(answer.body)["job_id"], copies)


def _count(folder: Path, condition: str) -> int:
    with closing(_reader(folder)) as database:
        ((count,),) = database.execute(f"SELECT COUNT(*) FROM jobs WHERE {condition}").fetchall()
        return int(count)


def _reader(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{server.data_dir(folder) / 'rushes.db'}?mode=ro", uri=True, timeout=5)


@contextmanager
def _hanging() -> Iterator[str]:
    """The URL of a server for which the kernel takes connections, and nobody ever reads from them."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


if __name__ == "__main__":
    show(measure)
