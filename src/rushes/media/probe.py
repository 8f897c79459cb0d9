"""What a video file really is, found by decoding it and not by what anyone says about it."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from rushes.decoding.frames import shown_size
from rushes.decoding.video import MOST_PIXELS, broken_as, open_video, video_track
from rushes.errors import OutputInvalid
from rushes.media.sniff import HEAD_BYTES, VIDEO_TYPES, content_type_of, kind_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_SEGMENT = b"\x18\x53\x80\x67"

# PyAV names the decoder, of which a codec may have several.
_CODEC_NAMES = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What we measured of a video: its size as a player shows it, how long it lasts, and its codec ("h264")."""

    width: int
    height: int
    duration_s: float
    content_type: str
    codec: str


def probe_video(file: BinaryIO, subject: str = "The provider's file") -> VideoFacts:
    """The facts of an MP4, WebM or QuickTime file whose first frame decodes; errors begin with `subject`.

    It blocks and runs decoders: call it in a boxed process. Raises OutputInvalid with a sentence that says what the
    file is instead; OSError if it cannot be read.
    """
    head = file.read(HEAD_BYTES)
    size_bytes = file.seek(0, os.SEEK_END)
    content_type = content_type_of(head)
    if content_type not in VIDEO_TYPES:
        raise OutputInvalid(f"{subject} is not a video but {kind_of(head)}.")
    end = _webm_end(head) if content_type == "video/webm" else _last_box_end(file, size_bytes, subject)
    if end > size_bytes:
        raise OutputInvalid(f"{subject} is cut off: it is shorter than it says itself.")
    return _measure(file, content_type, subject)


# Boxes that stand at the top of a file (ISO/IEC 14496-12 and the QuickTime File Format).
_TOP_BOXES = frozenset(
    {
        b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"ssix", b"prft", b"emsg", b"pdin", b"meta",
        b"meco", b"free", b"skip", b"wide", b"uuid", b"udta", b"pnot", b"PICT", b"imda",
    }
)  # fmt: skip
# Boxes that no player needs. Bytes after the last box can look like one that is cut off.
_IDLE_BOXES = frozenset({b"free", b"skip", b"wide", b"uuid", b"udta", b"mfra", b"meco", b"pnot", b"PICT"})
MOST_BOXES = 100_000


def _last_box_end(file: BinaryIO, size_bytes: int, subject: str) -> int:
    """Where the last box of an MP4 or QuickTime file says that it ends: past the file's end if that was cut off.

    Bytes after the last box are no part of the video; cameras and servers append some, and every player ignores them.
    """
    position = 0
    for _ in range(MOST_BOXES):
        if position + 8 > size_bytes:
            return position
        file.seek(position)
        header = file.read(16)
        if header[4:8] not in _TOP_BOXES:
            return position
        (length,) = struct.unpack_from(">I", header)
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
        if length < 8:  # 0 means "up to the end"; the others are no box
            return position
        if header[4:8] in _IDLE_BOXES and position + length > size_bytes:
            return position
        position += length
    raise OutputInvalid(f"{subject} has more than {MOST_BOXES} boxes; that many are not read.")


def _webm_end(head: bytes) -> int:
    """Where a WebM's one segment says that it ends; 0 if it does not say, as in a live recording."""
    at = head.find(_SEGMENT)
    if at < 0 or at + 5 > len(head) or head[at + 4] == 0:
        return 0
    # EBML's variable-length integer: the leading zero bits of the first byte count the bytes that follow.
    first = head[at + 4]
    length = 9 - first.bit_length()
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << (7 * length)) - 1)
    is_unknown = value == (1 << (7 * length)) - 1
    return 0 if is_unknown else at + 4 + length + value


def _measure(file: BinaryIO, content_type: str, subject: str) -> VideoFacts:
    with (
        broken_as(lambda reason: OutputInvalid(f"{subject} cannot be played ({reason}).")),
        open_video(file) as container,
    ):
        stream = _video_track(container, subject)
        if stream.width * stream.height > MOST_PIXELS:
            raise OutputInvalid(
                f"{subject} has frames of {stream.width} x {stream.height} pixels; at most "
                f"{MOST_PIXELS // 1_000_000} megapixels are decoded."
            )
        frame = next(container.decode(stream), None)
        if frame is None:
            raise OutputInvalid(f"{subject} holds no video frame.")
        width, height = shown_size(frame, stream)
        duration_s = _duration_s(container, stream)
        codec = _CODEC_NAMES.get(stream.codec_context.name, stream.codec_context.name)
    if duration_s <= 0:
        raise OutputInvalid(f"{subject} is a video of no duration.")
    return VideoFacts(width, height, round(duration_s, 3), content_type, codec)


def _video_track(container: InputContainer, subject: str) -> VideoStream:
    track = video_track(container)
    if track is None:
        kind = "audio alone" if container.streams.audio else "no picture and no sound"
        raise OutputInvalid(f"{subject} is not a video: it holds {kind}.")
    return track


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None and stream.duration > 0 and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and container.duration > 0:
        return container.duration / 1_000_000
    # Live recordings do not say: the last packet does.
    container.seek(0)
    ends = [
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in container.demux(stream)
        if packet.pts is not None
    ]
    return max(ends, default=0.0)
