"""Luma's own client: luma-agents. Its types judge our bodies too."""

from __future__ import annotations

from typing import Any

import typing_extensions
from luma_agents import Luma
from luma_agents.types import generation_create_params, image_ref_param, video_edit_options_param, video_options_param
from pydantic import ConfigDict, TypeAdapter

TYPES = (
    generation_create_params.GenerationCreateParams,
    image_ref_param.ImageRefParam,
    video_options_param.VideoOptionsParam,
    video_edit_options_param.VideoEditOptionsParam,
)


def create(url: str, **fields: Any) -> Any:
    return _client(url).generations.create(**fields)


def get(url: str, generation_id: str) -> Any:
    return _client(url).generations.get(generation_id)


def validate(body: dict[str, Any]) -> None:
    """Check a body against the vendor's request type, with nothing unknown in it. Raises a ValidationError."""
    for kind in TYPES:
        assert typing_extensions.is_typeddict(kind)
        kind.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    TypeAdapter(generation_create_params.GenerationCreateParams).validate_python(body, strict=True)


def _client(url: str) -> Luma:
    return Luma(base_url=f"{url}/v1", auth_token="fake", max_retries=0)
