"""Appends to the audit log, in the transaction of the act itself.

Writers take turns at the one row of `audit_head`, so that the chain has one order whatever the number of processes. The
lock is held until the commit; call `record` last in a transaction, so that no writer waits for a lock while it has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rushes.audit.actor import Actor, ActorKind
from rushes.audit.chain import FIRST, as_json, hash_of
from rushes.db.database import Row, Transaction, fetch_one, fetch_row

LOCK_HEAD = "SELECT seq, at, hash, :now AS now FROM audit_head WHERE name = 'head' FOR UPDATE"

MAKE_HEAD = """
INSERT INTO audit_head (name, seq, at, hash) VALUES ('head', 0, 0, :hash) ON CONFLICT (name) DO NOTHING
"""

MOVE_HEAD = "UPDATE audit_head SET seq = :seq, at = :at, hash = :hash WHERE name = 'head'"

APPEND = """
INSERT INTO audit_log (seq, at, action, actor_kind, actor_id, actor_name, actor_account_id, account_id, subject_id,
                       before_json, after_json, request_id, address, is_test, hash)
VALUES (:seq, :at, :action, :actor_kind, :actor_id, :actor_name, :actor_account_id, :account_id, :subject_id,
        :before_json, :after_json, :request_id, :address, :is_test, :hash)
"""

NAME_OF_KEY = """
SELECT name, (SELECT subject FROM people WHERE people.key_id = api_keys.id) AS subject FROM api_keys WHERE id = :id
"""


async def record(
    transaction: Transaction,
    who: Actor,
    action: str,
    subject_id: str,
    *,
    account_id: str | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Append an act: `who` has done `action` to the thing `subject_id` of an account.

    `before` and `after` are what can be shown of the thing; None where it did not exist. They hold no secret.
    """
    who = await _named(transaction, who)
    head = await lock_head(transaction)
    row = {
        "seq": head["seq"] + 1,
        # Never earlier than the entry before, whatever the clocks of several machines say.
        "at": max(head["at"], head["now"]),
        "action": action,
        "actor_kind": who.kind.value,
        "actor_id": who.id,
        "actor_name": who.name,
        "actor_account_id": who.account_id,
        "account_id": account_id,
        "subject_id": subject_id,
        "before_json": as_json(before),
        "after_json": as_json(after),
        "request_id": who.request_id,
        "address": who.address,
        "is_test": int(who.is_test),
    }
    hashed = hash_of(head["hash"], row)
    await transaction.execute(APPEND, **row, hash=hashed)
    await transaction.execute(MOVE_HEAD, seq=row["seq"], at=row["at"], hash=hashed)


async def lock_head(transaction: Transaction) -> Row:
    """The newest entry's number, time and hash; no other writer appends before this transaction has ended."""
    head = await fetch_one(transaction, LOCK_HEAD)
    if head is None:
        await transaction.execute(MAKE_HEAD, hash=FIRST)
        # In a statement of its own, which sees the row that another process has just committed.
        head = await fetch_row(transaction, LOCK_HEAD)
    return head


async def _named(transaction: Transaction, who: Actor) -> Actor:
    """The same with the name of the key, as a person if the key is a person's."""
    if who.account_id is None or who.name is not None:
        return who
    key = await fetch_one(transaction, NAME_OF_KEY, id=who.id)
    if key is None:
        return who
    return replace(who, name=key["name"], kind=who.kind if key["subject"] is None else ActorKind.PERSON)
