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


def upright(frame: VideoFrame, stream: VideoStream) -> Image:
    """The frame as a player shows it: with square pixels, and turned as the file asks for."""
    from PIL import Image as Pictures

    image: Image = frame.to_image()  # type: ignore[no-untyped-call]  # PyAV leaves it untyped
    width, height = shown_size(frame, stream)
    if frame.rotation % 180 != 0:
        width, height = height, width
    if image.size != (width, height):
        image = image.resize((width, height), Pictures.Resampling.BICUBIC)
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
