"""What a file is, told by how it begins and never by what anyone says about it."""

from __future__ import annotations

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")
VIDEO_TYPES = ("video/mp4", "video/quicktime", "video/webm")

HEAD_BYTES = 1024
"""As much of a file as its type is told by."""

# Old QuickTime files have no `ftyp`; they begin with one of these.
_QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip"}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}
_PICTURE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"crx "}
_EBML = b"\x1a\x45\xdf\xa3"

_KINDS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
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
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<", "an HTML or XML document"),
)


def content_type_of(head: bytes) -> str | None:
    """One of IMAGE_TYPES or VIDEO_TYPES; None for everything else. `head` is how the file begins."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    brand = head[8:12]
    if head[4:8] == b"ftyp" and brand not in _AUDIO_BRANDS | _PICTURE_BRANDS:
        return "video/quicktime" if brand == b"qt  " else "video/mp4"
    if head[4:8] in _QUICKTIME_BOXES:
        return "video/quicktime"
    if head.startswith(_EBML) and b"webm" in head[:64]:
        return "video/webm"
    return None


def kind_of(head: bytes) -> str:
    """What the file is, in words for a person: "a PDF", "text", "data of an unknown kind"."""
    if not head:
        return "an empty file"
    if content_type_of(head) in VIDEO_TYPES:
        return "a video"
    if head[4:8] == b"ftyp":
        return "an audio file" if head[8:12] in _AUDIO_BRANDS else "a picture"
    if head.startswith(_EBML):
        return "a Matroska file that is not WebM"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind in _KINDS:
        if head.startswith(magic) or start[: len(magic)].lower() == magic.lower():
            return kind
    try:
        # The head may end inside a character; no character is longer than four bytes.
        is_text = head[: max(len(head) - 3, 1)].decode("utf-8", "strict").isprintable()
    except UnicodeDecodeError:
        is_text = False
    return "text" if is_text else "data of an unknown kind"
