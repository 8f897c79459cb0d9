"""GET of a job, on each surface, against the same framework answering a constant of the same size."""

from __future__ import annotations

from pathlib import Path

from bench import lag, load, server
from bench.machine import computed_s
from bench.report import Report, Row, ratio, show
from bench.stored import JOBS, create_job, finish_a_job, working_folder

CONNECTIONS = 32
ROUNDS = 5
WARM_UP_S = 1.0
ROUND_S = 1.5
SHARE = 0.65
LIMITS = (
    "What limits a read is the core, and what it does that a constant does not: the key and the job are read from the"
    " database, the account takes turns with others, so that one request begins in a pass of the event loop, and each"
    " request has an id, a line in the log, metrics and strict headers. No part is more than an eighth."
)
POLL_TIMES = 1.3
"""How much more than our own read a poll of another surface may cost."""
FINISHED, QUIET = "a finished job", "a finished job without its line in the log"
PENDING, CONSTANT = "a pending job", "a constant"
OPENAI, OPENROUTER, GEMINI = "OpenAI's poll", "OpenRouter's poll", "Gemini's poll"
POLLS = (OPENAI, OPENROUTER, GEMINI)


def measure() -> Report:
    """The report; about half a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    (folder / "quiet").mkdir()
    key, finished_id = finish_a_job(folder)
    quiet_key, quiet_id = finish_a_job(folder / "quiet")
    rates: dict[str, list[float]] = {name: [] for name in (FINISHED, QUIET, PENDING, *POLLS, CONSTANT)}
    costs_us: dict[str, list[float]] = {name: [] for name in rates}
    lags_ms: dict[str, list[float]] = {name: [] for name in rates}
    busy = []
    with (
        server.rushes(folder, **server.NO_RENDERING) as service,
        server.rushes(folder / "quiet", **server.NO_RENDERING, RUSHES_LOG_REQUESTS="false") as quiet,
    ):
        pending_id = create_job(service.port, key)
        finished = load.request("GET", f"{JOBS}/{finished_id}", key=key)
        pending = load.request("GET", f"{JOBS}/{pending_id}", key=key)
        size_bytes = len(load.call(service.port, finished).body)
        with server.constant_app(folder / "constant", size_bytes=size_bytes) as constant:
            sides = {
                FINISHED: (service, finished),
                QUIET: (quiet, load.request("GET", f"{JOBS}/{quiet_id}", key=quiet_key)),
                PENDING: (service, pending),
                OPENAI: (service, load.request("GET", f"/v1/videos/{finished_id}", key=key)),
                OPENROUTER: (service, load.request("GET", f"/api/v1/videos/{finished_id}", key=key)),
                GEMINI: (service, load.request("GET", f"/v1beta/models/storyboard/operations/{finished_id}", key=key)),
                CONSTANT: (constant, load.request("GET", "/constant")),
            }
            for side, message in sides.values():
                load.run(side.port, [message], connections=CONNECTIONS, seconds=WARM_UP_S)
            for _ in range(ROUNDS):
                for name, (side, message) in sides.items():
                    with lag.probing(side.port) as probe:
                        before_s = computed_s(side.process_id)
                        one = load.run(side.port, [message], connections=CONNECTIONS, seconds=ROUND_S)
                    rates[name].append(one.per_second)
                    costs_us[name].append((computed_s(side.process_id) - before_s) * 1e6 / len(one.latencies_s))
                    lags_ms[name].append(probe.worst_ms)
                    busy.append(one.busy)
    rows = {name: Row(f"reads of {name}", "1/s", rounds) for name, rounds in rates.items()}
    costs = {name: Row(f"processor time of {name}", "µs", rounds) for name, rounds in costs_us.items()}
    return Report(
        "Read",
        f"GET at {CONNECTIONS} connections, the answer of a finished job with its signed link {size_bytes} bytes;"
        f" {ROUNDS} rounds of {ROUND_S} s for each by turns, after {WARM_UP_S:.0f} s of warm-up."
        " The constant comes from FastAPI on uvicorn with the same settings, and is logged by nobody; so is one of the"
        " finished jobs (RUSHES_LOG_REQUESTS=false). The others have their line in a file. The polls are of the same"
        " finished job on the other surfaces.",
        [
            *rows.values(),
            ratio(f"{FINISHED} / constant", rows[FINISHED], rows[CONSTANT], at_least=SHARE),
            ratio(f"{QUIET} / constant", rows[QUIET], rows[CONSTANT]),
            ratio(f"{PENDING} / constant", rows[PENDING], rows[CONSTANT]),
            *costs.values(),
            # Steadier than the rates on a machine that others use too.
            *(
                ratio(f"processor time, constant / {name}", costs[CONSTANT], costs[name])
                for name in (FINISHED, QUIET, PENDING)
            ),
            *(
                ratio(f"processor time, {name} / {FINISHED}", costs[name], costs[FINISHED], at_most=POLL_TIMES)
                for name in POLLS
            ),
            *(Row(f"event loop's worst lag, {name}", "ms", rounds) for name, rounds in lags_ms.items()),
            Row("load's own core", "busy", busy),
        ],
        [LIMITS],
    )


if __name__ == "__main__":
    show(measure)
