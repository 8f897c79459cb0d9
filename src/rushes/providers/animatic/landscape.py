"""The picture of a film that has none yet: hills under a low sun, drawn from the seed, passing at walking pace."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from rushes.providers.animatic.yuv_image import Colour, Stencil, YuvImage

SUPERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class Palette:
    """Sky from its top to the horizon, the sun, and the hills from far to near."""

    zenith: Colour
    horizon: Colour
    sun: Colour
    hills: tuple[Colour, Colour, Colour, Colour]


PALETTES = (
    Palette(
        (38, 50, 84), (232, 150, 108), (255, 226, 178), ((150, 104, 112), (104, 78, 100), (64, 55, 80), (30, 31, 50))
    ),
    Palette(
        (22, 62, 82), (176, 208, 190), (250, 244, 214), ((118, 164, 160), (72, 124, 128), (38, 84, 94), (18, 46, 58))
    ),
    Palette((28, 26, 58), (150, 98, 148), (246, 206, 214), ((112, 78, 128), (78, 58, 106), (50, 42, 80), (26, 25, 50))),
    Palette(
        (64, 98, 130), (238, 216, 178), (255, 250, 228), ((184, 170, 142), (138, 136, 112), (88, 98, 82), (44, 56, 50))
    ),
    Palette((16, 24, 46), (84, 120, 158), (226, 236, 246), ((66, 96, 132), (44, 70, 104), (28, 47, 76), (14, 25, 45))),
    Palette((92, 46, 52), (244, 176, 96), (255, 236, 190), ((186, 112, 80), (140, 76, 66), (92, 50, 54), (48, 28, 38))),
)


@dataclass(frozen=True, slots=True)
class _Ridge:
    colour: Colour
    stencil: Stencil
    top: int
    speed: float


class Landscape:
    """One landscape of even width and height, seen from a cart that moves a step at a time."""

    def __init__(self, width: int, height: int, chance: Random, steps: int) -> None:
        palette = chance.choice(PALETTES)
        self._sky = YuvImage.of(_sky(width, height, palette, chance))
        scale = min(width, height * 2) / 1280
        self._ridges = []
        for depth, colour in enumerate(palette.hills):
            speed = scale * (0.3, 0.8, 1.7, 3.4)[depth]
            length = width + 2 * math.ceil(steps * speed / 2) + 2
            top = 2 * round(height * (0.40, 0.52, 0.65, 0.80)[depth] / 2)
            relief = min(height, width) * (0.17, 0.13, 0.11, 0.08)[depth]
            shape = _ridge(length, height, top, relief, (2.2, 1.5, 1.0, 0.7)[depth] * 620 * max(scale, 0.1), chance)
            bounds = shape.getbbox()
            highest = 0 if bounds is None else bounds[1] - bounds[1] % 2
            stencil = Stencil.of(shape.crop((0, highest, length, height)))
            self._ridges.append(_Ridge(colour, stencil, highest, speed))

    def at(self, step: int) -> YuvImage:
        """The view after so many steps."""
        view = self._sky.copy()
        for ridge in self._ridges:
            view.stencil(ridge.colour, ridge.stencil, 0, ridge.top, shift=round(step * ridge.speed))
        return view


def _sky(width: int, height: int, palette: Palette, chance: Random) -> Image.Image:
    fade = Image.linear_gradient("L").resize((width, height), Image.Resampling.BILINEAR)
    sky = Image.composite(
        Image.new("RGB", (width, height), palette.horizon), Image.new("RGB", (width, height), palette.zenith), fade
    )
    radius = min(width, height) * chance.uniform(0.10, 0.16)
    x, y = width * chance.uniform(0.2, 0.8), height * chance.uniform(0.20, 0.34)
    for halo, strength in ((2.6, 22), (1.7, 34), (1.0, 255)):
        disc = _disc(width, height, x, y, radius * halo).point([level * strength // 255 for level in range(256)])
        sky.paste(palette.sun, (0, 0), disc)
    return sky


def _disc(width: int, height: int, x: float, y: float, radius: float) -> Image.Image:
    large = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    box = [SUPERSAMPLING * edge for edge in (x - radius, y - radius, x + radius, y + radius)]
    ImageDraw.Draw(large).ellipse(box, fill=255)
    return large.reduce(SUPERSAMPLING)


def _ridge(length: int, height: int, top: int, relief: float, wave: float, chance: Random) -> Image.Image:
    waves = [
        (relief * share, math.tau / (wave * stretch * chance.uniform(0.85, 1.15)), chance.uniform(0, math.tau))
        for share, stretch in ((0.5, 1.0), (0.28, 0.43), (0.12, 0.19), (0.05, 0.08))
    ]
    large = Image.new("L", (length * SUPERSAMPLING, height * SUPERSAMPLING))
    outline = []
    for x in range(0, length + 4, 4):
        y = top + sum(size * math.sin(x * pace + phase) for size, pace, phase in waves)
        outline.append((x * SUPERSAMPLING, y * SUPERSAMPLING))
    floor = height * SUPERSAMPLING
    ImageDraw.Draw(large).polygon([*outline, ((length + 4) * SUPERSAMPLING, floor), (0, floor)], fill=255)
    return large.reduce(SUPERSAMPLING)
