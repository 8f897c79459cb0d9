"""The types of webhook messages, and their JSON in each format."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rushes.json_text import json_bytes

LARGEST_BYTES = 256 * 1024
"""The largest message. A job with a large request must not overload its receiver."""

LEFT_OUT = "The options of the request are too large for this message; read the job to see them."


class MessageType(StrEnum):
    """A change of a job, as its callers see it."""

    STARTED = "video.started"
    COMPLETED = "video.completed"
    FAILED = "video.failed"
    CANCELLED = "video.cancelled"


PING = "webhook.ping"

TYPE_OF_STATE: Mapping[str, MessageType] = {
    "submitting": MessageType.STARTED,
    "succeeded": MessageType.COMPLETED,
    "failed": MessageType.FAILED,
    "expired": MessageType.FAILED,
    "cancelled": MessageType.CANCELLED,
}


def message(kind: str, at_ms: int, data: Mapping[str, Any]) -> bytes:
    """The message about an event at `at_ms`, of at most LARGEST_BYTES."""
    body = _written(kind, at_ms, data)
    if len(body) > LARGEST_BYTES:
        body = _written(kind, at_ms, {**data, "request": {}, "warnings": [*data.get("warnings", ()), LEFT_OUT]})
    return body


def openrouter_message(at_ms: int, data: Mapping[str, Any]) -> bytes:
    """The message in OpenRouter's format, about a job that has ended.

    OpenRouterTeam/docs, `cookbook/video-generation/video-generation-webhooks.mdx` (checked 2026-11-30).
    """
    return json_bytes({"type": f"video.generation.{data['status']}", "created_at": _timestamp(at_ms), "data": data})


def _written(kind: str, at_ms: int, data: Mapping[str, Any]) -> bytes:
    return json_bytes({"type": kind, "timestamp": _timestamp(at_ms), "data": data})


def _timestamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
