from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rushes.errors import ProviderRejected
from rushes.providers.animatic.film import draw_film
from rushes.providers.animatic.order import Input, Order, frame_size
from tests.fixtures.media import sound, video

SMALL = Order(
    attempt_id="att_1",
    started_at_ms=0,
    model="storyboard",
    prompt="A kite over the dunes",
    resolution="144p",
    duration_s=1,
)


def draw(order: Order, scratch: Path) -> None:
    """Draw in this process, with the files that a boxed process would be given."""
    film = scratch / f"{order.attempt_id}.mp4"
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
    files = [os.open(film, flags), os.open(film, os.O_RDONLY)]
    files.append(os.open(scratch / f"{order.attempt_id}.progress", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    kept = len(files) - 1
    files += [os.open(scratch / item.file, os.O_RDONLY) for item in order.inputs]
    try:
        draw_film(files, order.to_handle())
    finally:
        for file in files[:kept]:
            os.close(file)


def drawn(order: Order, scratch: Path) -> bytes:
    draw(order, scratch)
    return (scratch / f"{order.attempt_id}.mp4").read_bytes()


def picture_at(path: Path, second: float) -> Image.Image:
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            if frame.time >= second:
                image = frame.to_image()  # type: ignore[no-untyped-call]  # av's stub leaves its options untyped
                assert isinstance(image, Image.Image)
                return image
    raise AssertionError(f"the film has no frame at {second} s")


def colour_in_the_middle(picture: Image.Image) -> tuple[int, ...]:
    pixel = picture.getpixel((picture.width // 2, int(picture.height * 0.35)))
    assert isinstance(pixel, tuple)
    return pixel


def is_mostly(channel: int, pixel: tuple[int, ...]) -> bool:
    return all(pixel[channel] > 2 * other for index, other in enumerate(pixel) if index != channel)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21"]),
    st.sampled_from(["144p", "180p", "200p", "240p"]),
    st.integers(1, 3),
    st.booleans(),
)
def test_size_and_length_are_exact(aspect_ratio: str, resolution: str, duration_s: int, generate_audio: bool) -> None:
    order = replace(
        SMALL, aspect_ratio=aspect_ratio, resolution=resolution, duration_s=duration_s, generate_audio=generate_audio
    )
    with TemporaryDirectory() as scratch:
        draw(order, Path(scratch))
        with av.open(f"{scratch}/att_1.mp4") as film:
            video = film.streams.video[0]
            assert (video.width, video.height) == frame_size(aspect_ratio, resolution)
            assert video.codec_context.name == "h264"
            assert video.pix_fmt == "yuv420p"
            assert sum(1 for _ in film.decode(video)) == video.frames == 24 * duration_s
            assert video.duration is not None
            assert video.time_base is not None
            assert video.duration * video.time_base == duration_s
            assert film.duration == duration_s * av.time_base
            assert len(film.streams.audio) == generate_audio
            for audio in film.streams.audio:
                assert audio.codec_context.name == "aac"
                assert audio.duration is not None
                assert audio.time_base is not None
                assert duration_s - 0.2 <= audio.duration * audio.time_base <= duration_s


@settings(max_examples=25, deadline=None)
@given(st.text(), st.none() | st.text(), st.text(max_size=40))
def test_no_text_is_too_strange_to_set(prompt: str, negative_prompt: str | None, params: str) -> None:
    order = replace(SMALL, prompt=prompt, negative_prompt=negative_prompt, additional_params=params)
    with TemporaryDirectory() as scratch:
        draw(order, Path(scratch))


@pytest.mark.parametrize("prompt", ["x" * 100_000, "word " * 20_000, "日本語の夕暮れ" * 50, "😀🎬", "\0\n\t", "\ud800"])
@pytest.mark.parametrize("aspect_ratio", ["16:9", "9:21"])
def test_very_long_or_foreign_prompts_are_drawn(prompt: str, aspect_ratio: str, tmp_path: Path) -> None:
    assert drawn(replace(SMALL, prompt=prompt, aspect_ratio=aspect_ratio), tmp_path)


def test_the_same_order_gives_the_same_bytes_whatever_its_attempt(tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), "red").save(tmp_path / "a.input-0", "PNG")
    order = replace(SMALL, seed=0, generate_audio=True, inputs=(Input("input_image", "a.input-0"),))
    again = replace(order, attempt_id="att_2", started_at_ms=99)
    assert drawn(order, tmp_path) == drawn(again, tmp_path)


def test_another_seed_gives_another_picture(tmp_path: Path) -> None:
    draw(replace(SMALL, seed=1), tmp_path)
    draw(replace(SMALL, seed=2, attempt_id="att_2"), tmp_path)
    first, second = (picture_at(tmp_path / f"{name}.mp4", 0.5) for name in ("att_1", "att_2"))
    upper = (0, 20, first.width, first.height // 2)
    assert first.crop(upper).tobytes() != second.crop(upper).tobytes()


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    film = drawn(replace(SMALL, prompt="Ein Kätzchen 😀"), tmp_path)
    with av.open(str(tmp_path / "att_1.mp4")) as container:
        assert container.metadata["title"] == "Ein Kätzchen 😀"
        assert "not a model's output" in container.metadata["comment"]
    assert film.index(b"moov") < film.index(b"mdat")


def test_the_input_image_opens_and_the_last_frame_closes(tmp_path: Path) -> None:
    Image.new("RGB", (160, 90), (230, 0, 0)).save(tmp_path / "first", "PNG")
    Image.new("RGB", (90, 160), (0, 0, 230)).save(tmp_path / "last", "PNG")
    inputs = (Input("input_image", "first"), Input("last_frame", "last"))
    draw(replace(SMALL, duration_s=5, inputs=inputs), tmp_path)
    film = tmp_path / "att_1.mp4"
    assert is_mostly(0, colour_in_the_middle(picture_at(film, 0)))
    assert is_mostly(0, colour_in_the_middle(picture_at(film, 0.9)))
    assert not is_mostly(0, colour_in_the_middle(picture_at(film, 2.5)))
    assert is_mostly(2, colour_in_the_middle(picture_at(film, 4.9)))


def test_references_are_shown(tmp_path: Path) -> None:
    for index in range(10):
        Image.new("RGB", (40, 30), (0, 230, 0)).save(tmp_path / f"r{index}", "PNG")
    inputs = tuple(Input("reference_image", f"r{index}") for index in range(10))
    draw(replace(SMALL, resolution="360p", inputs=inputs), tmp_path)
    lower = picture_at(tmp_path / "att_1.mp4", 0).crop((0, 180, 640, 360))
    pixels = [lower.getpixel((x, y)) for x in range(0, 640, 4) for y in range(0, 180, 4)]
    assert sum(isinstance(pixel, tuple) and is_mostly(1, pixel) for pixel in pixels) > 100


def test_an_input_video_is_shown_first_and_extended(tmp_path: Path) -> None:
    Image.new("RGB", (160, 90), (230, 0, 0)).save(tmp_path / "first", "PNG")
    red = replace(SMALL, duration_s=2, inputs=(Input("input_image", "first"), Input("last_frame", "first")))
    draw(red, tmp_path)
    extended = replace(SMALL, attempt_id="att_2", duration_s=3, inputs=(Input("video", "att_1.mp4"),))
    draw(extended, tmp_path)
    film = tmp_path / "att_2.mp4"
    assert is_mostly(0, colour_in_the_middle(picture_at(film, 0.1)))
    assert not is_mostly(0, colour_in_the_middle(picture_at(film, 4)))
    with av.open(str(film)) as container:
        assert container.streams.video[0].frames == 5 * 24


@pytest.mark.parametrize("role", ["input_image", "last_frame", "reference_image", "video"])
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nbroken", b"\0" * 4096])
def test_broken_inputs_are_refused_by_name(role: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(ProviderRejected, match=f"'{role}'"):
        draw(replace(SMALL, inputs=(Input(role, "broken"),)), tmp_path)


def test_a_playlist_that_names_another_file_is_refused(tmp_path: Path) -> None:
    draw(replace(SMALL, attempt_id="secret"), tmp_path)
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"
    (tmp_path / "list").write_text(playlist)
    with pytest.raises(ProviderRejected, match="'video'"):
        draw(replace(SMALL, inputs=(Input("video", "list"),)), tmp_path)


def test_progress_reaches_one_hundred_percent_and_a_second_drawing_does_not_pass_it(tmp_path: Path) -> None:
    for _ in range(2):
        draw(SMALL, tmp_path)
        assert (tmp_path / "att_1.progress").stat().st_size == 100


def loudness_at(path: Path, second: float) -> int:
    with av.open(str(path)) as film:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=8000)
        for frame in film.decode(audio=0):
            if frame.time is not None and frame.time >= second:
                (part, *_) = resampler.resample(frame)
                return max(memoryview(bytes(part.planes[0])).cast("h"))
    raise AssertionError(f"the film has no sound at {second} s")


def test_the_audio_that_is_given_is_the_soundtrack(tmp_path: Path) -> None:
    (tmp_path / "loud").write_bytes(sound("mp3", 1.0, loudness=0.9))
    order = replace(SMALL, duration_s=3, generate_audio=True, inputs=(Input("reference_audio", "loud", 1.0),))
    drawn(order, tmp_path)
    film = tmp_path / "att_1.mp4"
    # It is played again while the film lasts; the chord of a film without audio is much quieter.
    assert all(loudness_at(film, second) > 20_000 for second in (0.3, 1.4, 2.2))


def test_a_silent_film_stays_silent_with_audio_given(tmp_path: Path) -> None:
    (tmp_path / "loud").write_bytes(sound("wav", 1.0))
    drawn(replace(SMALL, inputs=(Input("reference_audio", "loud", 1.0),)), tmp_path)
    with av.open(str(tmp_path / "att_1.mp4")) as film:
        assert not film.streams.audio


def test_references_are_named_and_the_videos_among_them_are_shown(tmp_path: Path) -> None:
    plain = drawn(SMALL, tmp_path)
    video(tmp_path / "clip.mp4", frames=24)
    (tmp_path / "loud").write_bytes(sound("wav", 1.0))
    inputs = (Input("reference_video", "clip.mp4", 1.0), Input("reference_audio", "loud", 1.0))
    assert drawn(replace(SMALL, inputs=inputs), tmp_path) != plain


@pytest.mark.parametrize(("task", "seconds"), [("extend", 3), ("edit", 2), ("upscale", 2)])
def test_an_edit_is_as_long_as_its_video_and_an_extension_longer(tmp_path: Path, task: str, seconds: int) -> None:
    video(tmp_path / "clip.mp4", frames=48)
    drawn(replace(SMALL, task=task, inputs=(Input("video", "clip.mp4", 2.0),)), tmp_path)
    with av.open(str(tmp_path / "att_1.mp4")) as film:
        assert film.duration == pytest.approx(seconds * 1_000_000, abs=50_000)


@pytest.mark.parametrize("role", ["reference_video", "reference_audio"])
def test_a_reference_that_cannot_be_decoded_is_refused_by_its_field(tmp_path: Path, role: str) -> None:
    (tmp_path / "bad").write_bytes(b"RIFF")
    with pytest.raises(ProviderRejected, match="reference_"):
        draw(replace(SMALL, generate_audio=True, inputs=(Input(role, "bad"),)), tmp_path)
