"""The engine in simulated worlds, one a seed: virtual time, providers with a memory, and everything that can go wrong.

A seed that fails prints the command that replays it. `RUSHES_CHAOS=1` plays as many as five minutes hold.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import pytest

from rushes.domain.job import MOVES, State
from tests.chaos.dose import dose
from tests.simulation.bad_engines import BAD_ENGINES, BadEngine
from tests.simulation.faults import Fault
from tests.simulation.world import simulate

SEEDS = dose(150, 300)
CHUNK = 50
FULL_S = 300
SEEDS_TO_FIND_A_BAD_ENGINE = 400

NEVER_MADE = {(State.SUBMITTING, State.STORING)}
"""A move that the table allows and the engine has no use for: an accepted submit always passes `running`."""


@dataclass(slots=True)
class Figures:
    """What many worlds come to."""

    seeds: int = 0
    jobs: int = 0
    generations: int = 0
    late_submits: int = 0
    virtual_s: float = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    moves: Counter[tuple[State, State]] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)

    def add(self, other: Figures) -> None:
        """Count another's worlds too."""
        self.seeds += other.seeds
        self.jobs += other.jobs
        self.generations += other.generations
        self.late_submits += other.late_submits
        self.virtual_s += other.virtual_s
        self.faults += other.faults
        self.moves += other.moves
        self.broken |= other.broken

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds, {self.jobs} jobs, {self.generations} accepted submits, "
            f"{self.faults.total()} faults of {len(self.faults)} kinds, "
            f"{self.moves.total()} moves of {len(self.moves)} kinds, "
            f"{self.virtual_s / 3600:.0f} hours of virtual time; {len(self.broken)} seeds broken, "
            f"{self.late_submits} submits after a lost lease"
        )


@functools.cache
def figures_of(first: int, seeds: int) -> Figures:
    figures = Figures()
    for seed in range(first, first + seeds):
        outcome = simulate(seed)
        figures.seeds += 1
        figures.jobs += outcome.jobs
        figures.generations += outcome.generations
        figures.late_submits += outcome.late_submits
        figures.virtual_s += outcome.virtual_s
        figures.faults += outcome.faults
        figures.moves += outcome.moves
        if outcome.broken is not None:
            figures.broken[seed] = f"{outcome.broken}; replay: python -m tests.simulation {seed}"
    return figures


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_goes_wrong_every_job_ends_once_and_is_paid_once(first: int) -> None:
    figures = figures_of(first, CHUNK)
    assert not figures.broken, "\n".join(figures.broken.values())


def test_the_seeds_meet_every_fault_and_every_move() -> None:
    figures = Figures()
    for first in range(0, SEEDS, CHUNK):
        figures.add(figures_of(first, CHUNK))
    print(figures)
    legal = {(was, to) for was, ends in MOVES.items() for to in ends}
    assert [fault for fault in Fault if not figures.faults[fault]] == []
    assert legal - set(figures.moves) == NEVER_MADE


def test_a_seed_plays_the_same_world_each_time() -> None:
    for seed in (1, 8, 24):
        assert simulate(seed).trace == simulate(seed).trace


def test_a_seed_plays_the_same_world_in_another_process() -> None:
    replay = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "24"],
        env={**os.environ, "PYTHONHASHSEED": "24"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert replay.stdout.splitlines()[:-2] == simulate(24).trace


@pytest.mark.parametrize("bad", BAD_ENGINES, ids=lambda bad: bad.apply.__name__)
def test_an_engine_with_one_fault_is_found_out(bad: BadEngine) -> None:
    said = first_complaint(bad)
    assert re.search(bad.said, said), said


def first_complaint(bad: BadEngine) -> str:
    with bad.apply():
        for seed in range(bad.first, bad.first + SEEDS_TO_FIND_A_BAD_ENGINE):
            broken = simulate(seed, bad.faults).broken
            if broken is not None:
                return str(broken)
    return f"nothing was found in {SEEDS_TO_FIND_A_BAD_ENGINE} seeds"


@pytest.mark.skipif(dose(0, 1) == 0, reason="five minutes of seeds are played when RUSHES_CHAOS=1")
@pytest.mark.timeout(3 * FULL_S)
def test_five_minutes_of_seeds() -> None:
    figures = Figures()
    end = time.monotonic() + FULL_S
    processes = os.cpu_count() or 1
    chunks = itertools.count(SEEDS, CHUNK)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        while time.monotonic() < end and not figures.broken:
            for part in pool.map(figures_of, *zip(*next_chunks(chunks, 2 * processes), strict=True)):
                figures.add(part)
    print(figures)
    assert not figures.broken, "\n".join(figures.broken.values())


def next_chunks(firsts: itertools.count[int], chunks: int) -> Sequence[tuple[int, int]]:
    return [(first, CHUNK) for first in itertools.islice(firsts, chunks)]
