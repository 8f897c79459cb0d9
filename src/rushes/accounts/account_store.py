"""Creates, lists, renames and disables accounts. They are never deleted, because jobs and bills name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rushes.audit.actor import actor
from rushes.audit.log import record
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import AccountNameTaken, AccountNotFound
from rushes.ids import new_id

ENSURE_ACCOUNT = """
INSERT INTO accounts (id, name, created_at) VALUES (:id, :name, :now) ON CONFLICT (name) DO NOTHING
"""

ACCOUNT_BY_ID = "SELECT * FROM accounts WHERE id = :id"

LOCK_ACCOUNT_BY_ID = ACCOUNT_BY_ID + " FOR UPDATE"

ACCOUNT_BY_ID_OR_NAME = "SELECT * FROM accounts WHERE id = :name OR name = :name ORDER BY id = :name DESC LIMIT 1"

LIST_ACCOUNTS = """
SELECT * FROM accounts WHERE (created_at, id) > (:after_at, :after_id) ORDER BY created_at, id LIMIT :most
"""

RENAME_ACCOUNT = """
UPDATE accounts SET name = :name
WHERE id = :id AND NOT EXISTS (SELECT 1 FROM accounts AS other WHERE other.name = :name AND other.id <> :id)
"""

DISABLE_ACCOUNT = "UPDATE accounts SET disabled_at = COALESCE(disabled_at, :now) WHERE id = :id"

ENABLE_ACCOUNT = "UPDATE accounts SET disabled_at = NULL WHERE id = :id"


@dataclass(frozen=True, slots=True)
class Account:
    """An account; times are milliseconds since 1970 UTC. While it is disabled, all of its keys are refused."""

    id: str
    name: str
    created_at: int
    disabled_at: int | None


class AccountStore:
    """The accounts. A method that takes an id or a name raises AccountNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str) -> Account:
        """Create an account. Raises AccountNameTaken."""
        account_id = new_id("acct")
        who = actor()

        async def body(transaction: Transaction) -> Account:
            if not await transaction.execute(ENSURE_ACCOUNT, id=account_id, name=name):
                raise _taken(name)
            account = await _get(transaction, account_id)
            await record(
                transaction, who, "account.create", account_id, account_id=account_id, after=account_facts(account)
            )
            return account

        return await self._database.write(body)

    async def get(self, account_id: str) -> Account:
        """The account of this id."""
        rows = await self._database.read(ACCOUNT_BY_ID, id=account_id)
        if not rows:
            raise no_such_account(account_id)
        return _account(rows[0])

    async def get_named(self, name: str) -> Account:
        """The account of this id or name."""
        rows = await self._database.read(ACCOUNT_BY_ID_OR_NAME, name=name)
        if not rows:
            raise no_such_account(name)
        return _account(rows[0])

    async def list(self, *, after: tuple[int, str] = (0, ""), most: int) -> Sequence[Account]:
        """Up to `most` accounts, oldest first, that come after this time of creation and id."""
        rows = await self._database.read(LIST_ACCOUNTS, after_at=after[0], after_id=after[1], most=most)
        return [_account(row) for row in rows]

    async def rename(self, account_id: str, name: str) -> Account:
        """Rename an account. Raises AccountNameTaken."""

        return await self._change(account_id, "account.rename", RENAME_ACCOUNT, name=name)

    async def disable(self, account_id: str) -> Account:
        """Refuse all keys of an account at once; its running jobs continue."""
        return await self._change(account_id, "account.disable", DISABLE_ACCOUNT)

    async def enable(self, account_id: str) -> Account:
        """Accept the keys of a disabled account again."""
        return await self._change(account_id, "account.enable", ENABLE_ACCOUNT)

    async def _change(self, account_id: str, action: str, statement: str, *, name: str | None = None) -> Account:
        who = actor()

        async def body(transaction: Transaction) -> Account:
            # Locked, so that of two changes at once the second begins where the first has ended.
            await transaction.fetch(LOCK_ACCOUNT_BY_ID, id=account_id)
            before = await _get(transaction, account_id)
            given = {} if name is None else {"name": name}
            # It exists, so only a name that another account has keeps it from being changed.
            if not await transaction.execute(statement, id=account_id, **given):
                raise _taken(name or "")
            after = await _get(transaction, account_id)
            await record(
                transaction,
                who,
                action,
                account_id,
                account_id=account_id,
                before=account_facts(before),
                after=account_facts(after),
            )
            return after

        return await self._database.write(body)


async def _get(transaction: Transaction, account_id: str) -> Account:
    row = await fetch_one(transaction, ACCOUNT_BY_ID, id=account_id)
    if row is None:
        raise no_such_account(account_id)
    return _account(row)


def _account(row: Row) -> Account:
    return Account(id=row["id"], name=row["name"], created_at=row["created_at"], disabled_at=row["disabled_at"])


def account_facts(account: Account) -> dict[str, Any]:
    """What the audit log says of an account."""
    return {"name": account.name, "disabled": account.disabled_at is not None}


def no_such_account(name: str) -> AccountNotFound:
    """The error for an unknown account."""
    return AccountNotFound(f"Account '{name[:100]}' not found; `rushes accounts list` shows all of them")


def _taken(name: str) -> AccountNameTaken:
    return AccountNameTaken(f"An account named '{name[:100]}' already exists")
