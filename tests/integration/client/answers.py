"""What a service says, for scripts."""

from __future__ import annotations

from typing import Any

STARTED = {
    "job_id": "job_1",
    "status": "pending",
    "model": "storyboard",
    "provider": "animatic",
    "created_at": "2026-04-07T12:00:00Z",
    "usage": {"cost": 0.5, "estimated": True},
    "warnings": ["mind this"],
}
"""The answer to a create."""


def job(status: str = "in_progress", progress: int = 10, **fields: Any) -> dict[str, Any]:
    """The object of a job."""
    return {
        "job_id": "job_1",
        "status": status,
        "progress": progress,
        "model": "storyboard",
        "provider": "animatic",
        "prompt": "a lake",
        "created_at": "2026-04-07T12:00:00Z",
        **fields,
    }


def page(*jobs: dict[str, Any], next_cursor: str | None = None) -> dict[str, Any]:
    """A page of jobs."""
    return {"jobs": list(jobs), "total": None, "limit": 100, "skip": 0, "next_cursor": next_cursor}
