"""What a video file really is, found by decoding it and not by what anyone says about it."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from rushes.errors import OutputInvalid

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_HEAD_BYTES = 1024
# Old QuickTime files have no `ftyp`; they begin with one of these.
_QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip"}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}
_PICTURE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"crx "}
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"

_OTHER_KINDS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file (AVI, WAV or WebP)"),
    (b"ID3", "an MP3 audio file"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC audio file"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"#EXTM3U", "a streaming playlist"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"<?xml", "an XML document"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<", "an HTML or XML document"),
)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What we measured of a video: its size as a player shows it, and how long it lasts."""

    width: int
    height: int
    duration_s: float
    content_type: str


def probe_video(path: str) -> VideoFacts:
    """The facts of an MP4, WebM or QuickTime file whose first frame decodes.

    It reads a file on disk and blocks: run it in an `Offload` child, so that a crash in a codec is not ours. Storage
    that has no local files copies the video to a temporary file first. Raises OutputInvalid with a sentence that says
    what the file is instead; OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        head = file.read(_HEAD_BYTES)
        content_type = _content_type(head)
        is_webm = content_type == "video/webm"
        if (_webm_end(head) if is_webm else _last_box_end(file, size_bytes)) > size_bytes:
            raise OutputInvalid("The provider's file is cut off: it is shorter than it says itself.")
        file.seek(0)
        width, height, duration_s = _measure(file, "matroska" if is_webm else "mov")
    return VideoFacts(width, height, duration_s, content_type)


def _content_type(head: bytes) -> str:
    brand = head[8:12]
    if head[4:8] == b"ftyp" and brand not in _AUDIO_BRANDS | _PICTURE_BRANDS:
        return "video/quicktime" if brand == b"qt  " else "video/mp4"
    if head[4:8] in _QUICKTIME_BOXES:
        return "video/quicktime"
    if head.startswith(_EBML) and b"webm" in head[:64]:
        return "video/webm"
    raise OutputInvalid(f"The provider's file is not a video but {_other_kind(head)}.")


def _other_kind(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp":
        return "an audio file" if head[8:12] in _AUDIO_BRANDS else "a picture"
    if head.startswith(_EBML):
        return "a Matroska file that is not WebM"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind in _OTHER_KINDS:
        if head.startswith(magic) or start[: len(magic)].lower() == magic.lower():
            return kind
    try:
        # The head may end inside a character; no character is longer than four bytes.
        is_text = head[: max(len(head) - 3, 1)].decode("utf-8", "strict").isprintable()
    except UnicodeDecodeError:
        is_text = False
    return "text" if is_text else "data of an unknown kind"


def _last_box_end(file: BinaryIO, size_bytes: int) -> int:
    """Where the last box of an MP4 or QuickTime file says that it ends: past the file's end if that was cut off."""
    position = 0
    while position + 8 <= size_bytes:
        file.seek(position)
        header = file.read(16)
        (length,) = struct.unpack_from(">I", header)
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
        if length < 8:  # 0 means "up to the end"; the others are trailing rubbish that players ignore
            return position
        position += length
    return position


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


def _measure(file: BinaryIO, demuxer: str) -> tuple[int, int, float]:
    import av

    try:
        # The demuxer is named, because others (playlists, concatenations) would open further files and addresses.
        with av.open(file, mode="r", format=demuxer) as container:
            stream = _video_stream(container)
            frame = next(container.decode(stream), None)
            if frame is None:
                raise OutputInvalid("The provider's file holds no video frame.")
            width, height = frame.width, frame.height
            if frame.rotation % 180 != 0:
                width, height = height, width
            duration_s = _duration_s(container, stream)
    except av.error.FFmpegError as error:
        raise OutputInvalid(
            f"The provider's file cannot be played ({error.strerror or type(error).__name__})."
        ) from error
    if duration_s <= 0:
        raise OutputInvalid("The provider's file is a video of no duration.")
    return width, height, round(duration_s, 3)


def _video_stream(container: InputContainer) -> VideoStream:
    import av

    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        kind = "audio alone" if container.streams.audio else "no picture and no sound"
        raise OutputInvalid(f"The provider's file is not a video: it holds {kind}.")
    return streams[0]


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
