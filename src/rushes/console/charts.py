"""Charts as SVG, made here: they need no script, and say in words and shapes what colour alone would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 960
HEIGHT = 240
LEFT = 56
BOTTOM = 28
TOP = 12
MOST_LABELS = 8
GAP = 0.28
"""How much of a bar's place stays empty."""
PARTS = 4
"""How many parts the axis has, each with a line above it."""
STEPS = (1, 2, 2.5, 5, 10)
WHOLE_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its place in the drawing, and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Tick:
    """One line across the chart."""

    y: float
    value: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """What a template draws. `labels` are (x, text) below the axis."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    labels: Sequence[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


def bar_chart(values: Sequence[tuple[str, float]], *, counts: bool = False) -> BarChart:
    """A bar for each label and value, in their order; values are 0 or more. The axis of `counts` has no fractions."""
    top = max((value for _, value in values), default=0)
    top = PARTS * _round_up(max(1, top / PARTS), WHOLE_STEPS) if counts else _round_up(top, STEPS)
    room = HEIGHT - BOTTOM - TOP
    place = (WIDTH - LEFT) / max(1, len(values))
    bars, labels = [], []
    every = max(1, -(-len(values) // MOST_LABELS))
    for index, (label, value) in enumerate(values):
        height = round(room * value / top, 2)
        x = round(LEFT + place * index + place * GAP / 2, 2)
        bars.append(Bar(x, round(HEIGHT - BOTTOM - height, 2), round(place * (1 - GAP), 2), height, label, value))
        if index % every == 0:
            labels.append((round(LEFT + place * (index + 0.5), 2), label))
    ticks = [Tick(round(HEIGHT - BOTTOM - room * part / PARTS, 2), top * part / PARTS) for part in range(PARTS + 1)]
    return BarChart(bars, ticks, labels)


SMALLEST = 1e-9
"""A billionth of a dollar or a job."""


def _round_up(value: float, steps: Sequence[float]) -> float:
    """The next step of this size or a power of ten of it; 1 for what is too small to show."""
    if value < SMALLEST:
        return 1
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(step * power for step in steps if step * power >= value)
