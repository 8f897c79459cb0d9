"""Two workers, each with a fixed number of jobs in flight: how much sooner is a load done that waits for others?"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

from bench import load, server
from bench.finishing import LOOK_S, completed
from bench.report import Report, Row, ratio, show
from bench.stored import GENERATIONS, working_folder

BATCH = 152
WARM_UP = 24
ROUNDS = 2
IN_FLIGHT = 25
POLL_INTERVAL_S = 0.5
CONNECTIONS = 8
RATIO = 0.6
ENDED_S = 60.0
BODY = json.dumps({"model": "gemini-omni-1.2-flash", "prompt": "a lighthouse #fake:ok"}).encode()
SETTINGS = {"RUSHES_POLL_INTERVAL_S": str(POLL_INTERVAL_S), "RUSHES_MOST_IN_FLIGHT": str(IN_FLIGHT)}


def measure() -> Report:
    """The report; half a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    with ExitStack() as closing:
        upstream = closing.enter_context(server.gemini(folder / "upstream"))
        database = server.on_postgres(closing.enter_context(server.postgres()).blank())
        settings = {**SETTINGS, **database, **server.at_gemini(upstream)}
        first = closing.enter_context(server.rushes(folder, **settings))
        key = server.live_key(folder, **database)
        one_s: list[float] = []
        both_s: list[float] = []
        for _ in range(ROUNDS):
            _seconds(first.port, key, WARM_UP)
            one_s.append(_seconds(first.port, key, BATCH))
            with server.rushes(folder, **settings):
                _seconds(first.port, key, WARM_UP)
                both_s.append(_seconds(first.port, key, BATCH))
    one, both = Row("one worker", "s", one_s), Row("two workers", "s", both_s)
    return Report(
        "Two workers",
        f"{BATCH} jobs at a fake Gemini API, which has each done at its third poll, polled every {POLL_INTERVAL_S} s;"
        f" a worker carries {IN_FLIGHT} at once. From the first create to the last completed, at one `rushes serve` and"
        f" then at two on the same Postgres, all creates at the first; {ROUNDS} rounds, each after {WARM_UP} jobs of"
        " warm-up.",
        [one, both, ratio("two / one", both, one, at_most=RATIO)],
    )


def _seconds(port: int, key: str, batch: int) -> float:
    done = completed(port, key) + batch
    began = time.monotonic()
    message = load.request("POST", GENERATIONS, key=key, body=BODY)
    load.run(port, [message], connections=CONNECTIONS, seconds=load.LONGEST_S, most=batch)
    while (count := completed(port, key)) < done:
        assert time.monotonic() < began + ENDED_S, count
        time.sleep(LOOK_S)  # noqa: TID251 - nothing else runs in this process
    return time.monotonic() - began


if __name__ == "__main__":
    show(measure)
