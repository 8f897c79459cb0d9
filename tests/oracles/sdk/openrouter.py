"""OpenRouter's own client: openrouter. Its models judge our bodies too."""

from __future__ import annotations

import asyncio
from typing import Any

from openrouter import OpenRouter
from openrouter.components import VideoGenerationRequest
from openrouter.components.videogenerationrequest import VideoGenerationRequestTypedDict
from pydantic import ConfigDict, TypeAdapter


def generate(url: str, key: str = "fake", **fields: Any) -> Any:
    with _client(url, key) as client:
        return client.video_generation.generate(**fields)


def film_async(url: str, key: str, **fields: Any) -> Any:
    """A video from start to end by the asynchronous client: how it ended, and its bytes."""
    return asyncio.run(_film(url, key, fields))


async def _film(url: str, key: str, fields: dict[str, Any]) -> dict[str, Any]:
    async with _client(url, key) as client:
        made = await client.video_generation.generate_async(**fields)
        while made.status in ("pending", "in_progress"):
            await asyncio.sleep(0.05)
            made = await client.video_generation.get_generation_async(job_id=made.id)
        content = await client.video_generation.get_video_content_async(job_id=made.id)
        return {"ended": made.model_dump(mode="json"), "content": await content.aread()}


def get(url: str, job_id: str, key: str = "fake") -> Any:
    with _client(url, key) as client:
        return client.video_generation.get_generation(job_id=job_id)


def content(url: str, job_id: str, key: str = "fake", index: int = 0) -> bytes:
    with _client(url, key) as client:
        return client.video_generation.get_video_content(job_id=job_id, index=index).read()


def models(url: str, key: str = "fake") -> Any:
    with _client(url, key) as client:
        return client.video_generation.list_videos_models()


def validate(bodies: list[dict[str, Any]]) -> None:
    """Check bodies against the vendor's request, with nothing unknown in them. Raises a ValidationError."""
    VideoGenerationRequestTypedDict.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    typed = TypeAdapter(VideoGenerationRequestTypedDict)
    for body in bodies:
        VideoGenerationRequest.model_validate(body)
        typed.validate_python(body, strict=True)


def _client(url: str, key: str) -> OpenRouter:
    return OpenRouter(api_key=key, server_url=f"{url}/api/v1", retry_config=None)
