"""What an image file really is, found by decoding it."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from rushes.errors import UnusableInput
from rushes.media.sniff import HEAD_BYTES, IMAGE_TYPES, content_type_of, kind_of

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

MOST_PIXELS = 50_000_000

# What is sniffed as one of these is decoded by that one decoder: others could open further files or run programs.
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_TILE = (1024, 1024)
_ORIENTATION = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)
_END_OF_IMAGE = b"\xff\xd9"
MOST_SCANS = 100
"""A progressive JPEG is decoded once a scan, so a small file with thousands of scans takes minutes."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What we measured of an image: its size as a viewer shows it, after the rotation that its metadata asks for."""

    width: int
    height: int
    content_type: str


def probe_image(file: BinaryIO, subject: str) -> ImageFacts:
    """The facts of a still PNG, JPEG or WebP that decodes to its end; errors begin with `subject`.

    It blocks and runs decoders: call it in a boxed process. Raises UnusableInput; OSError if it cannot be read.
    """
    from PIL import Image

    # Both limits are ours: the header is read first, and says the size in a sentence that Pillow's warning does not.
    Image.MAX_IMAGE_PIXELS = None
    head = file.read(HEAD_BYTES)
    content_type = content_type_of(head)
    if content_type is None or content_type not in IMAGE_TYPES:
        raise UnusableInput(f"{subject} is not an image but {kind_of(head)}.")
    file.seek(0)
    try:
        with Image.open(file, formats=(_FORMATS[content_type],)) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise UnusableInput(
                    f"{subject} has {width} x {height} pixels; at most {MOST_PIXELS // 1_000_000} megapixels"
                    " are allowed."
                )
            # Phones append further pictures to a JPEG; every decoder shows the first.
            if content_type != "image/jpeg" and getattr(image, "n_frames", 1) > 1:
                raise UnusableInput(f"{subject} is an animation; send a still image, or a video as 'video'.")
            if content_type == "image/jpeg":
                _decode_jpeg(file, image, subject)
            else:
                image.load()
            if image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE:
                width, height = height, width
    except MemoryError as exc:
        raise UnusableInput(f"{subject} takes too much memory to decode.") from exc
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as exc:
        # Pillow raises OSError for what is cut off and SyntaxError for what is broken.
        raise UnusableInput(f"{subject} is a broken {_FORMATS[content_type]} image: it cannot be decoded.") from exc
    return ImageFacts(width, height, content_type)


def _decode_jpeg(file: BinaryIO, image: PillowImage, subject: str) -> None:
    """Decode it small, which still reads it to its end. Raises OSError if lines of it are missing."""
    file.seek(0)
    content = file.read()
    if count_scans(content) > MOST_SCANS:
        raise UnusableInput(f"{subject} is a JPEG of more than {MOST_SCANS} scans; save it anew with fewer.")
    try:
        image.draft("RGB", _TILE)
        image.load()
    except OSError:
        # Some cameras and programs leave the end marker out. If all lines are there, what follows changes none of them.
        if _pixels(content + _END_OF_IMAGE) != _pixels(content + _FILLER + _END_OF_IMAGE):
            raise


_FILLER = bytes(range(1, 255)) * 16
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_HAS_NO_LENGTH = frozenset({0x01, 0xD8})
_START_OF_SCAN = 0xDA
_END = 0xD9


def count_scans(content: bytes) -> int:
    """How many scans a JPEG has, counted up to one more than are allowed. One pass over the bytes."""
    scans, at = 0, 2
    while scans <= MOST_SCANS:
        marker = _MARKER.search(content, at)
        if marker is None or marker[1][0] == _END:
            return scans
        at = marker.end()
        if marker[1][0] in _HAS_NO_LENGTH:
            continue
        scans += marker[1][0] == _START_OF_SCAN
        at += max(2, int.from_bytes(content[at : at + 2], "big"))
    return scans


def _pixels(content: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        image.draft("RGB", _TILE)
        image.load()
        return image.tobytes()
