"""The caller's pictures and clips, scaled to the frame. An error names the field of a file that cannot be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import av
from PIL import Image, ImageFilter, ImageOps

from rushes.decoding.frames import upright
from rushes.decoding.video import broken_as, open_video, video_track
from rushes.errors import ProviderRejected
from rushes.providers.animatic.frame_layout import FRAMES_PER_S
from rushes.providers.animatic.yuv_image import YuvImage

MOST_PIXELS = 50_000_000
LONGEST_CLIP_S = 120
LONGEST_SIDE = 4096
DEEP_GREYS = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
# Each file is decoded as one of these or not at all: other formats can name further files or run programs.
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP")
_AUDIO_OPTIONS = {"format_whitelist": "wav,mp3,aac,flac,ogg,mov", "threads": "1"}

BACKDROP: tuple[int, int, int] = (10, 11, 14)


def load_image(file: BinaryIO, role: str, longest_side: int = LONGEST_SIDE) -> Image.Image:
    """An RGB picture the right way up, with sides of at most `longest_side` pixels.

    Raises ProviderRejected if it cannot be decoded or is too large.
    """
    try:
        with Image.open(file, formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ProviderRejected(
                    f"'{role}' has {image.width} x {image.height} pixels; animatic draws images of at most "
                    f"{MOST_PIXELS // 1_000_000} megapixels"
                )
            image.draft("RGB", (longest_side, longest_side))
            upright_image = ImageOps.exif_transpose(_eight_bits(image)).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise ProviderRejected(f"'{role}' is not an image that can be decoded") from exc
    upright_image.thumbnail((longest_side, longest_side))
    return upright_image


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


def still(image: Image.Image, size: tuple[int, int]) -> YuvImage:
    """The whole image, on a dark and blurred enlargement of itself where its ratio differs."""
    width, height = size
    small = ImageOps.fit(image, (max(2, width // 8), max(2, height // 8)), Image.Resampling.BILINEAR)
    soft = small.filter(ImageFilter.GaussianBlur(max(2, width // 160))).resize(size, Image.Resampling.BILINEAR)
    shot = Image.blend(soft, Image.new("RGB", size, BACKDROP), 0.62)
    fitted = ImageOps.contain(image, size, Image.Resampling.BICUBIC)
    shot.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    return YuvImage.of(shot)


class Clip:
    """An input video: how many of our frames it lasts, and those frames, one in memory at a time."""

    def __init__(self, file: BinaryIO, field: str = "video") -> None:
        self._file = file
        self._field = field
        with broken_as(self._undecodable), open_video(file) as container:
            if video_track(container) is None or container.duration is None:
                raise ProviderRejected(f"'{field}' has no video track of known length")
            duration_s = container.duration / av.time_base
        if duration_s > LONGEST_CLIP_S:
            raise ProviderRejected(
                f"'{field}' lasts {duration_s:.0f} s; animatic takes videos of at most {LONGEST_CLIP_S} s"
            )
        self.frames = max(1, round(duration_s * FRAMES_PER_S))

    def first(self) -> Image.Image:
        """Its first picture, as a player shows it."""
        with broken_as(self._undecodable), open_video(self._file) as container:
            stream = video_track(container)
            frame = None if stream is None else next(container.decode(stream), None)
            if stream is None or frame is None:
                raise ProviderRejected(f"'{self._field}' has no frame that can be decoded")
            return upright(frame, stream, (LONGEST_SIDE, LONGEST_SIDE))

    def _undecodable(self, _reason: str) -> ProviderRejected:
        return ProviderRejected(f"'{self._field}' is not a video that can be decoded")

    def pictures(self, size: tuple[int, int]) -> Iterator[YuvImage | None]:
        """One for each of `frames`: the picture, or None while the one before still stands."""
        with broken_as(self._undecodable), open_video(self._file) as container:
            yield from self._sample(container, size)

    def _sample(self, container: av.container.InputContainer, size: tuple[int, int]) -> Iterator[YuvImage | None]:
        stream = video_track(container)
        if stream is None:
            raise ProviderRejected("'video' has no video track")
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


def decoded_sound(file: BinaryIO, sample_rate: int) -> Iterator[bytes]:
    """The sound of an audio file as 16-bit mono samples, piece by piece."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
    file.seek(0)
    with broken_as(_undecodable_sound), av.open(file, mode="r", options=_AUDIO_OPTIONS) as container:
        if not container.streams.audio:
            raise _undecodable_sound("")
        track = container.streams.audio[0]
        track.codec_context.thread_count = 1
        for frame in container.decode(track):
            frame.pts = None
            for part in resampler.resample(frame):
                yield bytes(part.planes[0])[: part.samples * 2]
        for part in resampler.resample(None):
            yield bytes(part.planes[0])[: part.samples * 2]


def _undecodable_sound(_reason: str) -> ProviderRejected:
    return ProviderRejected("'reference_audios' has a file that cannot be decoded")


def _fitted(frame: av.VideoFrame, stream: av.VideoStream, size: tuple[int, int]) -> YuvImage:
    fitted = ImageOps.contain(upright(frame, stream, size), size, Image.Resampling.BILINEAR)
    shot = Image.new("RGB", size, BACKDROP)
    shot.paste(fitted, ((size[0] - fitted.width) // 2, (size[1] - fitted.height) // 2))
    return YuvImage.of(shot)
