"""Alibaba's own client: dashscope."""

from __future__ import annotations

from typing import Any

import dashscope
from dashscope import VideoSynthesis


def submit(url: str, **fields: Any) -> Any:
    _point(url)
    return _plain(VideoSynthesis.async_call(api_key="fake", **fields))


def fetch(url: str, task_id: str) -> Any:
    _point(url)
    return _plain(VideoSynthesis.fetch(task_id, api_key="fake"))


def _point(url: str) -> None:
    dashscope.base_http_api_url = f"{url}/api/v1"


def _plain(answer: Any) -> dict[str, Any]:
    output = answer.output or {}
    named = ("task_id", "task_status", "video_url", "code", "message")
    return {"status": answer.status_code, "code": answer.code, **{f"output_{name}": output.get(name) for name in named}}
