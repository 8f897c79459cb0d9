"""Files as cameras, phones and servers make them: accepted where every player shows them, and named where not."""

from __future__ import annotations

import io
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from rushes.decoding.box import Box
from rushes.domain.output import StoredVideo
from rushes.errors import OutputIsText, UnusableInput
from rushes.media.decoder import Decoder
from rushes.media.inspection import poster_of
from rushes.media.local import LocalStorage
from rushes.media.output_store import OutputStore
from rushes.media.picture import MOST_SCANS, count_scans, probe_image
from rushes.media.probe import probe_video
from rushes.media.sniff import content_type_of, extension_of, kind_of
from rushes.shared_places import SharedPlaces
from tests.fixtures.media import image, video


def content_of(path: Path) -> io.BytesIO:
    return io.BytesIO(path.read_bytes())


TRAILERS = [b"<!-- cdn -->", b"\0" * 40, b"8db42d694ccc418790edff439fe026bf", b"{}", bytes(range(256)), b"\xff" * 9]


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm"])
def test_bytes_after_the_last_box_are_no_part_of_a_video(tmp_path: Path, suffix: str, trailer: bytes) -> None:
    path = tmp_path / f"a.{suffix}"
    content = video(path, "libvpx" if suffix == "webm" else "libx264")
    before = probe_video(content_of(path))
    path.write_bytes(content + trailer)
    assert probe_video(content_of(path)) == before


