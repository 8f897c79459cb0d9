"""OpenAI's own client."""

from __future__ import annotations

from typing import Any

from openai import OpenAI


def create(url: str, **fields: Any) -> Any:
    return _client(url).videos.create(**fields)


def retrieve(url: str, video_id: str) -> Any:
    return _client(url).videos.retrieve(video_id)


def content(url: str, video_id: str) -> bytes:
    return _client(url).videos.download_content(video_id).read()


def _client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0)
