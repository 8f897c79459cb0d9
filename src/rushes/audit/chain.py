"""The hash chain: an entry's hash covers all that it says and the hash of the entry before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rushes.db.database import Row

FIRST = "0" * 64
"""The hash before the first entry."""

HASHED = (
    "seq",
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor_name",
    "actor_account_id",
    "account_id",
    "subject_id",
    "before_json",
    "after_json",
    "request_id",
    "address",
    "is_test",
)
"""The columns that a hash covers, in this order. It never changes: old entries could no longer be verified."""


def hash_of(previous: str, row: Row) -> str:
    """The hash of an entry that follows the entry with the hash `previous`."""
    content = json.dumps([previous, *(row[name] for name in HASHED)], separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def as_json(facts: Mapping[str, Any] | None) -> str | None:
    """The text that is stored of the state before or after an act."""
    return None if facts is None else json.dumps(facts, separators=(",", ":"))