def stretched(path: Path, size: tuple[int, int], ratio: Fraction) -> None:
    """A video whose pixels are not square."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.sample_aspect_ratio = ratio
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(*size, "yuv420p")))
        container.mux(stream.encode())


def turned(content: bytes, degrees: int) -> bytes:
    """The MP4 with a rotation in its track header, as phones write it."""
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    return content[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[at + 36 :]


@pytest.mark.parametrize(
    ("size", "ratio", "shown"),
    [
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 480), Fraction(8, 9), (640, 480)),
        ((64, 48), Fraction(1), (64, 48)),
    ],
)
def test_pixels_that_are_not_square_are_measured_as_shown(
    tmp_path: Path, size: tuple[int, int], ratio: Fraction, shown: tuple[int, int]
) -> None:
    path = tmp_path / "a.mp4"
    stretched(path, size, ratio)
    facts = probe_video(content_of(path))
    assert (facts.width, facts.height) == shown
    poster = Image.open(io.BytesIO(poster_of(content_of(path))))
    assert poster.width / poster.height == pytest.approx(shown[0] / shown[1], rel=0.01)


@pytest.mark.parametrize(("degrees", "shown"), [(90, (48, 64)), (180, (64, 48)), (270, (48, 64))])
def test_a_rotated_video_is_upright(tmp_path: Path, degrees: int, shown: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(turned(video(path), degrees))
    facts = probe_video(content_of(path))
    assert (facts.width, facts.height) == shown
    assert Image.open(io.BytesIO(poster_of(content_of(path)))).size == shown


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_measured_as_it_is_shown(tmp_path: Path, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a"
    path.write_bytes(image(form, (80, 60), exif=exif.tobytes()))
    facts = probe_image(content_of(path), "it")
    assert (facts.width, facts.height) == ((60, 80) if orientation >= 5 else (80, 60))


def jpeg(size: tuple[int, int] = (120, 90), *, progressive: bool = False) -> bytes:
    picture = Image.effect_mandelbrot(size, (-3, -2.5, 2, 2.5), 100).convert("RGB")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, progressive=progressive)
    return out.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_marker_is_taken_if_all_lines_are_there(tmp_path: Path, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(progressive=progressive)[:-2])
    assert probe_image(content_of(path), "it").width == 120


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_jpeg_that_lacks_lines_is_refused(tmp_path: Path, share: float) -> None:
    content = jpeg()
    path = tmp_path / "a.jpg"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnusableInput, match="broken"):
        probe_image(content_of(path), "it")


def test_a_jpeg_of_too_many_scans_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    content = jpeg(progressive=True)
    scan = content.rindex(b"\xff\xda")
    hostile = content[:-2] + content[scan:-2] * MOST_SCANS + b"\xff\xd9"
    path = tmp_path / "a.jpg"
    path.write_bytes(hostile)
    assert count_scans(content) < 20
    with pytest.raises(UnusableInput, match="scans"):
        probe_image(content_of(path), "it")


def brands(major: bytes, *compatible: bytes) -> bytes:
    content = major + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", 8 + len(content)) + b"ftyp" + content + b"\0\0\0\x08meta"


@pytest.mark.parametrize(
    ("major", "compatible", "kind"),
    [
        (b"heis", (), "HEIC"), (b"heim", (), "HEIC"), (b"hevc", (), "HEIC"), (b"hevx", (b"mif1",), "HEIC"),
        (b"heic", (b"mif1",), "HEIC"), (b"mif1", (b"heic",), "HEIC"), (b"miaf", (), "HEIF"),
        (b"mif1", (b"avif",), "AVIF"),
        (b"avio", (), "AVIF"), (b"avif", (), "AVIF"), (b"avis", (), "AVIF"), (b"iso8", (b"avif",), "AVIF"),
        (b"jp2 ", (), "JPEG 2000"),
    ],
)  # fmt: skip
def test_pictures_in_a_video_container_are_named(major: bytes, compatible: tuple[bytes, ...], kind: str) -> None:
    head = brands(major, *compatible)
    assert content_type_of(head) is None
    assert kind in kind_of(head)
    assert "convert" in kind_of(head)


@pytest.mark.parametrize(
    "major", [b"isom", b"iso2", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"iso8"]
)
def test_videos_of_usual_brands_are_videos(major: bytes) -> None:
    assert content_type_of(brands(major, b"isom", b"mp41")) == "video/mp4"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"BM" + bytes(60), "BMP"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(60), "JPEG 2000"),
        (b"\xff\x4f\xff\x51" + bytes(60), "JPEG 2000"),
        ((b"G" + bytes(187)) * 5, "MPEG-TS"),
        (bytes(4) + (b"G" + bytes(191)) * 5, "MPEG-TS"),
        (b"II*\0" + bytes(60), "TIFF"),
        (b"GIF89a" + bytes(60), "GIF"),
    ],
)
def test_kinds_that_are_not_taken_are_named_with_what_to_convert_to(head: bytes, kind: str) -> None:
    assert content_type_of(head) is None
    assert kind in kind_of(head)
    assert "convert it to" in kind_of(head)


async def chunks(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


@pytest.fixture
async def outputs(tmp_path: Path) -> AsyncIterator[OutputStore]:
    box, storage = Box(), LocalStorage(tmp_path / "files")
    yield OutputStore(storage, Decoder(storage, box, SharedPlaces()))
    box.close()


async def stored(outputs: OutputStore, content: bytes, *, accepts_text: bool = False) -> StoredVideo:
    return await outputs.store("videos/a", chunks(content), account_id="acc", accepts_text=accepts_text)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (image("PNG"), "image/png"),
        (b"GIF89a" + bytes(60), "application/octet-stream"),
        (bytes(1000), "application/octet-stream"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(500), "video/mp4"),
        (brands(b"heic"), "application/octet-stream"),
    ],
)
async def test_paid_bytes_that_cannot_be_measured_are_kept(
    outputs: OutputStore, tmp_path: Path, content: bytes, content_type: str
) -> None:
    kept = await stored(outputs, content)
    assert (kept.content_type, kept.width, kept.height, kept.duration_s) == (content_type, None, None, None)
    assert kept.trouble
    assert (tmp_path / "files" / "videos" / "a").read_bytes() == content


async def test_a_video_that_is_cut_off_is_kept(outputs: OutputStore, tmp_path: Path) -> None:
    content = video(tmp_path / "a.mp4")
    kept = await stored(outputs, content[: len(content) // 2])
    assert kept.trouble
    assert kept.size_bytes == len(content) // 2


@pytest.mark.parametrize("content", [b"", b"<html>busy</html>", b'{"error": "busy"}', b"try again later"])
async def test_text_is_not_taken_for_the_video_unless_it_stays(outputs: OutputStore, content: bytes) -> None:
    with pytest.raises(OutputIsText):
        await stored(outputs, content)
    kept = await stored(outputs, content, accepts_text=True)
    assert kept.size_bytes == len(content)
    assert kept.trouble


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [("video/mp4", ".mp4"), ("video/webm", ".webm"), ("video/quicktime", ".mov"), ("application/octet-stream", ".bin")],
)
def test_a_file_is_named_after_its_kind(content_type: str, extension: str) -> None:
    assert extension_of(content_type) == extension
