"""What decodes is measured; bombs, broken files and what providers do not read are refused in words."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from rushes.errors import UnusableInput
from rushes.media.inspection import Facts, facts_of
from tests.fixtures.media import animation, image, pixel_bomb, video


def facts(content: bytes) -> Facts:
    return facts_of(io.BytesIO(content), "The file")


def refusal(content: bytes) -> str:
    with pytest.raises(UnusableInput) as caught:
        facts(content)
    return caught.value.message


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp")])
def test_an_image_is_measured(form: str, kind: str) -> None:
    assert facts(image(form, (64, 48))) == Facts(f"image/{kind}", 64, 48)


def test_a_bomb_is_refused_by_its_header_alone() -> None:
    bomb = pixel_bomb()
    assert len(bomb) < 1100
    assert "30000 x 30000 pixels" in refusal(bomb)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
def test_an_image_that_is_cut_off_is_refused(form: str, fraction: float) -> None:
    content = image(form, (640, 480), quality=90) if form != "PNG" else image(form, (640, 480))
    assert "broken" in refusal(content[: int(len(content) * fraction)])


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_an_animation_is_refused(form: str) -> None:
    assert "animation" in refusal(animation(form))


def test_the_further_pictures_of_a_phones_jpeg_do_not_matter() -> None:
    assert facts(animation("MPO")).content_type == "image/jpeg"


@pytest.mark.parametrize(
    ("codec", "suffix", "name"), [("libx264", "mp4", "h264"), ("libx265", "mp4", "hevc"), ("libvpx-vp9", "webm", "vp9")]
)
def test_a_video_of_a_usual_codec_is_measured(tmp_path: Path, codec: str, suffix: str, name: str) -> None:
    path = tmp_path / f"a.{suffix}"
    found = facts(video(path, codec))
    assert (found.width, found.height, found.duration_s) == (64, 48, 0.5)


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg4", "mp4"), ("mjpeg", "mov"), ("prores_ks", "mov")])
def test_a_video_of_another_codec_is_refused_by_its_name(tmp_path: Path, codec: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    content = video(path, codec, pix_fmt={"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p"))
    assert f"encoded as '{codec.removesuffix('_ks')}'" in refusal(content)
