"""API keys: made once, shown once, stored as a hash, checked on every request against the database itself.

There is no cache, so that revoking a key works at once, in every process.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_LENGTH = 40


class Mode(StrEnum):
    """What a key's jobs really do: run at the provider, or be drawn by the embedded animatic at no cost."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a valid key speaks for."""

    account_id: str
    key_id: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key; times are milliseconds since 1970 UTC. `hint` is its last four characters."""

    id: str
    account: str
    name: str
    mode: Mode
    hint: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None


def new_key(mode: Mode) -> str:
    """A fresh key: `rushes_live_...` or `rushes_test_...` with 238 random bits."""
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return f"rushes_{mode}_{secret}"


def hash_key(key: str) -> str:
    """What is stored of a key. It has more entropy than any guesser has time, so a plain SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()
