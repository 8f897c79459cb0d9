"""Files that play are measured; everything else is named for what it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from rushes.errors import OutputInvalid
from rushes.media.probe import VideoFacts, probe_video


def draw(path: Path, codec: str, *, frames: int = 36, options: dict[str, str] | None = None) -> Path:
    """A video of 64x48 pixels, 24 frames a second."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=24)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([number]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def play_tone(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        assert isinstance(stream, av.AudioStream)
        for number in range(20):
            frame = av.AudioFrame("fltp", "stereo", 1024)
            frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1024, Fraction(1, 48000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def probed(path: Path) -> VideoFacts:
    with path.open("rb") as file:
        return probe_video(file)


def refusal(path: Path) -> str:
    with pytest.raises(OutputInvalid) as caught:
        probed(path)
    assert str(path) not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "codec", "content_type"),
    [
        ("a.mp4", "libx264", "video/mp4"),
        ("a.mov", "libx264", "video/quicktime"),
        ("a.webm", "libvpx-vp9", "video/webm"),
    ],
)
def test_a_video_is_measured(tmp_path: Path, name: str, codec: str, content_type: str) -> None:
    facts = VideoFacts(64, 48, 1.5, content_type, {"libx264": "h264", "libvpx-vp9": "vp9"}[codec])
    assert probed(draw(tmp_path / name, codec)) == facts


@pytest.mark.parametrize(
    "flags", ["faststart", "frag_keyframe+empty_moov", "frag_keyframe+empty_moov+default_base_moof"]
)
def test_every_layout_of_mp4_is_measured(tmp_path: Path, flags: str) -> None:
    path = draw(tmp_path / "a.mp4", "libx264", options={"movflags": flags})
    assert probed(path) == VideoFacts(64, 48, 1.5, "video/mp4", "h264")


def test_a_live_recording_that_says_no_duration_is_measured(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.webm", "libvpx", options={"live": "1"})
    assert probed(path).duration_s == pytest.approx(1.5, abs=0.05)


def test_the_name_of_a_file_does_not_count(tmp_path: Path) -> None:
    draw(tmp_path / "a.webm", "libvpx-vp9").rename(tmp_path / "a.mp4")
    assert probed(tmp_path / "a.mp4").content_type == "video/webm"


def test_a_picture_turned_on_its_side_is_measured_as_shown(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.mp4", "libx264")
    data = bytearray(path.read_bytes())
    one, zero = (65536).to_bytes(4, "big"), bytes(4)
    upright = one + zero * 3 + one
    turned = zero + one + zero + (-65536).to_bytes(4, "big", signed=True) + zero
    at = data.index(upright, data.index(b"tkhd"))
    data[at : at + len(upright)] = turned
    path.write_bytes(data)
    facts = probed(path)
    assert (facts.width, facts.height) == (48, 64)


def test_a_frame_too_large_to_decode_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rushes.media.probe.MOST_PIXELS", 64 * 48 - 1)
    assert "64 x 48 pixels" in refusal(draw(tmp_path / "a.mp4", "libx264"))


@pytest.mark.parametrize(
    "tail",
    [
        bytes(100),
        b"<!-- cdn -->",
        b"\n",
        b"\x7f\xff\xff\xfffree and more",
        b"\x00\x00\x10\x00uuid" + bytes(20),
        # As Insta360's cameras end their files.
        bytes(64) + b"8db42d694ccc418790edff439fe026bf",
    ],
)
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mov", "libx264"), ("a.webm", "libvpx-vp9")])
def test_bytes_after_a_video_do_not_make_it_invalid(tmp_path: Path, name: str, codec: str, tail: bytes) -> None:
    path = draw(tmp_path / name, codec)
    path.write_bytes(path.read_bytes() + tail)
    assert probed(path).width == 64


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "an HTML page"),
        (b"\n  <html lang='en'>", "an HTML page"),
        (b"\xef\xbb\xbf<!doctype HTML>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b'{"error": "expired"}', "JSON"),
        (b"Not found", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "a JPEG picture"),
        (b"\x00\x00\x00\x20ftypavif" + bytes(20), "an AVIF picture; convert it to PNG, JPEG or WebP"),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(20), "an audio file"),
        (
            b"\x00\x00\x00\x1cftypheif\x00\x00\x00\x00mif1" + bytes(20),
            "a HEIF picture; convert it to PNG, JPEG or WebP",
        ),
        (b"RIFF\x10\x00\x00\x00AVI LIST" + bytes(20), "an AVI video; convert it to MP4"),
        (b"FLV\x01\x05" + bytes(20), "a Flash video; convert it to MP4"),
        (bytes.fromhex("3026b2758e66cf11a6d9") + bytes(20), "a Windows Media file; convert it to MP4"),
        (b"\x00\x00\x01\xba" + bytes(20), "an MPEG program stream; convert it to MP4"),
        (b"\x00\x00\x01\x00\x01\x00" + bytes(20), "an icon; convert it to PNG, JPEG or WebP"),
        (b"8BPS\x00\x01" + bytes(20), "a Photoshop picture; convert it to PNG, JPEG or WebP"),
        (b"#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n", "a streaming playlist"),
        (
            b"\x1a\x45\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska",
            "a Matroska file that is not WebM; convert it to MP4 or WebM",
        ),
        (bytes(2000), "data of an unknown kind"),
        (b"\x80", "data of an unknown kind"),
    ],
)
def test_what_is_no_video_is_called_what_it_is(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert refusal(path) == f"The provider's file is not a video but {kind}."


def test_audio_alone_is_not_a_video(tmp_path: Path) -> None:
    assert refusal(play_tone(tmp_path / "a.mp4")) == "The provider's file is not a video: it holds audio alone."


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mov", "libx264", {}),
        ("a.webm", "libvpx-vp9", {}),
    ],
)
def test_a_file_that_is_cut_off_is_invalid(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], fraction: float
) -> None:
    path = draw(tmp_path / name, codec, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize("keep", range(1, 60))
def test_the_beginning_of_a_video_is_never_a_video(tmp_path: Path, keep: int) -> None:
    path = draw(tmp_path / "a.mp4", "libx264", frames=1)
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(path)


def test_a_video_whose_pictures_are_rubbish_is_invalid(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.mp4", "libx264")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    length = int.from_bytes(data[at - 8 : at - 4], "big") - 8
    data[at : at + length] = b"\xff" * length
    path.write_bytes(data)
    assert "cannot be played" in refusal(path) or "no video frame" in refusal(path)
