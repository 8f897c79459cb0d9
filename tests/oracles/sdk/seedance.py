"""Volcengine's own client of Ark: volcengine-ark-runtime."""

from __future__ import annotations

from typing import Any

from volcenginesdkarkruntime import Ark


def create(url: str, **fields: Any) -> Any:
    return _tasks(url).create(**fields)


def get(url: str, task_id: str) -> Any:
    return _tasks(url).get(task_id=task_id)


def delete(url: str, task_id: str) -> None:
    _tasks(url).delete(task_id=task_id)


def validate(body: dict[str, Any]) -> None:
    """Check a body against the vendor's typed request, with nothing unknown in it. Raises a ValidationError."""
    from arkruntime.types.content_generation import CreateContentGenerationTaskRequest
    from pydantic import ConfigDict

    class Strict(CreateContentGenerationTaskRequest):
        model_config = ConfigDict(extra="forbid")

    Strict.model_validate(body)


def _tasks(url: str) -> Any:
    return Ark(base_url=f"{url}/api/v3", api_key="fake", max_retries=0).content_generation.tasks
