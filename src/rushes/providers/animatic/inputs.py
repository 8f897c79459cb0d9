"""The caller's pictures and clips, made to fit. A file that cannot be decoded is refused by its field's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image, ImageFilter, ImageOps

from rushes.decoding.frames import upright
from rushes.errors import ProviderRejected
from rushes.providers.animatic.planes import Planes
from rushes.providers.animatic.sheet import FRAMES_PER_S

MOST_PIXELS = 50_000_000
LONGEST_CLIP_S = 120
# What a caller sends is decoded as one of these or not at all: other formats can name further files or run programs.
DEEP_GREYS = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP")
_VIDEO_OPTIONS = {"format_whitelist": "mov,matroska,webm,avi,mpegts,mpeg,flv", "protocol_whitelist": "file"}
_AUDIO_OPTIONS = {"format_whitelist": "wav,mp3,aac,flac,ogg,mov", "protocol_whitelist": "file"}

BACKDROP: tuple[int, int, int] = (10, 11, 14)


def load_image(path: Path, role: str) -> Image.Image:
    """An RGB picture the right way up. Raises ProviderRejected if it cannot be decoded or is too large."""
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as file:
            if file.width * file.height > MOST_PIXELS:
                raise ProviderRejected(
                    f"'{role}' has {file.width} x {file.height} pixels; animatic draws images of at most "
                    f"{MOST_PIXELS // 1_000_000} megapixels"
                )
            file.draft("RGB", (4096, 4096))
            return _eight_bits(ImageOps.exif_transpose(file)).convert("RGB")
    except FileNotFoundError as exc:
        raise _gone(role) from exc
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise ProviderRejected(f"'{role}' is not an image that can be decoded") from exc


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits a sample: Pillow clips deeper greys to white when it converts them."""
    if image.mode not in DEEP_GREYS:
        return image
    low, high = (0, 65535) if image.mode.startswith("I;16") else _range_of(image)
    scale = 255 / (high - low) if high > low else 1.0
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")


def _range_of(image: Image.Image) -> tuple[float, float]:
    """What counts as black and white: 16 bits, unless the image holds other values."""
    found = image.getextrema()
    low, high = float(found[0]), float(found[1])  # type: ignore[arg-type]  # of one band it is a pair of numbers
    return (0.0, 65535.0) if low >= 0 and high <= 65535 else (low, high)


def _gone(role: str) -> ProviderRejected:
    return ProviderRejected(f"'{role}' is no longer in the scratch directory, so the animatic cannot be drawn again")


def still(image: Image.Image, size: tuple[int, int]) -> Planes:
    """The whole image, on a dark and blurred enlargement of itself where its ratio differs."""
    width, height = size
    small = ImageOps.fit(image, (max(2, width // 8), max(2, height // 8)), Image.Resampling.BILINEAR)
    soft = small.filter(ImageFilter.GaussianBlur(max(2, width // 160))).resize(size, Image.Resampling.BILINEAR)
    shot = Image.blend(soft, Image.new("RGB", size, BACKDROP), 0.62)
    fitted = ImageOps.contain(image, size, Image.Resampling.BICUBIC)
    shot.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    return Planes.of(shot)


class Clip:
    """An input video: how many of our frames it lasts, and those frames, one in memory at a time."""

    def __init__(self, path: Path, field: str = "video") -> None:
        self._path = path
        self._field = field
        try:
            with av.open(str(path), options=_VIDEO_OPTIONS) as container:
                if not container.streams.video or container.duration is None:
                    raise ProviderRejected(f"'{field}' has no video track of known length")
                duration_s = container.duration / av.time_base
        except FileNotFoundError as exc:
            raise _gone(field) from exc
        except av.FFmpegError as exc:
            raise ProviderRejected(f"'{field}' is not a video that can be decoded") from exc
        if duration_s > LONGEST_CLIP_S:
            raise ProviderRejected(
                f"'{field}' lasts {duration_s:.0f} s; animatic takes videos of at most {LONGEST_CLIP_S} s"
            )
        self.frames = max(1, round(duration_s * FRAMES_PER_S))

    def first(self) -> Image.Image:
        """Its first picture, the right way up."""
        try:
            with av.open(str(self._path), options=_VIDEO_OPTIONS) as container:
                for frame in container.decode(video=0):
                    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]  # av's stub lacks types
                    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
        except av.FFmpegError as exc:
            raise ProviderRejected(f"'{self._field}' is not a video that can be decoded") from exc
        raise ProviderRejected(f"'{self._field}' has no frame that can be decoded")

    def pictures(self, size: tuple[int, int]) -> Iterator[Planes | None]:
        """One for each of `frames`: the picture, or None while the one before still stands."""
        try:
            with av.open(str(self._path), options=_VIDEO_OPTIONS) as container:
                yield from self._sample(container, size)
        except av.FFmpegError as exc:
            raise ProviderRejected("'video' is not a video that can be decoded") from exc

    def _sample(self, container: av.container.InputContainer, size: tuple[int, int]) -> Iterator[Planes | None]:
        stream = container.streams.video[0]
        decoded = container.decode(stream)
        current = next(decoded, None)
        if current is None:
            raise ProviderRejected("'video' has no frame that can be decoded")
        begins_s = current.time or 0.0
        shown, upcoming = None, next(decoded, None)
        for index in range(self.frames):
            at_s = begins_s + index / FRAMES_PER_S + 0.5 / FRAMES_PER_S
            while upcoming is not None and (upcoming.time or 0.0) <= at_s:
                current, upcoming = upcoming, next(decoded, None)
            yield None if current is shown else _fitted(current, stream, size)
            shown = current


def decoded_sound(path: Path, sample_rate: int) -> Iterator[bytes]:
    """The sound of an audio file as 16-bit mono samples, piece by piece."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
    try:
        with av.open(str(path), options=_AUDIO_OPTIONS) as container:
            for frame in container.decode(audio=0):
                frame.pts = None
                for part in resampler.resample(frame):
                    yield bytes(part.planes[0])[: part.samples * 2]
            for part in resampler.resample(None):
                yield bytes(part.planes[0])[: part.samples * 2]
    except FileNotFoundError as exc:
        raise _gone("reference_audios") from exc
    except (av.FFmpegError, IndexError) as exc:
        raise ProviderRejected("'reference_audios' has a file that cannot be decoded") from exc


def _fitted(frame: av.VideoFrame, stream: av.VideoStream, size: tuple[int, int]) -> Planes:
    image = upright(frame, stream)
    fitted = ImageOps.contain(image, size, Image.Resampling.BILINEAR)
    shot = Image.new("RGB", size, BACKDROP)
    shot.paste(fitted, ((size[0] - fitted.width) // 2, (size[1] - fitted.height) // 2))
    return Planes.of(shot)
