"""What a request becomes: text for every field, exact to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rushes.app.own_servers import models_at
from rushes.catalogue.model import Model
from rushes.clock import SystemClock
from rushes.domain.request import VideoRequest
from rushes.errors import ProviderRejected
from rushes.providers.openai_shape import FLAVORS, Server
from rushes.providers.openai_shape.payload import form

REQUEST = VideoRequest(prompt="a kite")


def model(flavor: str, **written: Any) -> Model:
    server = Server("my-gpu", FLAVORS[flavor], "http://127.0.0.1:8000")
    return models_at(server, [{"id": "wan", **written}], SystemClock())[0]


def said(flavor: str, request: VideoRequest, **written: Any) -> dict[str, Any]:
    return {part.name: part.content for part in form(model(flavor, **written), request, [], FLAVORS[flavor])}


def test_what_was_not_given_is_not_said() -> None:
    assert said("sglang", REQUEST) == {"prompt": "a kite", "model": "wan"}


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "size"),
    [
        ("720p", "16:9", "1280x720"),
        ("720p", "9:16", "720x1280"),
        ("1080p", "16:9", "1920x1080"),
        ("1080p", "1:1", "1080x1080"),
        ("480p", "16:9", "854x480"),
        ("4k", "16:9", "3840x2160"),
        ("720p", "21:9", "1680x720"),
    ],
)
def test_a_resolution_and_a_ratio_are_a_size(resolution: str, aspect_ratio: str, size: str) -> None:
    request = replace(REQUEST, resolution=resolution, aspect_ratio=aspect_ratio)
    assert said("openai", request)["size"] == size


def test_a_size_of_the_models_own_wins() -> None:
    request = replace(REQUEST, resolution="480p", aspect_ratio="16:9")
    assert said("vllm-omni", request, sizes={"480p": {"16:9": "832x480"}})["size"] == "832x480"


@pytest.mark.parametrize(("value", "text"), [(4.5, "4.5"), (True, "true"), ([1, "ä"], '[1,"ä"]'), ("a b", "a b")])
def test_additional_params_become_text_or_json(value: object, text: str) -> None:
    assert said("vllm-omni", replace(REQUEST, additional_params={"x": value}))["x"] == text


def test_an_additional_param_that_repeats_a_field_is_said_once() -> None:
    request = replace(REQUEST, duration_s=4, additional_params={"seconds": "4"})
    assert said("openai", request)["seconds"] == "4"


def test_sound_that_cannot_be_chosen_is_not_said() -> None:
    assert "generate_sound" not in said("vllm-omni", replace(REQUEST, generate_audio=True), audio="always")


def test_sound_against_what_the_model_does_is_refused() -> None:
    with pytest.raises(ProviderRejected, match=r"^generate_audio"):
        said("vllm-omni", replace(REQUEST, generate_audio=False), audio="always")


def test_a_single_video_is_not_counted_on_the_wire() -> None:
    assert "num_outputs_per_prompt" not in said("sglang", REQUEST, n_per_call=4)
