"""The type of a file, found from its first bytes and never from what a client says about it."""

from __future__ import annotations

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")
VIDEO_TYPES = ("video/mp4", "video/quicktime", "video/webm")
AUDIO_TYPES = ("audio/wav", "audio/mpeg", "audio/mp4", "audio/aac", "audio/flac", "audio/ogg")

UNKNOWN_TYPE = "application/octet-stream"

HEAD_BYTES = 1024
"""The type of a file is found from this many bytes at its start."""

# Old QuickTime files have no `ftyp`; they begin with one of these.
_QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip"}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}
# Brands of stills and of sequences of stills (ISO/IEC 23008-12, annexes B and C, and AV1 Image File Format 1.2).
_HEIF_BRANDS = {
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"miaf",
    b"MiHE", b"MiHA", b"MiHB", b"MiHM", b"1pic", b"jpeg", b"j2ki", b"vvic", b"evbi",
}  # fmt: skip
_AVIF_BRANDS = {b"avif", b"avis", b"avio", b"MA1A", b"MA1B"}
_PICTURE_BRANDS = _HEIF_BRANDS | _AVIF_BRANDS | {b"crx ", b"jp2 ", b"jpx ", b"jpm "}
# Brands that say only which edition of the format is used.
_VAGUE_BRANDS = {b"iso8", b"iso9", b"isoa", b"isob", b"isoc", b"unif", b"heif", b"jpgs"}
_EBML = b"\x1a\x45\xdf\xa3"

_CONVERT = "; convert it to PNG, JPEG or WebP"
_CONVERT_VIDEO = "; convert it to MP4"

_KINDS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", f"a GIF picture{_CONVERT}"),
    (b"II*\x00", f"a TIFF picture{_CONVERT}"),
    (b"MM\x00*", f"a TIFF picture{_CONVERT}"),
    (b"BM", f"a BMP picture{_CONVERT}"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", f"a JPEG 2000 picture{_CONVERT}"),
    (b"\xff\x4f\xff\x51", f"a JPEG 2000 picture{_CONVERT}"),
    (b"\xff\x0a", f"a JPEG XL picture{_CONVERT}"),
    (b"\x00\x00\x00\x0cJXL ", f"a JPEG XL picture{_CONVERT}"),
    (b"\x00\x00\x01\x00", f"an icon{_CONVERT}"),
    (b"8BPS", f"a Photoshop picture{_CONVERT}"),
    (b"FLV\x01", f"a Flash video{_CONVERT_VIDEO}"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", f"a Windows Media file{_CONVERT_VIDEO}"),
    (b"\x00\x00\x01\xba", f"an MPEG program stream{_CONVERT_VIDEO}"),
    (b"\x00\x00\x01\xb3", f"an MPEG video stream{_CONVERT_VIDEO}"),
    (b"\x06\x0e\x2b\x34", f"an MXF file{_CONVERT_VIDEO}"),
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


EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
}


def extension_of(content_type: str) -> str:
    """What the name of such a file ends with: ".webm"; ".bin" for what we do not know."""
    return EXTENSIONS.get(content_type, ".bin")


def content_type_of(head: bytes) -> str | None:
    """One of IMAGE_TYPES, VIDEO_TYPES or AUDIO_TYPES; None for everything else. `head` is how the file begins."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    brand = head[8:12]
    if head[4:8] == b"ftyp" and brand not in _AUDIO_BRANDS and not _is_picture(head):
        return "video/quicktime" if brand == b"qt  " else "video/mp4"
    if head[4:8] in _QUICKTIME_BOXES:
        return "video/quicktime"
    if head.startswith(_EBML) and b"webm" in head[:64]:
        return "video/webm"
    return _audio_type_of(head)


def _audio_type_of(head: bytes) -> str | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head[4:8] == b"ftyp" and head[8:12] in _AUDIO_BRANDS:
        return "audio/mp4"
    if head.startswith(b"ID3"):
        return "audio/mpeg"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        # A frame of MPEG audio: its layer is 3 in MP3 (01), and always 00 in AAC's own stream (ADTS).
        layer, version = head[1] & 0x06, head[1] & 0x18
        if layer == 0x02 and version != 0x08:
            return "audio/mpeg"
        if layer == 0 and head[1] & 0xF0 == 0xF0:
            return "audio/aac"
    return None


def is_text(head: bytes) -> bool:
    """Whether the file is text, such as an error page; an empty file counts as text."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start or start.startswith((b"{", b"[", b"<")):
        return True
    return kind_of(head) == "text"


def _brands(head: bytes) -> list[bytes]:
    """The major brand and then the compatible ones of a file that begins with `ftyp`."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def _is_picture(head: bytes) -> bool:
    """Whether the brands are those of stills. A major brand that says nothing leaves it to the compatible ones."""
    major, *compatible = _brands(head)
    return major in _PICTURE_BRANDS or (
        major in _VAGUE_BRANDS and bool(compatible) and compatible[0] in _PICTURE_BRANDS
    )


def _kind_of_brands(head: bytes) -> str:
    brands = set(_brands(head))
    if head[8:12] in _AUDIO_BRANDS:
        return "an audio file"
    if brands & _AVIF_BRANDS:
        return f"an AVIF picture{_CONVERT}"
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}:
        return f"a HEIC picture{_CONVERT}"
    if brands & {b"jp2 ", b"jpx ", b"jpm "}:
        return f"a JPEG 2000 picture{_CONVERT}"
    if head[8:12] == b"crx ":
        return f"a Canon raw picture{_CONVERT}"
    return f"a HEIF picture{_CONVERT}"


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes that each begin with 0x47; with a time code of 4 bytes before each they have 192."""
    return any(
        len(head) > start + 2 * size and all(head[start + number * size] == 0x47 for number in range(3))
        for start, size in ((0, 188), (4, 192))
    )


def kind_of(head: bytes) -> str:
    """What the file is, in words for a person: "a PDF", "text", "data of an unknown kind"."""
    if not head:
        return "an empty file"
    if content_type_of(head) in VIDEO_TYPES:
        return "a video"
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head)
    if head.startswith(_EBML):
        return "a Matroska file that is not WebM; convert it to MP4 or WebM"
    if _is_transport_stream(head):
        return f"an MPEG transport stream (MPEG-TS){_CONVERT_VIDEO}"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return f"an AVI video{_CONVERT_VIDEO}"
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
