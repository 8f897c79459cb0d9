"""Sizes in pixels, such as `1280x720`, and the aspect ratio and resolution that they stand for."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Final

from rushes.catalogue.wording import listed, shown
from rushes.domain.request import VideoRequest
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption

ASPECT_RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21")
SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
SHORT_SIDES: Final = {
    360: "360p",
    480: "480p",
    540: "540p",
    720: "720p",
    768: "768p",
    1080: "1080p",
    1440: "1440p",
    2160: "4k",
}
COMMON: Final = (
    "1280x720", "720x1280", "1920x1080", "1080x1920", "3840x2160", "2160x3840",
    "640x360", "360x640", "854x480", "480x854", "720x720", "1080x1080",
)  # fmt: skip


ALIASES: Final = {
    "848x480": ("16:9", "480p"),
    "480x848": ("9:16", "480p"),
    "832x480": ("16:9", "480p"),
    "480x832": ("9:16", "480p"),
}
"""Sizes rounded to whole blocks, as open models make them, that go by the name of the ratio they are nearest to."""


def size_options(size: str) -> tuple[str, str]:
    """The aspect ratio and the resolution of a size such as `1280x720`.

    Raises InvalidRequest if it is not WIDTHxHEIGHT, UnsupportedOption if no model calls such a size by a name.
    """
    match = SIZE.fullmatch(size)
    if match is None:
        message = f"size {shown(size)} is not WIDTHxHEIGHT in pixels, such as '1280x720'"
        raise InvalidRequest(message, [FieldError("size", message)])
    if size in ALIASES:
        return ALIASES[size]
    width, height = int(match[1]), int(match[2])
    resolution = SHORT_SIDES.get(min(width, height))
    aspect_ratio = next((name for name in ASPECT_RATIOS if _is_of_ratio(width, height, _quotient(name))), None)
    if resolution is None or aspect_ratio is None:
        raise UnsupportedOption(
            f"size {shown(size)} is not offered; sizes are {listed(COMMON)} and the like", field="size"
        )
    return aspect_ratio, resolution


NAMED_SIDES: Final = {name: side for side, name in SHORT_SIDES.items()}


@functools.lru_cache(1024)
def pixels(resolution: str, aspect_ratio: str) -> str | None:
    """The size that an aspect ratio and a resolution stand for, such as `1280x720`: even numbers, as video wants them.

    None for a resolution that is not named for its short side (`720p`, `4k`), or a ratio that is not W:H.
    """
    short = NAMED_SIDES.get(resolution)
    if short is None and (line := re.fullmatch(r"([1-9][0-9]{1,3})p", resolution)):
        short = int(line[1])
    ratio = re.fullmatch(r"([1-9][0-9]?):([1-9][0-9]?)", aspect_ratio)
    if short is None or ratio is None:
        return None
    across, down = int(ratio[1]), int(ratio[2])
    long = 2 * round(short * max(across, down) / min(across, down) / 2)
    return f"{long}x{short}" if across >= down else f"{short}x{long}"


def with_size(request: VideoRequest, size: str) -> VideoRequest:
    """The request with the aspect ratio and the resolution that `size` stands for.

    Raises UnsupportedOption if it contradicts an aspect ratio or a resolution that was given, else as `size_options`.
    """
    aspect_ratio, resolution = size_options(size)
    for field, given, meant in (
        ("aspect_ratio", request.aspect_ratio, aspect_ratio),
        ("resolution", request.resolution, resolution),
    ):
        if given is not None and given != meant:
            raise UnsupportedOption(
                f"size {shown(size)} means {field} '{meant}', but {field} is {shown(given)}; give only one of the two",
                field="size",
            )
    return dataclasses.replace(request, aspect_ratio=aspect_ratio, resolution=resolution)


def _quotient(aspect_ratio: str) -> float:
    width, height = aspect_ratio.split(":")
    return int(width) / int(height)


def _is_of_ratio(width: int, height: int, ratio: float) -> bool:
    # Less than a pixel from exact: 854x480 is called 16:9 by everyone, though it is 427:240.
    return abs(width - height * ratio) < 1 if ratio >= 1 else abs(height - width / ratio) < 1
