"""The options of a generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypedDict

Medium = str | Path
"""A file by its Path, or a text: base64, a data URL, an http(s) URL, or the reference of an upload."""


class GenerationOptions(TypedDict, total=False):
    """Every option of a generation besides its prompt, with the names of the API. Omitted options are not sent."""

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
    reference_videos: list[Medium]
    reference_audios: list[Medium]
    video: Medium
    previous_job_id: str
    previous_index: int
    video_task: str
    user: str
    metadata: dict[str, str]
    response_format: str
    fallback_models: list[str]
    webhook_url: str
    webhook_events: list[str]
    additional_params: dict[str, Any]
    byok_api_key: str


MEDIA: Final = (
    "input_image", "last_frame", "reference_image", "reference_images", "reference_videos", "reference_audios", "video",
)  # fmt: skip
"""The options that are media."""
