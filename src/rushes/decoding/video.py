"""Opening a stranger's video so that no frame of it can take more than its share."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_PIXELS: Final = 8192 * 4352
"""Of every frame: the largest level of H.264 and HEVC (6.2). A file of a few kilobytes can claim far larger ones."""

_DISK_ERRORS: Final = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOSPC, errno.EFBIG})
_EBML = b"\x1a\x45\xdf\xa3"


@contextmanager
def broken_as(error: Callable[[str], Exception]) -> Iterator[None]:
    """Raise `error` of a reason in words for whatever decoders raise at a broken file; errors of the disk pass through.

    A broken file also makes them seek to places that no file has.
    """
    import av

    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as exc:
        if isinstance(exc, OSError) and exc.errno in _DISK_ERRORS:
            raise
        raise error(getattr(exc, "strerror", None) or type(exc).__name__) from exc


def open_video(file: BinaryIO) -> InputContainer:
    """The MP4, QuickTime or WebM file, opened for decoding. Raises av.FFmpegError.

    Only these demuxers are used: others (playlists, concatenations) would open further files and addresses.
    """
    import av

    file.seek(0)
    demuxer = "matroska" if file.read(4) == _EBML else "mov"
    file.seek(0, os.SEEK_SET)
    return av.open(file, mode="r", format=demuxer, options={"max_pixels": str(MOST_PIXELS), "threads": "1"})


def video_track(container: InputContainer) -> VideoStream | None:
    """The first video track that is no cover picture, ready for decoding; None where the file has no such track."""
    import av

    cover = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & cover:
            # The codec checks every frame by this, not only the size that the file states first.
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            stream.codec_context.thread_count = 1
            return stream
    return None
