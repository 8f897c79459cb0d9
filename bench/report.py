"""What a measurement says: rows of rounds, each with its median and spread, and a goal where there is one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One figure, measured once a round. A goal is a bound on the median."""

    what: str
    unit: str
    rounds: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.rounds)

    @property
    def goal(self) -> str:
        """The bound and whether it holds; empty without one."""
        if self.at_least is not None:
            return f">= {_number(self.at_least)}: {'met' if self.median >= self.at_least else 'MISSED'}"
        if self.at_most is not None:
            return f"<= {_number(self.at_most)}: {'met' if self.median <= self.at_most else 'MISSED'}"
        return ""


@dataclass(frozen=True)
class Report:
    """The answer to one question. The setting says what a reader needs to repeat it."""

    question: str
    setting: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())

    def markdown(self) -> str:
        """A section with a table."""
        lines = [
            f"## {self.question}",
            "",
            self.setting,
            "",
            "| figure | unit | median | lowest | highest | goal |",
            "|---|---|---:|---:|---:|---|",
        ]
        lines += [
            f"| {row.what} | {row.unit} | {_number(row.median)} | {_number(min(row.rounds))}"
            f" | {_number(max(row.rounds))} | {row.goal} |"
            for row in self.rows
        ]
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*lines, ""])


def ratio(what: str, above: Row, below: Row, *, at_least: float | None = None, at_most: float | None = None) -> Row:
    """Two figures divided round by round, so that what disturbed both cancels out."""
    rounds = [one / other for one, other in zip(above.rounds, below.rounds, strict=True)]
    return Row(what, "ratio", rounds, at_least, at_most)


def percentile_ms(times_s: Sequence[float], percent: float) -> float:
    """The time that `percent` of them do not exceed, in milliseconds."""
    ordered = sorted(times_s)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


def show(measure: Callable[[], Report]) -> Report:
    """Carry out one measurement and print what it says."""
    began = time.perf_counter()
    report = measure()
    print(report.markdown(), flush=True)
    print(f"({time.perf_counter() - began:.0f} s)\n", flush=True)
    return report


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
