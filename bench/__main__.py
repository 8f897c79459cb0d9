"""Carry out every measurement, or those that are named, and write what they say to RESULTS.md beside this file.

`python -m bench` measures everything. `python -m bench create read` measures these two and replaces their sections.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import rushes
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
MEASUREMENTS = {
    "litellm": litellm.measure,
    "create": create.measure,
    "read": read.measure,
    "list": listing.measure,
    "console": console.measure,
    "start": start.measure,
    "serve_file": serve_file.measure,
    "proxied": proxied.measure,
    "inline": inline.measure,
    "directory": transfer.directory,
    "bucket": transfer.bucket,
    "custody": custody.measure,
    "finishing": finishing.measure,
    "workers": workers.measure,
    "arrivals": arrivals.measure,
    "fairness": fairness.measure,
}

INTRODUCTION = """\
# Results of `make bench`

Written by the last run, on the machine named below. Look at the ratios: both sides of each were measured in this run,
by turns. The other figures are what one core of one machine did, beside whatever else it was doing. A section that was
measured by itself afterwards says when.
"""

SECTION = re.compile(r"^## ", re.MULTILINE)


def main(names: list[str]) -> None:
    """Measure, print and write. Exits with a message for a name that no measurement has."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        sys.exit(f"there is no measurement {', '.join(map(repr, unknown))}; there are {', '.join(MEASUREMENTS)}")
    began_at, began = datetime.now(UTC), time.perf_counter()
    facts = machine.describe()
    if names:
        moment = f"{began_at:%Y-%m-%d %H:%M} UTC, load before {facts['load before the run']}, rushes as of {_commit()}"
        reports = [show(MEASUREMENTS[name]) for name in names]
        RESULTS.write_text(_with_sections(RESULTS.read_text(), reports, f"Measured by itself: {moment}."))
    else:
        reports = [show(measure) for measure in MEASUREMENTS.values()]
        facts["run"] = f"{began_at:%Y-%m-%d %H:%M} UTC, {time.perf_counter() - began:.0f} s"
        RESULTS.write_text(_page(facts, reports))
    print(f"written: {RESULTS}")


def _page(facts: Mapping[str, str], reports: list[Report]) -> str:
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), ""]
    return "\n".join([INTRODUCTION, *table, *(report.markdown() for report in reports)])


def _with_sections(page: str, reports: list[Report], moment: str) -> str:
    """The page with these sections in place of those of the same question, a new question's at the end."""
    head, *sections = SECTION.split(page)
    by_question = {section.partition("\n")[0]: section.rstrip("\n") for section in sections}
    for report in reports:
        text = replace(report, setting=f"{report.setting} {moment}").markdown()
        by_question[report.question] = text.removeprefix("## ").rstrip("\n")
    return "\n\n## ".join([head.rstrip("\n"), *by_question.values()]) + "\n"


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent)
    return found.stdout.strip() or rushes.__version__


if __name__ == "__main__":
    main(sys.argv[1:])
