"""Frames as a player shows them: with square pixels, and turned as the file asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

MOST_STRETCH = 8
"""A sample aspect ratio beyond this is taken for an error in the file."""


def shown_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Width and height as a player shows the frame: its pixels stretched to squares, and then turned upright."""
    width, height = frame.width, frame.height
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if ratio is not None and ratio > 0 and MOST_STRETCH >= ratio >= 1 / MOST_STRETCH:
        width = max(1, round(width * ratio))
    return (height, width) if frame.rotation % 180 != 0 else (width, height)


def upright(frame: VideoFrame, stream: VideoStream, within: tuple[int, int] | None = None) -> Image:
    """The frame as a player shows it: with square pixels, turned as the file asks for, and no larger than `within`."""
    width, height = shown_size(frame, stream)
    if within is not None:
        scale = min(1.0, within[0] / width, within[1] / height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    if frame.rotation % 180 != 0:
        width, height = height, width
    # Scaled by the decoder's own scaler, so that a large frame is never held in a second copy.
    # One thread, because a boxed process cannot start any.
    way = "AREA" if width < frame.width else "BICUBIC"
    image: Image = frame.to_image(  # type: ignore[no-untyped-call]  # PyAV leaves it untyped
        width=width, height=height, interpolation=way, threads=1
    )
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
