"""Names that come near, and none that only share letters."""

from __future__ import annotations

import pytest

from rushes.intake.generation import GenerationBody
from rushes.near_names import near_names

FIELDS = tuple(GenerationBody.model_fields)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("promt", "prompt"), ("aspect-ratio", "aspect_ratio"), ("aspectRatio", "aspect_ratio"),
        ("durations", "duration"), ("image", "input_image"), ("webhook", "webhook_url"), ("Prompt", "prompt"),
    ],
)  # fmt: skip
def test_a_slip_is_recognised(written: str, meant: str) -> None:
    assert meant in near_names(written, FIELDS)


@pytest.mark.parametrize(
    "far", ["stream", "temperature", "messages", "x", "", "quality", "max_tokens", "a" * 10_000_000]
)
def test_nothing_is_suggested_for_a_name_that_is_far(far: str) -> None:
    assert near_names(far, FIELDS) == []
