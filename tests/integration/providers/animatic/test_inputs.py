"""Pictures of every kind that PNG has are drawn with the brightness that they have."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from rushes.providers.animatic.inputs import load_image

LEVELS = (0, 64, 128, 255)
"""Black, two greys and white, side by side."""
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, COLOUR: 3, GREY_ALPHA: 2, COLOUR_ALPHA: 4}


def png(kind: int, depth: int, levels: tuple[int, ...] = LEVELS) -> bytes:
    """A PNG with these levels of 8 bits as its columns; Pillow does not write all kinds."""
    row = b"\0"
    palette = b""
    if kind == PALETTE:
        row += bytes(range(len(levels)))
        palette = chunk(b"PLTE", b"".join(bytes([level] * 3) for level in levels))
    else:
        for level in levels:
            samples = [level] * SAMPLES[kind]
            if kind in (GREY_ALPHA, COLOUR_ALPHA):
                samples[-1] = 255
            row += b"".join(struct.pack(">H", sample * 257) if depth == 16 else bytes([sample]) for sample in samples)
    header = struct.pack(">IIBBBBB", len(levels), 4, depth, kind, 0, 0, 0)
    data = zlib.compress(row * 4)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def brightness(content: bytes, column: int) -> set[int]:
    """The values of red, green and blue in this column."""
    drawn = load_image(io.BytesIO(content), "input_image")
    assert drawn.mode == "RGB"
    pixel = drawn.getpixel((column, 1))
    assert isinstance(pixel, tuple)
    return set(pixel)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", [GREY, COLOUR, GREY_ALPHA, COLOUR_ALPHA])
def test_a_picture_keeps_its_brightness(kind: int, depth: int) -> None:
    for column, level in enumerate(LEVELS):
        assert all(abs(value - level) <= 1 for value in brightness(png(kind, depth), column)), (column, level)


def test_a_palette_keeps_its_brightness() -> None:
    assert [brightness(png(PALETTE, 8), column) for column in range(4)] == [{level} for level in LEVELS]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
def test_what_pillow_writes_keeps_black_and_white(mode: str) -> None:
    image = Image.new("L", (2, 4))
    image.paste(255, (1, 0, 2, 4))
    if mode == "I;16":
        deep = Image.new(mode, (2, 4))
        deep.paste(65_535, (1, 0, 2, 4))
    else:
        deep = image.convert(mode)
    written = io.BytesIO()
    deep.save(written, "PNG")
    assert [brightness(written.getvalue(), column) for column in range(2)] == [{0}, {255}]


@pytest.mark.parametrize("level", [1, 128, 255])
def test_a_deep_grey_of_one_value_is_not_stretched(level: int) -> None:
    assert all(abs(value - level) <= 1 for value in brightness(png(GREY, 16, (level, level)), 0))
