"""A quiet chord that swells and changes, in a key drawn from the seed."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from random import Random

SAMPLE_RATE = 24_000
BAR_S = 2
LOUDEST = 0.16
FADE_S = 0.5

_PROGRESSIONS = (
    ((0, 7, 16), (-3, 9, 12)),
    ((0, 7, 16), (5, 9, 12)),
    ((0, 3, 7), (-4, 3, 8)),
    ((0, 7, 14), (-2, 5, 14)),
)
"""Two bars each, in semitones above the key note."""


def seconds(duration_s: float, chance: Random) -> Iterator[bytes]:
    """The track a second at a time, 16-bit mono, fading out to its end; a part of a second comes last."""
    key_hz = 130.81 * 2 ** (chance.randrange(12) / 12)
    bars = [_bar([key_hz * 2 ** (note / 12) for note in chord]) for chord in chance.choice(_PROGRESSIONS)]
    loop = b"".join(bar.tobytes() for bar in bars)
    total = round(duration_s * SAMPLE_RATE)
    fade_from = total - round(FADE_S * SAMPLE_RATE)
    for start in range(0, total, SAMPLE_RATE):
        count = min(SAMPLE_RATE, total - start)
        offset = 2 * start % len(loop)
        samples = array("h", loop[offset : offset + 2 * count])
        for index in range(max(0, fade_from - start), count):
            samples[index] = samples[index] * (total - start - index) // (total - fade_from)
        yield samples.tobytes()


def _bar(notes_hz: list[float]) -> array[int]:
    count = BAR_S * SAMPLE_RATE
    peak = LOUDEST * 32767 / len(notes_hz)
    paces = [math.tau * note_hz / SAMPLE_RATE for note_hz in notes_hz]
    sine = math.sin
    swell = math.pi / count
    return array("h", [round(peak * sine(swell * i) * sum([sine(pace * i) for pace in paces])) for i in range(count)])
