"""What decodes is measured; bombs, broken files and what providers do not read are refused in words."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.errors import UnusableInput
from rushes.media import inspection
from rushes.media.inspection import Facts, Inspector
from tests.fixtures.media import animation, image, pixel_bomb, video


@pytest.fixture
async def inspector() -> AsyncIterator[Inspector]:
    opened = Inspector()
    yield opened
    opened.close()


def stored(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "input"
    path.write_bytes(content)
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(UnusableInput) as caught:
        inspection._inspect_image(path, "The file")
    return caught.value.message


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp")])
def test_an_image_is_measured(tmp_path: Path, form: str, kind: str) -> None:
    path = stored(tmp_path, image(form, (64, 48)))
    assert inspection._inspect_image(path, "The file") == Facts(f"image/{kind}", 64, 48)


def test_a_bomb_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    bomb = pixel_bomb()
    assert len(bomb) < 1100
    assert "30000 x 30000 pixels" in refusal(stored(tmp_path, bomb))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
def test_an_image_that_is_cut_off_is_refused(tmp_path: Path, form: str, fraction: float) -> None:
    content = image(form, (640, 480), quality=90) if form != "PNG" else image(form, (640, 480))
    assert "broken" in refusal(stored(tmp_path, content[: int(len(content) * fraction)]))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_an_animation_is_refused(tmp_path: Path, form: str) -> None:
    assert "animation" in refusal(stored(tmp_path, animation(form)))


def test_the_further_pictures_of_a_phones_jpeg_do_not_matter(tmp_path: Path) -> None:
    path = stored(tmp_path, animation("MPO"))
    assert inspection._inspect_image(path, "The file").content_type == "image/jpeg"


@pytest.mark.parametrize(
    ("codec", "suffix", "name"), [("libx264", "mp4", "h264"), ("libx265", "mp4", "hevc"), ("libvpx-vp9", "webm", "vp9")]
)
def test_a_video_of_a_usual_codec_is_measured(tmp_path: Path, codec: str, suffix: str, name: str) -> None:
    path = tmp_path / f"a.{suffix}"
    video(path, codec)
    facts = inspection._inspect_video(str(path), "The file")
    assert (facts.width, facts.height, facts.duration_s) == (64, 48, 0.5)


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg4", "mp4"), ("mjpeg", "mov"), ("prores_ks", "mov")])
def test_a_video_of_another_codec_is_refused_by_its_name(tmp_path: Path, codec: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    video(path, codec, pix_fmt={"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p"))
    with pytest.raises(UnusableInput, match=f"encoded as '{codec.removesuffix('_ks')}'"):
        inspection._inspect_video(str(path), "The file")


async def test_refusals_and_facts_come_out_of_the_child(tmp_path: Path, inspector: Inspector) -> None:
    assert await inspector.inspect(stored(tmp_path, image()), "The file") == Facts("image/png", 64, 48)
    with pytest.raises(UnusableInput, match="megapixels"):
        await inspector.inspect(stored(tmp_path, pixel_bomb()), "The file")


async def test_a_file_that_kills_the_child_is_refused_and_the_next_is_read(
    tmp_path: Path, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, image())
    with monkeypatch.context() as patch:
        patch.setattr(inspection, "_inspect", _die)
        with pytest.raises(UnusableInput, match="ends the process"):
            await inspector.inspect(path, "The file")
    assert (await inspector.inspect(path, "The file")).width == 64


async def test_a_decoder_that_does_not_come_back_is_killed(
    tmp_path: Path, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, image())
    with monkeypatch.context() as patch:
        patch.setattr(inspection, "_inspect", _hang)
        patch.setattr(inspection, "KILL_S", 1.5)
        with pytest.raises(UnusableInput, match="too long"):
            await inspector.inspect(path, "The file")
    assert (await inspector.inspect(path, "The file")).width == 64


async def test_a_caller_that_goes_away_leaves_its_file_to_the_child_and_nobody_else_is_blamed(
    tmp_path: Path, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, image())
    with monkeypatch.context() as patch:
        patch.setattr(inspection, "_inspect", _die)
        going = asyncio.create_task(inspector.inspect(path, "The file"))
        await asyncio.sleep(0)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        await asyncio.sleep(0)
    assert (await inspector.inspect(path, "The file")).width == 64


def test_a_decoder_is_asked_to_stop_before_it_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "DECODE_S", 0.1)
    monkeypatch.setattr(inspection, "_inspect_image", _hang)
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        with pytest.raises(UnusableInput, match="too long"):
            inspection._inspect(stored(tmp_path, image()), "The file", False)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)


def _die(path: str, subject: str, as_audio: bool) -> Facts:
    os._exit(9)


def _hang(path: str, subject: str, as_audio: bool = False) -> Facts:
    while True:
        pass
