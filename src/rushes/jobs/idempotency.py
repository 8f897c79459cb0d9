"""Idempotency keys: the same request sent twice makes one job and gets one answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rushes.domain.job import Job
from rushes.errors import FieldError, IdempotencyMismatch, InvalidRequest

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
KEPT_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Once:
    """One request under an idempotency key. `answer_of` renders the answer that every repetition gets."""

    route: str
    key: str
    body_hash: str
    answer_of: Callable[[Job], str]


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer that an earlier request of the same key got."""

    answer: str


def check_key(key: str) -> str:
    """The key, if it is one. Raises InvalidRequest."""
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        message = f"{HEADER} must be 1 to {LONGEST_KEY} printable characters"
        raise InvalidRequest(message, [FieldError(HEADER, message)])
    return key


def hash_body(content: Any) -> str:
    """The same for bodies that mean the same: the order of names and white space do not count.

    Fed piece by piece, so that a body of 60 MB of media is not written out a second time.
    """
    hasher = hashlib.sha256()
    _feed(hasher, content)
    return hasher.hexdigest()


def _feed(hasher: hashlib._Hash, value: Any) -> None:
    # Every piece says its kind and length, so that no two contents are fed alike.
    if isinstance(value, dict):
        hasher.update(b"{%d:" % len(value))
        for name in sorted(value):
            _feed(hasher, name)
            _feed(hasher, value[name])
    elif isinstance(value, list):
        hasher.update(b"[%d:" % len(value))
        for item in value:
            _feed(hasher, item)
    elif isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        hasher.update(b"s%d:" % len(text))
        hasher.update(text)
    else:
        hasher.update(f"j{json.dumps(value)};".encode())


def replayed(once: Once, body_hash: str, answer: str) -> Replay:
    """The stored answer. Raises IdempotencyMismatch if it was given for another body."""
    if body_hash != once.body_hash:
        raise IdempotencyMismatch(
            f"{HEADER} '{once.key}' was used with another body less than 24 hours ago; use a new key for a new request"
        )
    return Replay(answer)
