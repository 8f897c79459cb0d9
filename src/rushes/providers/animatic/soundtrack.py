"""The sound: the audio that was given, or a quiet chord that swells and changes, in a key drawn from the seed."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from random import Random
from typing import BinaryIO

from rushes.providers.animatic.inputs import decoded_sound

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
    yield from _looped(b"".join(bar.tobytes() for bar in bars), duration_s)


def recorded(files: Sequence[BinaryIO], duration_s: float) -> Iterator[bytes]:
    """The track of these files, one after the other and again from the start while the film lasts.

    Raises ProviderRejected for one that cannot be decoded.
    """
    wanted = 2 * (round(duration_s * SAMPLE_RATE) + SAMPLE_RATE)
    track = bytearray()
    for file in files:
        for samples in decoded_sound(file, SAMPLE_RATE):
            track += samples
            if len(track) >= wanted:
                break
    yield from _looped(bytes(track), duration_s)


def _looped(loop: bytes, duration_s: float) -> Iterator[bytes]:
    """The samples over and over, a second at a time, fading out to the end."""
    total = round(duration_s * SAMPLE_RATE)
    fade_from = total - round(FADE_S * SAMPLE_RATE)
    for start in range(0, total, SAMPLE_RATE):
        count = min(SAMPLE_RATE, total - start)
        samples = array("h", _piece(loop, 2 * start % len(loop), 2 * count))
        for index in range(max(0, fade_from - start), count):
            samples[index] = samples[index] * (total - start - index) // (total - fade_from)
        yield samples.tobytes()


def _piece(loop: bytes, offset: int, size: int) -> bytes:
    """So many bytes from there on, around the end of the loop as often as it takes."""
    repeats = (offset + size) // len(loop) + 1
    return (loop if repeats == 1 else loop * repeats)[offset : offset + size]


def _bar(notes_hz: list[float]) -> array[int]:
    count = BAR_S * SAMPLE_RATE
    peak = LOUDEST * 32767 / len(notes_hz)
    paces = [math.tau * note_hz / SAMPLE_RATE for note_hz in notes_hz]
    sine = math.sin
    swell = math.pi / count
    return array("h", [round(peak * sine(swell * i) * sum([sine(pace * i) for pace in paces])) for i in range(count)])
