"""OpenRouter's own client: openrouter. Its models judge our bodies too."""

from __future__ import annotations

from typing import Any

from openrouter import OpenRouter
from openrouter.components import VideoGenerationRequest
from openrouter.components.videogenerationrequest import VideoGenerationRequestTypedDict
from pydantic import ConfigDict, TypeAdapter


def generate(url: str, **fields: Any) -> Any:
    with _client(url) as client:
        return client.video_generation.generate(**fields)


def get(url: str, job_id: str) -> Any:
    with _client(url) as client:
        return client.video_generation.get_generation(job_id=job_id)


def content(url: str, job_id: str) -> bytes:
    with _client(url) as client:
        return client.video_generation.get_video_content(job_id=job_id).read()


def models(url: str) -> Any:
    with _client(url) as client:
        return client.video_generation.list_videos_models()


def validate(bodies: list[dict[str, Any]]) -> None:
    """Check bodies against the vendor's request, with nothing unknown in them. Raises a ValidationError."""
    VideoGenerationRequestTypedDict.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    typed = TypeAdapter(VideoGenerationRequestTypedDict)
    for body in bodies:
        VideoGenerationRequest.model_validate(body)
        typed.validate_python(body, strict=True)


def _client(url: str) -> OpenRouter:
    return OpenRouter(api_key="fake", server_url=f"{url}/api/v1", retry_config=None)
