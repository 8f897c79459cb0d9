from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import UnsupportedOption
from rushes.providers.animatic.order import Input, Order, frame_size


@pytest.mark.parametrize(
    ("aspect_ratio", "resolution", "size"),
    [
        ("16:9", "720p", (1280, 720)),
        ("9:16", "720p", (720, 1280)),
        ("1:1", "720p", (720, 720)),
        ("16:9", "1080p", (1920, 1080)),
        ("4:3", "480p", (640, 480)),
        ("21:9", "720p", (1680, 720)),
        ("16:9", "4k", (3840, 2160)),
        ("16:9", "2K", (2560, 1440)),
        ("4:3", "768P", (1024, 768)),
        ("1280:720", "540p", (960, 540)),
        ("adaptive", "720p", (1280, 720)),
    ],
)
def test_frame_size_is_the_short_side_by_the_ratio(aspect_ratio: str, resolution: str, size: tuple[int, int]) -> None:
    assert frame_size(aspect_ratio, resolution) == size


@given(st.integers(1, 40), st.integers(1, 40), st.integers(144, 2160))
def test_frames_are_even_and_within_a_pixel_of_the_ratio(across: int, down: int, short: int) -> None:
    if max(across, down) > 4 * min(across, down):
        return
    width, height = frame_size(f"{across}:{down}", f"{short}p")
    assert width % 2 == height % 2 == 0
    assert min(width, height) == short + short % 2
    assert abs(max(width, height) - min(width, height) * max(across, down) / min(across, down)) <= 1


@pytest.mark.parametrize("aspect_ratio", ["", "16", "16:0", "0:9", "16:9:1", "-1:1", "5:1", "a:b", "１:１"])
def test_a_ratio_that_cannot_be_drawn_is_named(aspect_ratio: str) -> None:
    with pytest.raises(UnsupportedOption, match="'aspect_ratio'"):
        frame_size(aspect_ratio, "720p")


@pytest.mark.parametrize("resolution", ["", "720", "99p", "2161p", "8k", "hd"])
def test_a_resolution_that_cannot_be_drawn_is_named(resolution: str) -> None:
    with pytest.raises(UnsupportedOption, match="'resolution'"):
        frame_size("16:9", resolution)


@given(st.text(), st.none() | st.integers(), st.booleans())
def test_a_handle_gives_the_same_order_back(prompt: str, seed: int | None, generate_audio: bool) -> None:
    order = Order(
        attempt_id="att_1",
        started_at_ms=5,
        model="storyboard",
        prompt=prompt,
        seed=seed,
        generate_audio=generate_audio,
        inputs=(Input("video", "att_1.input-0"),),
    )
    assert Order.from_handle(json.loads(json.dumps(order.to_handle()))) == order


def test_a_newer_handle_is_not_misread() -> None:
    with pytest.raises(ValueError, match="newer"):
        Order.from_handle({"version": 2})
