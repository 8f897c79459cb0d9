"""Whom a job's caller wants told, as the job's row keeps it."""

from __future__ import annotations

import json

import pytest

from rushes.domain.notification import Listener


@pytest.mark.parametrize("events", [None, ("video.completed",), ("video.failed", "video.started")])
def test_what_is_written_is_read_again(events: tuple[str, ...] | None) -> None:
    listener = Listener("sealed", "https://example.com/hook", events)
    assert Listener.from_json(listener.to_json()) == listener


def test_a_job_without_one_has_none() -> None:
    assert Listener.from_json(None) is None


def test_one_of_a_newer_version_is_not_guessed_at() -> None:
    newer = json.dumps({**json.loads(Listener("s", "u").to_json()), "version": 2})
    with pytest.raises(ValueError, match="newer version"):
        Listener.from_json(newer)
