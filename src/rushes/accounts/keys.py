"""API keys: made once, shown once, stored as a hash, checked on every request against the database itself.

What was read of a key is used again only while nothing at all was committed to the database (store.py), so that
revoking a key works at once, in every process.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rushes.accounts.tokens import PREFIX

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_LENGTH = 40

_BROUGHT = re.compile(r"[A-Za-z0-9._~+/=-]{32,256}")


class Mode(StrEnum):
    """What a key's jobs really do: run at the provider, or be drawn by the embedded animatic at no cost."""

    LIVE = "live"
    TEST = "test"


class Scope(StrEnum):
    """What a key may do. None of them includes another."""

    READ = "read"
    """Look at what the key's account has."""
    GENERATE = "generate"
    """Change it: make, cancel and delete jobs, upload files, manage the account's keys."""
    ADMIN = "admin"
    """Govern all accounts, their keys and their limits."""


USUAL_SCOPES = frozenset({Scope.READ, Scope.GENERATE})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a valid key speaks for. Rates are limits of their own, in requests per minute; None: the usual."""

    account_id: str
    key_id: str
    mode: Mode
    scopes: frozenset[Scope] = USUAL_SCOPES
    account_rate: int | None = None
    key_rate: int | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key; times are milliseconds since 1970 UTC. `hint` is its last four characters."""

    id: str
    account_id: str
    account: str
    name: str
    mode: Mode
    scopes: frozenset[Scope]
    hint: str
    created_at: int
    expires_at: int | None
    disabled_at: int | None
    revoked_at: int | None

    def state(self, now_ms: int) -> str:
        """`valid`, or the strongest reason why it is not: `revoked`, `expired` or `disabled`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now_ms:
            return "expired"
        return "valid" if self.disabled_at is None else "disabled"


def new_key(mode: Mode) -> str:
    """A fresh key: `rushes_live_...` or `rushes_test_...` with 238 random bits."""
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return f"rushes_{mode}_{secret}"


def hash_key(key: str) -> str:
    """What is stored of a key. It has more entropy than any guesser has time, so a plain SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_key(text: str) -> bool:
    """Whether a text that somebody else has made can be a key: 32 to 256 characters that a bearer token may hold."""
    return _BROUGHT.fullmatch(text) is not None and not text.startswith(PREFIX)


def mode_of(key: str) -> Mode:
    """What a key that was made elsewhere is, by its beginning; live unless it says test."""
    return Mode.TEST if key.startswith(f"rushes_{Mode.TEST}_") else Mode.LIVE


def scopes_to_text(scopes: Iterable[Scope]) -> str:
    """The form that the database keeps."""
    return " ".join(scope for scope in Scope if scope in set(scopes))


@functools.lru_cache(64)
def scopes_from(text: str) -> frozenset[Scope]:
    """The scopes that a column holds; words of a later release grant nothing here."""
    return frozenset(scope for scope in Scope if scope in text.split())
