"""A picture as the encoder takes it, so that only changes are drawn: full-size brightness, half-size colour."""

from __future__ import annotations

from dataclasses import dataclass

import av
from PIL import Image

# BT.709, limited range: what players assume of HD video, and what the stream says of itself.
_TO_YUV = (
    *(0.1826, 0.6142, 0.0620, 16.0),
    *(-0.1006, -0.3386, 0.4392, 128.0),
    *(0.4392, -0.3989, -0.0403, 128.0),
)

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class YuvImage:
    """Y, U and V. Positions and sizes given to its methods are even pixels of the full-size picture."""

    y: Image.Image
    u: Image.Image
    v: Image.Image

    @classmethod
    def of(cls, picture: Image.Image) -> YuvImage:
        """The planes of an RGB picture with even sides."""
        y, u, v = picture.convert("RGB", _TO_YUV).split()
        return cls(y, u.reduce(2), v.reduce(2))

    def copy(self) -> YuvImage:
        """One that can be drawn on."""
        return YuvImage(self.y.copy(), self.u.copy(), self.v.copy())

    def paste(self, other: YuvImage, x: int, y: int) -> None:
        """Lay `other` over this at (x, y)."""
        self.y.paste(other.y, (x, y))
        self.u.paste(other.u, (x // 2, y // 2))
        self.v.paste(other.v, (x // 2, y // 2))

    def fill(self, colour: Colour, left: int, top: int, right: int, bottom: int) -> None:
        """Colour a rectangle; `colour` is RGB."""
        bright, blue, red = yuv(colour)
        self.y.paste(bright, (left, top, right, bottom))
        half = (left // 2, top // 2, right // 2, bottom // 2)
        self.u.paste(blue, half)
        self.v.paste(red, half)

    def stencil(self, colour: Colour, stencil: Stencil, x: int, y: int, shift: int = 0) -> None:
        """Colour through a stencil at (x, y), using the part of it from column `shift` to this picture's right edge."""
        bright, blue, red = yuv(colour)
        width, height = self.y.width - x, stencil.full.height
        self.y.paste(bright, (x, y), stencil.full.crop((shift, 0, shift + width, height)))
        box = (shift // 2, 0, shift // 2 + width // 2, height // 2)
        half = stencil.half.crop(box)
        self.u.paste(blue, (x // 2, y // 2), half)
        self.v.paste(red, (x // 2, y // 2), half)

    def blend(self, other: YuvImage, amount: float) -> YuvImage:
        """This picture dissolved into `other`, 0 to 1."""
        return YuvImage(
            Image.blend(self.y, other.y, amount),
            Image.blend(self.u, other.u, amount),
            Image.blend(self.v, other.v, amount),
        )


@dataclass(frozen=True, slots=True)
class Stencil:
    """A shape with soft edges, at both sizes that the planes need."""

    full: Image.Image
    half: Image.Image

    @classmethod
    def of(cls, shape: Image.Image) -> Stencil:
        """From a greyscale picture with even sides, white where colour goes."""
        return cls(shape, shape.reduce(2))


class Canvas(YuvImage):
    """The whole frame, its rows as long as the encoder's, so that a frame is three copies of memory."""

    @classmethod
    def of(cls, picture: Image.Image) -> Canvas:
        """A canvas that begins as the RGB picture."""
        planes = YuvImage.of(picture)
        blank = av.VideoFrame(picture.width, picture.height, "yuv420p")
        padded = []
        for plane, memory in zip((planes.y, planes.u, planes.v), blank.planes, strict=True):
            row = Image.new("L", (memory.line_size, memory.height))
            row.paste(plane, (0, 0))
            padded.append(row)
        return cls(*padded)

    def frame(self, width: int, height: int) -> av.VideoFrame:
        """What is drawn now, as a frame of its own."""
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, memory in zip((self.y, self.u, self.v), frame.planes, strict=True):
            memory.update(plane.tobytes())
        return frame


def yuv(colour: Colour) -> tuple[int, int, int]:
    """The Y, U and V of an RGB colour."""
    red, green, blue = colour
    rows = (_TO_YUV[0:4], _TO_YUV[4:8], _TO_YUV[8:12])
    y, u, v = (round(a * red + b * green + c * blue + offset) for a, b, c, offset in rows)
    return y, u, v
