"""What an entry of the audit log looks like as JSON, and as a line of CSV."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from rushes.audit.actor import ActorKind
from rushes.audit.entry import Entry
from rushes.views.times import rfc3339

LONGEST_CHANGE = 120


class AuditActor(BaseModel):
    """Who acted. `id` is the key's, or the user of the machine that ran a command."""

    kind: ActorKind
    id: str
    name: str | None = Field(description="The name that the key had then.")
    account_id: str | None


class AuditEntry(BaseModel):
    """One act. `before` and `after` are what can be shown of the thing; null where it did not exist."""

    seq: int
    at: str
    action: str = Field(description="Such as `key.revoke`.")
    actor: AuditActor
    account_id: str | None = Field(description="The account of the thing that was changed.")
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None
    address: str | None = Field(description="The network address that the request came from.")
    mode: Literal["live", "test"] = Field(description="The mode of the key that acted.")
    hash: str = Field(description="SHA-256 over this entry and the hash of the one before.")


CSV_HEADINGS = (
    "seq",
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor_name",
    "actor_account_id",
    "account_id",
    "subject_id",
    "before",
    "after",
    "request_id",
    "address",
    "mode",
    "hash",
)


def audit_entry(entry: Entry) -> AuditEntry:
    """An entry as administrators see it."""
    return AuditEntry(
        seq=entry.seq,
        at=rfc3339(entry.at),
        action=entry.action,
        actor=AuditActor(
            kind=entry.actor_kind, id=entry.actor_id, name=entry.actor_name, account_id=entry.actor_account_id
        ),
        account_id=entry.account_id,
        subject_id=entry.subject_id,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
        request_id=entry.request_id,
        address=entry.address,
        mode="test" if entry.is_test else "live",
        hash=entry.hash,
    )


def audit_line(entry: Entry) -> list[str]:
    """An entry under CSV_HEADINGS. A spreadsheet takes no cell for a formula, because names come from callers."""
    view = audit_entry(entry)
    cells = (
        view.seq,
        view.at,
        view.action,
        view.actor.kind.value,
        view.actor.id,
        view.actor.name,
        view.actor.account_id,
        view.account_id,
        view.subject_id,
        None if view.before is None else json.dumps(view.before),
        None if view.after is None else json.dumps(view.after),
        view.request_id,
        view.address,
        view.mode,
        view.hash,
    )
    return [_harmless("" if cell is None else str(cell)) for cell in cells]


def change_text(entry: Entry) -> str:
    """What has changed, as one line: the values that differ."""
    before, after = entry.before or {}, entry.after or {}
    parts = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        was = f"{json.dumps(old)} -> " if name in before and entry.after is not None else ""
        parts.append(f"{name} {was}{json.dumps(new if entry.after is not None else old)}")
    text = ", ".join(parts)
    return text if len(text) <= LONGEST_CHANGE else f"{text[:LONGEST_CHANGE]}..."


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
