"""From the start of the process to its first answer, and the memory it takes while it has nothing to do."""

from __future__ import annotations

import time
from pathlib import Path

from bench import server
from bench.machine import resident_mb
from bench.report import Report, Row, ratio, show
from bench.stored import copy_job, finish_a_job, working_folder

ROUNDS = 7
STORED = 10_000
REST_S = 1.0
"""How long a service is left alone before its memory is read."""
START_S = 0.8
IDLE_MB = 95.0
LIMITS = (
    "What limits the start is Python: of the time to import everything a third goes to what the framework makes of 103"
    " declared routes, an eighth to the framework itself, a tenth each to the settings, the HTTP client and the command"
    " line. Memory is mostly the same modules and the shapes that pydantic makes of them."
)


def measure() -> Report:
    """The report; about half a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    _, job_id = finish_a_job(folder / "existing")
    copy_job(folder / "existing", job_id, STORED - 1)
    fresh_s, existing_s, constant_s, idle_mb, constant_mb = [], [], [], [], []
    with server.constant_app(folder / "warm-up"), server.rushes(folder / "warm-up"):
        pass
    for number in range(ROUNDS):
        with server.rushes(folder / f"fresh-{number}") as service:
            fresh_s.append(service.start_s)
        with server.constant_app(folder / "constant") as constant:
            constant_s.append(constant.start_s)
            time.sleep(REST_S)  # noqa: TID251 - nothing else runs in this process
            constant_mb.append(resident_mb(constant.process_id))
        with server.rushes(folder / "existing") as service:
            existing_s.append(service.start_s)
            time.sleep(REST_S)  # noqa: TID251 - nothing else runs in this process
            idle_mb.append(resident_mb(service.process_id))
    fresh = Row("first answer, fresh data directory", "s", fresh_s, at_most=START_S)
    existing = Row("first answer, existing data directory", "s", existing_s, at_most=START_S)
    constant_start = Row("first answer, framework alone", "s", constant_s)
    idle = Row("memory when idle", "MB", idle_mb, at_most=IDLE_MB)
    constant_idle = Row("memory when idle, framework alone", "MB", constant_mb)
    return Report(
        "Start",
        f"{ROUNDS} rounds, files in the page cache, one core; the existing directory holds {STORED:,} finished jobs."
        f" Memory is the resident set of the serving process {REST_S:.0f} s after its first answer.",
        [
            fresh,
            existing,
            constant_start,
            ratio("fresh / framework alone", fresh, constant_start),
            ratio("existing / framework alone", existing, constant_start),
            idle,
            constant_idle,
            ratio("idle / framework alone", idle, constant_idle),
        ],
        [LIMITS],
    )


if __name__ == "__main__":
    show(measure)
