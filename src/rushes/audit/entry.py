"""An entry of the audit log, and queries for entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rushes.audit.actor import ActorKind
from rushes.db.database import Row


@dataclass(frozen=True, slots=True)
class Entry:
    """One act. `at` is in milliseconds since 1970 UTC; `account_id` is the account of the thing that was changed."""

    seq: int
    at: int
    action: str
    actor_kind: ActorKind
    actor_id: str
    actor_name: str | None
    actor_account_id: str | None
    account_id: str | None
    subject_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    request_id: str | None
    address: str | None
    is_test: bool
    hash: str


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries, newest first; all given conditions must match. An `action` that ends with a dot is a prefix."""

    limit: int = 100
    before_seq: int | None = None
    account_id: str | None = None
    actor_id: str | None = None
    subject_id: str | None = None
    action: str | None = None
    after_ms: int | None = None
    before_ms: int | None = None
    is_test: bool | None = None

    def matches(self, row: Row) -> bool:
        """Whether the entry in this row is one of them, as far as the columns besides the time tell."""
        return (
            self.account_id in (None, row["account_id"])
            and self.actor_id in (None, row["actor_id"])
            and self.subject_id in (None, row["subject_id"])
            and (self.action is None or _is_of(self.action, row["action"]))
            and (self.is_test is None or self.is_test == bool(row["is_test"]))
        )


def _is_of(asked: str, action: str) -> bool:
    return action.startswith(asked) if asked.endswith(".") else action == asked


def entry_from(row: Row) -> Entry:
    """The entry in a row of `audit_log`. A state that was broken by hand is shown as it stands."""
    return Entry(
        seq=row["seq"],
        at=row["at"],
        action=row["action"],
        actor_kind=_kind(row["actor_kind"]),
        actor_id=row["actor_id"],
        actor_name=row["actor_name"],
        actor_account_id=row["actor_account_id"],
        account_id=row["account_id"],
        subject_id=row["subject_id"],
        before=_facts(row["before_json"]),
        after=_facts(row["after_json"]),
        request_id=row["request_id"],
        address=row["address"],
        is_test=bool(row["is_test"]),
        hash=row["hash"],
    )


def _kind(text: str) -> ActorKind:
    return ActorKind(text) if text in set(ActorKind) else ActorKind.SERVICE


def _facts(text: str | None) -> Mapping[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {"unreadable": str(found)}
