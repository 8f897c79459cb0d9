"""What boxed processes are asked to do with a file: inspect an input, measure a result, draw a poster.

Each function is a task of `rushes.decoding.box`: the files are open, the answer is JSON or bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, BinaryIO

from rushes.decoding.frames import upright
from rushes.decoding.video import broken_as, open_video, video_track
from rushes.errors import OutputInvalid, UnusableInput
from rushes.media.picture import probe_image
from rushes.media.probe import probe_video
from rushes.media.sniff import AUDIO_TYPES, HEAD_BYTES, VIDEO_TYPES, content_type_of
from rushes.media.sound import probe_audio

CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
"""Encodings of video that are taken as inputs: players and providers read these."""

LONGEST_POSTER_SIDE = 640
AT_FRACTION = 0.1
"""The very first frame is often black or a fade."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a usable input file is: a size unless it is audio, a length unless it is an image."""

    content_type: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


def inspect_input(files: Sequence[int], subject: str, as_audio: bool) -> dict[str, Any]:
    """The facts of an input file, as JSON; errors begin with `subject`. Raises UnusableInput."""
    with open(files[0], "rb") as file:
        return asdict(facts_of(file, subject, as_audio=as_audio))


def measure_output(files: Sequence[int]) -> dict[str, Any]:
    """The facts of a video, as JSON. Raises OutputInvalid."""
    with open(files[0], "rb") as file:
        return asdict(probe_video(file))


def draw_poster(files: Sequence[int]) -> bytes:
    """A frame from a tenth into the video, as JPEG of at most 640 pixels a side. Raises OutputInvalid."""
    with open(files[0], "rb") as file:
        return poster_of(file)


def facts_of(file: BinaryIO, subject: str, *, as_audio: bool = False) -> Facts:
    """The facts of an image, a video of one of `CODECS`, or audio. Raises UnusableInput.

    `as_audio` takes a file that begins like a video for audio.
    """
    content_type = content_type_of(file.read(HEAD_BYTES))
    file.seek(0)
    if as_audio or content_type in AUDIO_TYPES:
        audio = probe_audio(file, subject)
        return Facts(audio.content_type, duration_s=audio.duration_s)
    if content_type not in VIDEO_TYPES:
        image = probe_image(file, subject)
        return Facts(image.content_type, image.width, image.height)
    try:
        video = probe_video(file, subject)
    except OutputInvalid as exc:
        raise UnusableInput(exc.message) from exc
    if video.codec not in CODECS:
        raise UnusableInput(f"{subject} is encoded as '{video.codec}'; a video must be one of {', '.join(CODECS)}.")
    return Facts(video.content_type, video.width, video.height, video.duration_s)


def poster_of(file: BinaryIO) -> bytes:
    """A frame from a tenth into the video, as a player shows it, as JPEG. Raises OutputInvalid."""
    content_type = content_type_of(file.read(HEAD_BYTES))
    if content_type not in VIDEO_TYPES:
        raise OutputInvalid("The file is not a video, so it has no poster")
    with (
        broken_as(lambda reason: OutputInvalid(f"The video cannot be played ({reason})")),
        open_video(file) as container,
    ):
        stream = video_track(container)
        if stream is None:
            raise OutputInvalid("The video has no picture")
        if container.duration:
            container.seek(int(container.duration * AT_FRACTION))
        frame = next(container.decode(stream), None)
        if frame is None:
            raise OutputInvalid("The video has no frame that could be its poster")
        image = upright(frame, stream, (LONGEST_POSTER_SIDE, LONGEST_POSTER_SIDE))
    content = BytesIO()
    image.convert("RGB").save(content, "JPEG", quality=82)
    return content.getvalue()
