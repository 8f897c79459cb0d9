"""What an image file really is, found by decoding it."""

from __future__ import annotations

from dataclasses import dataclass

from rushes.errors import UnusableInput
from rushes.media.sniff import HEAD_BYTES, IMAGE_TYPES, content_type_of, kind_of

MOST_PIXELS = 50_000_000

# What is sniffed as one of these is decoded by that one decoder: others could open further files or run programs.
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_TILE = (1024, 1024)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What we measured of an image: its size as stored, before any rotation that its metadata asks for."""

    width: int
    height: int
    content_type: str


def probe_image(path: str, subject: str) -> ImageFacts:
    """The facts of a still PNG, JPEG or WebP that decodes to its end; errors begin with `subject`.

    It blocks and takes memory: run it in a child process. Raises UnusableInput; OSError if the file cannot be read.
    """
    from PIL import Image

    # Both limits are ours: the header is read first, and says the size in a sentence that Pillow's warning does not.
    Image.MAX_IMAGE_PIXELS = None
    with open(path, "rb") as file:
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
                # A JPEG decoded small is still read to its end.
                image.draft("RGB", _TILE)
                image.load()
        except MemoryError as exc:
            raise UnusableInput(f"{subject} takes too much memory to decode.") from exc
        except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as exc:
            # Pillow raises OSError for what is cut off and SyntaxError for what is broken.
            raise UnusableInput(f"{subject} is a broken {_FORMATS[content_type]} image: it cannot be decoded.") from exc
    return ImageFacts(width, height, content_type)
