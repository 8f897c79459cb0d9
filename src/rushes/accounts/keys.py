"""API keys: created once, shown once, stored as a hash, and checked on every request against the database.

A caller is cached only until the next commit to the database (key_store.py), so that a revocation works at once in
every process.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from rushes.accounts.tokens import PREFIX
from rushes.domain.tenant import Tenant, tenant_of
from rushes.errors import KeyRestricted

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_LENGTH = 40

_BROUGHT = re.compile(r"[A-Za-z0-9._~+/=-]{32,256}")


class Mode(StrEnum):
    """Where the jobs of a key run: at their providers, or at no cost in the embedded animatic."""

    LIVE = "live"
    TEST = "test"


class Scope(StrEnum):
    """What a key may do. No scope includes another."""

    READ = "read"
    """Read the jobs, usage and settings of the key's account."""
    GENERATE = "generate"
    """Create, cancel and delete jobs, and upload files."""
    MANAGE = "manage"
    """Manage the keys, webhooks and signing secrets of the key's account."""
    ADMIN = "admin"
    """Administer all accounts, their keys and their limits."""


USUAL_SCOPES = frozenset({Scope.READ, Scope.GENERATE, Scope.MANAGE})


@dataclass(frozen=True, slots=True)
class Caller:
    """The account and the rights of a valid key. Rates are its own limits in requests per minute; None: the default."""

    account_id: str
    key_id: str
    mode: Mode
    scopes: frozenset[Scope] = USUAL_SCOPES
    account_rate: int | None = None
    key_rate: int | None = None
    has_limits: bool = True
    """Whether a limit of its account or its own may be set; what none is set for need not be read."""
    has_settings: bool = True
    """The same of settings."""
    viewed: Mode | None = None
    """The mode that a request looks at, where that is not the mode of the key."""

    @property
    def tenant(self) -> Tenant:
        """What the request sees and changes: the account in the mode of the key, or in the one that it looks at."""
        return tenant_of(self.account_id, is_test=(self.viewed or self.mode) is Mode.TEST)

    def looking_at(self, mode: Mode | None) -> Caller:
        """The caller who looks at this mode of the account. Raises KeyRestricted if a test key asks for live mode."""
        if mode is None or mode is self.mode:
            return self
        if self.mode is Mode.TEST:
            raise KeyRestricted("A test key sees test mode only; use a live key")
        return replace(self, viewed=mode)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The record of a key; times are milliseconds since 1970 UTC. `hint` is its last four characters."""

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
    models: tuple[str, ...] | None = None
    """Patterns of the models that it may use; None for all that its account may."""

    def state(self, now_ms: int) -> str:
        """`valid`, or the strongest reason why it is refused: `revoked`, `expired` or `disabled`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now_ms:
            return "expired"
        return "valid" if self.disabled_at is None else "disabled"


def new_key(mode: Mode) -> str:
    """A new key: `rushes_live_...` or `rushes_test_...` with 238 random bits."""
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return f"rushes_{mode}_{secret}"


def hash_key(key: str) -> str:
    """The hash that the database stores. A key has 238 random bits, so a plain SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_key(text: str) -> bool:
    """Whether a text from outside can be a key: 32 to 256 characters that a bearer token may have."""
    return _BROUGHT.fullmatch(text) is not None and not text.startswith(PREFIX)


def mode_of(key: str) -> Mode:
    """The mode of a key from outside, by its prefix: live unless it says test."""
    return Mode.TEST if key.startswith(f"rushes_{Mode.TEST}_") else Mode.LIVE


def scopes_to_text(scopes: Iterable[Scope]) -> str:
    """The form in the database."""
    return " ".join(scope for scope in Scope if scope in set(scopes))


@functools.lru_cache(64)
def scopes_from(text: str) -> frozenset[Scope]:
    """The scopes in a column. Words that only a later release knows grant nothing."""
    return frozenset(scope for scope in Scope if scope in text.split())
