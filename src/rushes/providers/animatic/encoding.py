"""Writing the MP4: H.264 and AAC, playable while it loads, the same bytes for the same film."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import av

from rushes.providers.animatic.frame_layout import FRAMES_PER_S
from rushes.providers.animatic.soundtrack import SAMPLE_RATE

# One thread and no clock in the metadata: the bytes must not depend on the machine's load or the time of day.
_CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
_X264_OPTIONS = {"preset": "ultrafast", "crf": "21", "x264-params": "threads=1:keyint=48:scenecut=0:cabac=1:8x8dct=1"}
BT709 = 1
LIMITED_RANGE = 1


def write_film(
    film: int,
    written: int,
    size: tuple[int, int],
    frames: Iterable[av.VideoFrame],
    sound: Iterator[bytes] | None,
    metadata: dict[str, str],
) -> None:
    """Encode all frames, with a second of sound after each second of them.

    `film` is the file to write and `written` the same one opened for reading, which moving the index to the front
    takes. Raises av.FFmpegError or OSError.
    """

    def reopened(_url: str, _flags: int, _options: dict[str, Any]) -> BinaryIO:
        return open(written, "rb", closefd=False)

    with (
        open(film, "r+b", closefd=False) as file,
        av.open(file, "w", format="mp4", options=_CONTAINER_OPTIONS, io_open=reopened) as container,
    ):
        container.metadata.update(metadata)
        video = container.add_stream("libx264", rate=FRAMES_PER_S, options=_X264_OPTIONS)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.thread_count = 1
        video.codec_context.time_base = Fraction(1, FRAMES_PER_S)
        video.codec_context.colorspace = BT709
        video.codec_context.color_primaries = BT709
        video.codec_context.color_trc = BT709
        video.codec_context.color_range = LIMITED_RANGE
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            audio.bit_rate = 64_000
        played = 0
        for index, frame in enumerate(frames):
            frame.pts = index
            container.mux(video.encode(frame))
            if audio is not None and sound is not None and index % FRAMES_PER_S == 0:
                samples = next(sound, b"")
                if samples:
                    container.mux(audio.encode(_audio_frame(samples, played)))
                    played += len(samples) // 2
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))


def _audio_frame(samples: bytes, played: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples) // 2)
    frame.planes[0].update(samples.ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate = SAMPLE_RATE
    frame.time_base = Fraction(1, SAMPLE_RATE)
    frame.pts = played
    return frame
