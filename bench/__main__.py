"""Carry out every measurement and write RESULTS.md beside this file."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    arrivals,
    console,
    create,
    custody,
    fairness,
    finishing,
    inline,
    litellm,
    machine,
    proxied,
    read,
    serve_file,
    start,
    transfer,
    workers,
)
from bench import list as listing
from bench.report import Report, show

RESULTS = Path(__file__).with_name("RESULTS.md")
MEASUREMENTS = (
    litellm.measure,
    create.measure,
    read.measure,
    listing.measure,
    console.measure,
    start.measure,
    serve_file.measure,
    proxied.measure,
    inline.measure,
    transfer.directory,
    transfer.bucket,
    custody.measure,
    finishing.measure,
    workers.measure,
    arrivals.measure,
    fairness.measure,
)

INTRODUCTION = """\
# Results of `make bench`

Written by the last run, on the machine named below. Look at the ratios: both sides of each were measured in this run,
by turns. The other figures are what one core of one machine did, beside whatever else it was doing.
"""


def main() -> None:
    """Measure, print and write."""
    began_at, began = datetime.now(UTC), time.perf_counter()
    facts = machine.describe()
    reports = [show(measure) for measure in MEASUREMENTS]
    facts["run"] = f"{began_at:%Y-%m-%d %H:%M} UTC, {time.perf_counter() - began:.0f} s"
    RESULTS.write_text(_page(facts, reports))
    print(f"written: {RESULTS}")


def _page(facts: dict[str, str], reports: list[Report]) -> str:
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), ""]
    return "\n".join([INTRODUCTION, *table, *(report.markdown() for report in reports)])


if __name__ == "__main__":
    main()
