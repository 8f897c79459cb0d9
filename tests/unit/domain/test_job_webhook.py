"""Whom a job's caller wants told, as the job's row keeps it."""

from __future__ import annotations

import json

import pytest

from rushes.domain.job_webhook import JobWebhook, WebhookFormat


@pytest.mark.parametrize("events", [None, ("video.completed",), ("video.failed", "video.started")])
def test_what_is_written_is_read_again(events: tuple[str, ...] | None) -> None:
    webhook = JobWebhook("sealed", "https://example.com/hook", events)
    assert JobWebhook.from_json(webhook.to_json()) == webhook


def test_the_format_is_kept_and_without_one_it_is_our_own() -> None:
    webhook = JobWebhook("sealed", "https://example.com/hook", format=WebhookFormat.OPENROUTER)
    assert JobWebhook.from_json(webhook.to_json()) == webhook
    ours = JobWebhook("sealed", "https://example.com/hook").to_json()
    assert "format" not in ours
    read = JobWebhook.from_json(ours)
    assert read is not None
    assert read.format is WebhookFormat.STANDARD


def test_a_job_without_one_has_none() -> None:
    assert JobWebhook.from_json(None) is None


def test_one_of_a_newer_version_is_not_guessed_at() -> None:
    newer = json.dumps({**json.loads(JobWebhook("s", "u").to_json()), "version": 2})
    with pytest.raises(ValueError, match="newer version"):
        JobWebhook.from_json(newer)
