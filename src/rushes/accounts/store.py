"""Accounts and their keys in the database."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.accounts.keys import Caller, KeyRecord, Mode, hash_key, new_key
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import KeyNotFound, NotAuthenticated
from rushes.ids import new_id

ENSURE_ACCOUNT = """
INSERT INTO accounts (id, name, created_at) VALUES (:id, :name, :now) ON CONFLICT (name) DO NOTHING
"""

ACCOUNT_BY_NAME = "SELECT id FROM accounts WHERE name = :name"

INSERT_KEY = """
INSERT INTO api_keys (id, account_id, name, mode, hint, hash, created_at, expires_at)
VALUES (:id, :account_id, :name, :mode, :hint, :hash, :now, :now + :lifetime_ms)
"""

SELECT_KEYS = """
SELECT api_keys.*, accounts.name AS account FROM api_keys JOIN accounts ON accounts.id = api_keys.account_id
"""

LIST_KEYS = SELECT_KEYS + " ORDER BY api_keys.created_at, api_keys.id"

KEY_BY_ID = SELECT_KEYS + " WHERE api_keys.id = :id"

_VALID_KEYS = """
SELECT id, account_id, mode FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
"""

VALID_KEY = _VALID_KEYS + " AND hash = :hash"

VALID_KEY_BY_ID = _VALID_KEYS + " AND id = :id"

REVOKE_KEY = "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, :now) WHERE id = :id"


class AccountStore:
    """Creates, lists, revokes and checks keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_key(
        self, *, account: str, name: str, mode: Mode, lifetime_s: float | None = None
    ) -> tuple[KeyRecord, str]:
        """Make a key for the account of this name, which is made too if it is new. The key itself is not kept."""
        key = new_key(mode)
        key_id = new_id("key")

        async def body(transaction: Transaction) -> KeyRecord:
            await transaction.execute(ENSURE_ACCOUNT, id=new_id("acct"), name=account)
            row = await fetch_one(transaction, ACCOUNT_BY_NAME, name=account)
            assert row is not None
            await transaction.execute(
                INSERT_KEY,
                id=key_id,
                account_id=row["id"],
                name=name,
                mode=mode,
                hint=key[-4:],
                hash=hash_key(key),
                lifetime_ms=None if lifetime_s is None else int(lifetime_s * 1000),
            )
            made = await fetch_one(transaction, KEY_BY_ID, id=key_id)
            assert made is not None
            return _record(made)

        return await self._database.write(body), key

    async def list_keys(self) -> Sequence[KeyRecord]:
        """Every key, oldest first."""
        return [_record(row) for row in await self._database.read(LIST_KEYS)]

    async def revoke_key(self, key_id: str) -> KeyRecord:
        """End a key at once; revoking it again changes nothing. Raises KeyNotFound."""

        async def body(transaction: Transaction) -> KeyRecord:
            await transaction.execute(REVOKE_KEY, id=key_id)
            row = await fetch_one(transaction, KEY_BY_ID, id=key_id)
            if row is None:
                raise KeyNotFound(f"API key '{key_id}' not found; `rushes keys list` shows all of them")
            return _record(row)

        return await self._database.write(body)

    async def authenticate(self, key: str) -> Caller:
        """Whoever the key speaks for. Raises NotAuthenticated if it is unknown, expired or revoked."""
        rows = await self._database.read(VALID_KEY, hash=hash_key(key))
        if not rows:
            raise NotAuthenticated("This API key is not valid: it is unknown, expired or revoked")
        return _caller(rows[0])

    async def authenticate_by_id(self, key_id: str) -> Caller:
        """Whoever the key of this id speaks for, as a signed token has named it. Raises NotAuthenticated likewise."""
        rows = await self._database.read(VALID_KEY_BY_ID, id=key_id)
        if not rows:
            raise NotAuthenticated("The API key behind this access token has expired or was revoked")
        return _caller(rows[0])


def _caller(row: Row) -> Caller:
    return Caller(account_id=row["account_id"], key_id=row["id"], mode=Mode(row["mode"]))


def _record(row: Row) -> KeyRecord:
    return KeyRecord(
        id=row["id"],
        account=row["account"],
        name=row["name"],
        mode=Mode(row["mode"]),
        hint=row["hint"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
