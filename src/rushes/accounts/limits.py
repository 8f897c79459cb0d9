"""What an operator allows an account, or one of its keys. Kept by name: another kind of limit is another name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import AccountNotFound, KeyNotFound

WHOLE_ACCOUNT = ""
"""In place of a key's id: the limit holds for all of the account's keys together."""

SET_LIMIT = """
INSERT INTO limits (account_id, key_id, name, value) VALUES (:account_id, :key_id, :name, :value)
ON CONFLICT (account_id, key_id, name) DO UPDATE SET value = excluded.value
"""

CLEAR_LIMIT = "DELETE FROM limits WHERE account_id = :account_id AND key_id = :key_id AND name = :name"

LIMITS_OF_KEY = """
SELECT key_id, name, value FROM limits WHERE account_id = :account_id AND key_id IN ('', :key_id)
ORDER BY key_id, name
"""

LIST_LIMITS = """
SELECT accounts.name AS account, limits.* FROM limits JOIN accounts ON accounts.id = limits.account_id
ORDER BY accounts.name, limits.key_id, limits.name
"""

ACCOUNT_BY_NAME = "SELECT id FROM accounts WHERE name = :name"

KEY_OF_ACCOUNT = "SELECT id FROM api_keys WHERE id = :id AND account_id = :account_id"


class LimitName(StrEnum):
    """What is limited. Of spending, the value is in millionths of a dollar, per UTC day, UTC month, or for ever."""

    SPEND_DAY = "spend_day"
    SPEND_MONTH = "spend_month"
    SPEND_EVER = "spend_ever"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of an account, or of one of its keys where `key_id` is not WHOLE_ACCOUNT."""

    account_id: str
    account: str
    key_id: str
    name: LimitName
    value: int

    @property
    def place(self) -> tuple[LimitName, str]:
        """What tells it from the account's others."""
        return self.name, self.key_id


class LimitStore:
    """Sets, lists and clears limits; they hold from the next request on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, account: str, key_id: str, values: Mapping[LimitName, int]) -> None:
        """Set these limits, leaving others as they are. Raises AccountNotFound, or KeyNotFound."""

        async def body(transaction: Transaction) -> None:
            account_id = await _find(transaction, account, key_id)
            for name, value in values.items():
                await transaction.execute(SET_LIMIT, account_id=account_id, key_id=key_id, name=name, value=value)

        await self._database.write(body)

    async def clear(self, account: str, key_id: str, names: Iterable[LimitName]) -> Sequence[LimitName]:
        """Lift these limits; which of them there were. Raises AccountNotFound, or KeyNotFound."""

        async def body(transaction: Transaction) -> Sequence[LimitName]:
            account_id = await _find(transaction, account, key_id)
            place = {"account_id": account_id, "key_id": key_id}
            return [name for name in names if await transaction.execute(CLEAR_LIMIT, **place, name=name)]

        return await self._database.write(body)

    async def list(self) -> Sequence[Limit]:
        """Every limit, by account, key and name."""
        rows = await self._database.read(LIST_LIMITS)
        return [
            Limit(row["account_id"], row["account"], row["key_id"], LimitName(row["name"]), row["value"])
            for row in rows
            if row["name"] in set(LimitName)
        ]


async def _find(transaction: Transaction, account: str, key_id: str) -> str:
    row: Row | None = await fetch_one(transaction, ACCOUNT_BY_NAME, name=account)
    if row is None:
        raise AccountNotFound(f"Account '{account}' not found; `rushes keys list` shows accounts with their keys")
    account_id = str(row["id"])
    if key_id == WHOLE_ACCOUNT:
        return account_id
    if await fetch_one(transaction, KEY_OF_ACCOUNT, id=key_id, account_id=account_id) is None:
        raise KeyNotFound(f"Account '{account}' has no API key '{key_id}'; `rushes keys list` shows all of them")
    return account_id
