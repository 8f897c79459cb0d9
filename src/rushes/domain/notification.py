"""Whom a job's caller wants told of its changes: kept with the job, read by whoever tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

VERSION = 1


@dataclass(frozen=True, slots=True)
class Listener:
    """A URL that came with a job. It may hold a token, so it is kept sealed; `shown_url` is without query.

    `events` None means all.
    """

    sealed_url: str
    shown_url: str
    events: tuple[str, ...] | None = None

    def to_json(self) -> str:
        """The versioned form that the job row keeps."""
        content: dict[str, Any] = {"version": VERSION, "sealed_url": self.sealed_url, "shown_url": self.shown_url}
        return json.dumps({**content, "events": self.events})

    @classmethod
    def from_json(cls, text: str | None) -> Listener | None:
        """The listener that `to_json` wrote."""
        if text is None:
            return None
        content = json.loads(text)
        if content["version"] != VERSION:
            raise ValueError("this job was written by a newer version of rushes")
        events = content["events"]
        return cls(content["sealed_url"], content["shown_url"], None if events is None else tuple(events))
