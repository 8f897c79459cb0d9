"""The webhook that a caller named in the request of one job. The job keeps it; the webhook outbox reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

VERSION = 1


class WebhookFormat(StrEnum):
    """Whose messages a receiver understands: their JSON and how they are signed."""

    STANDARD = "standard"
    """Ours, signed as Standard Webhooks describes."""
    OPENROUTER = "openrouter"
    """OpenRouter's."""


@dataclass(frozen=True, slots=True)
class JobWebhook:
    """The URL and events of a job's own webhook. The URL may hold a token, so it is sealed; `shown_url` has no query.

    `events` None means all events.
    """

    sealed_url: str
    shown_url: str
    events: tuple[str, ...] | None = None
    format: WebhookFormat = WebhookFormat.STANDARD

    def to_json(self) -> str:
        """Encode for the job's row, with the version of this format. The column keeps its first name, `listener`."""
        content: dict[str, Any] = {"version": VERSION, "sealed_url": self.sealed_url, "shown_url": self.shown_url}
        if self.format is not WebhookFormat.STANDARD:
            content["format"] = self.format
        return json.dumps({**content, "events": self.events})

    @classmethod
    def from_json(cls, text: str | None) -> JobWebhook | None:
        """Decode what `to_json` wrote; None stays None. Raises ValueError for a newer format."""
        if text is None:
            return None
        content = json.loads(text)
        if content["version"] != VERSION:
            raise ValueError("this job was written by a newer version of rushes")
        events = content["events"]
        return cls(
            content["sealed_url"],
            content["shown_url"],
            None if events is None else tuple(events),
            WebhookFormat(content.get("format", WebhookFormat.STANDARD)),
        )
