"""The address and the key of a client: `RUSHES_BASE_URL` and `RUSHES_API_KEY`.

They are not in `settings.py`, because a client must not wait for the import of the server's settings.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from rushes.client_sign_in import find_token

DEFAULT_BASE_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How to reach a service; the key stays out of its `repr`."""

    base_url: str
    api_key: str | None = field(repr=False)
    is_configured: bool
    """Whether an address or a key was given; else `base_url` is the default address."""


def load_client_settings(base_url: str | None = None, api_key: str | None = None) -> ClientSettings:
    """The given values, else those of the environment. An empty variable counts as not set.

    Without a key it is the access token that `rushes login` has kept for this address.
    """
    given_url = base_url or os.environ.get("RUSHES_BASE_URL")  # noqa: TID251 - read in one place, as settings.py
    given_key = api_key or os.environ.get("RUSHES_API_KEY")  # noqa: TID251
    url = (given_url or DEFAULT_BASE_URL).strip()
    return ClientSettings(
        base_url=url,
        api_key=(given_key or "").strip() or find_token(url),
        is_configured=bool(given_url or given_key),
    )
