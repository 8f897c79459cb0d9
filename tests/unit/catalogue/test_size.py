"""Sizes in pixels, and what they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.size import ASPECT_RATIOS, COMMON, SHORT_SIDES, pixels, size_options, with_size
from rushes.domain.request import VideoRequest
from rushes.errors import CallerError, InvalidRequest, UnsupportedOption


@pytest.mark.parametrize(
    ("size", "aspect_ratio", "resolution"),
    [
        ("1280x720", "16:9", "720p"),
        ("720x1280", "9:16", "720p"),
        ("1920x1080", "16:9", "1080p"),
        ("1080x1920", "9:16", "1080p"),
        ("3840x2160", "16:9", "4k"),
        ("2160x3840", "9:16", "4k"),
        ("640x360", "16:9", "360p"),
        ("720x720", "1:1", "720p"),
        ("1080x1080", "1:1", "1080p"),
        ("854x480", "16:9", "480p"),
        ("848x480", "16:9", "480p"),
        ("960x720", "4:3", "720p"),
        ("1680x720", "21:9", "720p"),
    ],
)
def test_a_size_stands_for_a_ratio_and_a_resolution(size: str, aspect_ratio: str, resolution: str) -> None:
    assert size_options(size) == (aspect_ratio, resolution)


@given(st.sampled_from(ASPECT_RATIOS), st.sampled_from(sorted(SHORT_SIDES)))
def test_the_size_of_a_ratio_and_a_resolution_leads_back_to_them(aspect_ratio: str, short_side: int) -> None:
    width, height = (int(part) for part in aspect_ratio.split(":"))
    scale = short_side / min(width, height)
    size = f"{round(width * scale)}x{round(height * scale)}"
    assert size_options(size) == (aspect_ratio, SHORT_SIDES[short_side])


@pytest.mark.parametrize("size", COMMON)
def test_every_size_that_a_refusal_lists_is_accepted(size: str) -> None:
    size_options(size)


@pytest.mark.parametrize(
    "size", ["", "720p", "1280", "1280*720", "1280x", "x720", "0x0", "-1x2", "１２８０x720", "1280x720\n"]
)
def test_what_is_not_a_size_is_invalid(size: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        size_options(size)
    assert caught.value.fields[0].field == "size"


@pytest.mark.parametrize("size", ["1x1", "1792x1024", "5000x720", "1281x721"])
def test_a_size_without_a_name_is_refused_with_the_usual_ones(size: str) -> None:
    with pytest.raises(UnsupportedOption, match=r"size .* is not offered; sizes are '1280x720'") as caught:
        size_options(size)
    assert caught.value.field == "size"


@given(st.text() | st.from_regex(r"[0-9]{1,6}x[0-9]{1,6}"))
def test_any_string_gives_options_or_an_error_of_ours(size: str) -> None:
    try:
        size_options(size)
    except CallerError as error:
        error.message.encode()


def test_a_size_fills_in_what_was_left_out() -> None:
    request = with_size(VideoRequest("a kite", resolution="720p"), "720x1280")
    assert (request.aspect_ratio, request.resolution) == ("9:16", "720p")


@pytest.mark.parametrize("given_option", [{"aspect_ratio": "9:16"}, {"resolution": "1080p"}])
def test_a_size_that_contradicts_an_option_is_refused(given_option: dict[str, str]) -> None:
    (field,) = given_option
    request = VideoRequest(
        "a kite", aspect_ratio=given_option.get("aspect_ratio"), resolution=given_option.get("resolution")
    )
    with pytest.raises(UnsupportedOption, match=field):
        with_size(request, "1280x720")


@given(st.sampled_from(sorted(SHORT_SIDES.values())), st.sampled_from(ASPECT_RATIOS))
def test_pixels_stand_for_the_resolution_and_the_ratio_they_came_from(resolution: str, aspect_ratio: str) -> None:
    size = pixels(resolution, aspect_ratio)
    assert size is not None
    assert size_options(size) == (aspect_ratio, resolution)


@given(st.sampled_from(sorted(SHORT_SIDES.values())), st.sampled_from(ASPECT_RATIOS))
def test_pixels_are_even(resolution: str, aspect_ratio: str) -> None:
    assert all(int(side) % 2 == 0 for side in str(pixels(resolution, aspect_ratio)).split("x"))


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio"), [("huge", "16:9"), ("720p", "wide"), ("", ""), ("720", "16:9")]
)
def test_what_is_no_resolution_or_ratio_has_no_pixels(resolution: str, aspect_ratio: str) -> None:
    assert pixels(resolution, aspect_ratio) is None
