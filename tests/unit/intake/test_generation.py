"""The fields of a generation, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rushes.domain.job_webhook import JobWebhook
from rushes.domain.options import LONGEST_PROMPT
from rushes.errors import InvalidRequest
from rushes.intake.generation import MOST_REQUEST_BYTES, GenerationBody, asked_of


@pytest.mark.parametrize("prompt", ["", " ", "\n\t", "\u00a0\u3000", "x" * (LONGEST_PROMPT + 1)])
def test_a_prompt_that_says_nothing_or_too_much_is_refused(prompt: str) -> None:
    with pytest.raises(ValidationError):
        GenerationBody.model_validate({"prompt": prompt})


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_any_other_prompt_is_taken_as_it_is(prompt: str) -> None:
    assert GenerationBody.model_validate({"prompt": prompt}).prompt == prompt


def test_zero_and_false_are_given_values() -> None:
    body = GenerationBody.model_validate({"prompt": "x", "seed": 0, "generate_audio": False, "negative_prompt": ""})
    assert (body.seed, body.generate_audio, body.negative_prompt) == (0, False, "")


@pytest.mark.parametrize("params", [{"x": float("inf")}, {"x": [{"y": float("nan")}]}])
def test_params_that_json_cannot_spell_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="range of a double"):
        asked_of({"prompt": "x", "additional_params": params}, _no_webhook)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"prompt": "x", "additional_params": {"a": "y" * MOST_REQUEST_BYTES}}, "additional_params"),
        ({"prompt": "x", "additional_params": {"a": [0] * MOST_REQUEST_BYTES}}, "additional_params"),
        ({"prompt": "x", "additional_params": {str(number): 0 for number in range(20_000)}}, "additional_params"),
        ({"prompt": "\u4e00" * LONGEST_PROMPT}, "prompt"),
        ({"prompt": "x", "negative_prompt": "\u4e00" * LONGEST_PROMPT}, "negative_prompt"),
    ],
)
def test_a_request_that_takes_more_than_64_kib_to_store_is_refused(content: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest, match="64 KiB") as refusal:
        asked_of(content, _no_webhook)
    assert [one.field for one in refusal.value.fields] == [field]


def test_media_inside_additional_params_may_be_large() -> None:
    asked = asked_of({"prompt": "x", "additional_params": {"input_image": "y" * MOST_REQUEST_BYTES}}, _no_webhook)
    assert len(asked.media) == 1


def _no_webhook(_url: str, _events: Sequence[str] | None) -> JobWebhook:
    raise AssertionError("none was given")


def test_every_option_that_is_given_is_asked_for() -> None:
    asked = asked_of(
        {
            "prompt": "x",
            "size": "1280x720",
            "duration": 4,
            "seed": 0,
            "video": "u",
            "additional_params": {"n": 2, "k": 1},
            "webhook_url": "https://example.com/told",
            "webhook_events": ["video.failed"],
        },
        lambda url, events: JobWebhook("sealed", url, None if events is None else tuple(events)),
    )
    request = asked.request
    assert (request.aspect_ratio, request.resolution, request.duration_s) == ("16:9", "720p", 4)
    assert (request.seed, request.n, request.additional_params) == (0, 2, {"k": 1})
    assert [(item.role, item.field) for item in asked.media] == [("video", "video")]
    assert asked.webhook == JobWebhook("sealed", "https://example.com/told", ("video.failed",))
