"""What can be asked for besides the prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypedDict

Medium = str | Path
"""A file by its Path; or as text: base64, a data URL, an http(s) URL, or what an upload answers."""


class GenerationOptions(TypedDict, total=False):
    """Every option of a generation besides its prompt, named as on the wire; one that is left out is not sent."""

    model: str
    provider: str
    aspect_ratio: str
    resolution: str
    size: str
    duration: int
    n: int
    seed: int
    negative_prompt: str
    generate_audio: bool
    person_generation: str
    input_image: Medium
    last_frame: Medium
    reference_image: Medium
    reference_images: list[Medium]
    video: Medium
    response_format: str
    fallback_models: list[str]
    webhook_url: str
    webhook_events: list[str]
    additional_params: dict[str, Any]
    byok_api_key: str


MEDIA: Final = ("input_image", "last_frame", "reference_image", "reference_images", "video")
"""The options that are media."""
