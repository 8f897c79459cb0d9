"""Where a client's service is and with which key: `RUSHES_BASE_URL` and `RUSHES_API_KEY`.

Beside `settings.py` and not in it, because a program that only asks a service must not wait for the server's settings
and the libraries that read them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

DEFAULT_BASE_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How to reach a service; the key stays out of its `repr`."""

    base_url: str
    api_key: str | None = field(repr=False)
    is_configured: bool
    """Whether anyone said which service, or brought a key; else `base_url` is only where one usually is."""


def load_client_settings(base_url: str | None = None, api_key: str | None = None) -> ClientSettings:
    """The settings in force: what is given here, else the environment. An empty variable counts as not set."""
    given_url = base_url or os.environ.get("RUSHES_BASE_URL")  # noqa: TID251 - read in one place, as settings.py
    given_key = api_key or os.environ.get("RUSHES_API_KEY")  # noqa: TID251
    return ClientSettings(
        base_url=(given_url or DEFAULT_BASE_URL).strip(),
        api_key=(given_key or "").strip() or None,
        is_configured=bool(given_url or given_key),
    )
