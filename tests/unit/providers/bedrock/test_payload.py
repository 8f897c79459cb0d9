from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import ProviderRejected
from rushes.providers.bedrock.payload import frames_of, invocation

PICTURE = InputMedia(Role.INPUT_IMAGE, "inputs/1", "image/png", 3, "0" * 64)


def said(**options: Any) -> dict[str, Any]:
    request = VideoRequest(prompt="dunes", **options)
    arguments = invocation("luma.ray-v2:0", request, {}, attempt_id="att_1", bucket="films")
    model_input = arguments["modelInput"]
    assert isinstance(model_input, dict)
    return model_input


def test_what_is_not_given_is_not_said() -> None:
    assert said() == {"prompt": "dunes"}


def test_a_duration_is_a_string_with_its_unit() -> None:
    assert said(duration_s=9)["duration"] == "9s"


def test_the_attempt_is_the_token_and_the_bucket_the_target() -> None:
    arguments = invocation("m", VideoRequest(prompt="x"), {}, attempt_id="att_1", bucket="films")
    assert arguments["clientRequestToken"] == "att_1"
    assert arguments["modelId"] == "m"
    assert arguments["outputDataConfig"] == {"s3OutputDataConfig": {"s3Uri": "s3://films/rushes"}}


def test_images_are_keyframes_first_and_last() -> None:
    last = replace(PICTURE, role=Role.LAST_FRAME, content_type="image/jpeg")
    frames = frames_of(VideoRequest(prompt="x", media=(last, PICTURE)))
    assert list(frames.items()) == [("frame0", PICTURE), ("frame1", last)]


def test_an_image_is_base64_with_its_type() -> None:
    arguments: Any = invocation(
        "m", VideoRequest(prompt="x"), {"frame0": (PICTURE, b"abc")}, attempt_id="att_1", bucket="films"
    )
    assert arguments["modelInput"]["keyframes"] == {
        "frame0": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "YWJj"}}
    }


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("n", {"n": 2}),
        ("seed", {"seed": 0}),
        ("negative_prompt", {"negative_prompt": ""}),
        ("generate_audio", {"generate_audio": True}),
        ("person_generation", {"person_generation": "allow_all"}),
        ("reference_image", {"media": (replace(PICTURE, role=Role.REFERENCE_IMAGE),)}),
        ("video", {"media": (replace(PICTURE, role=Role.VIDEO),)}),
        ("input_image", {"media": (replace(PICTURE, content_type="image/webp"),)}),
        ("input_image", {"media": (PICTURE, PICTURE)}),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(ProviderRejected, match=field):
        frames_of(VideoRequest(prompt="x", **options))


def test_silence_can_be_asked_for() -> None:
    assert frames_of(VideoRequest(prompt="x", generate_audio=False)) == {}


def test_the_providers_own_options_go_as_given() -> None:
    assert said(additional_params={"loop": False})["loop"] is False


def test_an_own_option_that_agrees_is_no_contradiction() -> None:
    assert said(duration_s=5, additional_params={"duration": "5s"})["duration"] == "5s"


def test_an_own_option_that_contradicts_a_field_is_refused() -> None:
    with pytest.raises(ProviderRejected, match="'duration'"):
        said(duration_s=5, additional_params={"duration": "9s"})


def test_a_message_does_not_share_the_requests_objects() -> None:
    params = {"nested": {"a": 1}}
    assert said(additional_params=params)["nested"] is not params["nested"]
