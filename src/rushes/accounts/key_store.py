"""API keys in the database: created, listed, revoked, and checked on every request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from rushes.accounts.account_settings import SET_SETTING, SettingName
from rushes.accounts.account_store import ENSURE_ACCOUNT
from rushes.accounts.keys import (
    USUAL_SCOPES,
    Caller,
    KeyRecord,
    Mode,
    Scope,
    hash_key,
    mode_of,
    new_key,
    scopes_from,
    scopes_to_text,
)
from rushes.accounts.limits import LOCK_ACCOUNT, LimitName
from rushes.accounts.model_access import Patterns
from rushes.audit.actor import Actor, actor
from rushes.audit.log import record
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import AccountDisabled, KeyLimitReached, KeyNotFound, NotAuthenticated
from rushes.ids import new_id
from rushes.stored_places import KEYS

BOOTSTRAP_ACCOUNT = "default"

MOST_KEPT = 1_000
"""How many callers one process caches between two commits."""

ACCOUNT_BY_NAME = "SELECT id FROM accounts WHERE name = :name"

READ_AT_ONCE = 256
"""How many keys one query looks for."""

COUNT_KEYS = """
SELECT COUNT(*) AS keys FROM (SELECT id FROM api_keys WHERE account_id = :account_id LIMIT :most) AS found
"""

INSERT_KEY = """
INSERT INTO api_keys (id, account_id, name, mode, hint, hash, created_at, expires_at, scopes, bootstrap)
VALUES (:id, :account_id, :name, :mode, :hint, :hash, :now, :now + :lifetime_ms, :scopes, :bootstrap)
ON CONFLICT (hash) DO NOTHING
"""

SELECT_KEYS = f"""
SELECT api_keys.*, accounts.name AS account,
       (SELECT value FROM account_settings WHERE account_settings.account_id = api_keys.account_id
        AND account_settings.key_id = api_keys.id AND account_settings.name = '{SettingName.MODELS}') AS models
FROM api_keys JOIN accounts ON accounts.id = api_keys.account_id
"""  # noqa: S608 - fixed texts only

LIST_KEYS = SELECT_KEYS + " ORDER BY api_keys.created_at, api_keys.id"

KEYS_OF_ACCOUNT = (
    SELECT_KEYS
    + """
WHERE api_keys.account_id = :account_id AND (api_keys.created_at, api_keys.id) > (:after_at, :after_id){mode}
ORDER BY api_keys.created_at, api_keys.id LIMIT :most
"""
)

KEY_BY_ID = SELECT_KEYS + " WHERE api_keys.id = :id"

LOCK_KEY = "SELECT id FROM api_keys WHERE id = :id FOR UPDATE"

KEY_BY_HASH = SELECT_KEYS + " WHERE api_keys.hash = :hash"

# One query with the rate limits too, and with whether there is more to read, because every request pays for it.
_VALID_KEYS = f"""
SELECT api_keys.id, account_id, mode, scopes, expires_at, accounts.disabled_at AS account_disabled_at,
       (SELECT value FROM limits WHERE limits.account_id = api_keys.account_id AND key_id = ''
        AND limits.name = '{LimitName.REQUESTS_PER_MINUTE}') AS account_rate,
       (SELECT value FROM limits WHERE limits.account_id = api_keys.account_id AND key_id = api_keys.id
        AND limits.name = '{LimitName.REQUESTS_PER_MINUTE}') AS key_rate,
       EXISTS (SELECT 1 FROM limits WHERE limits.account_id = api_keys.account_id
               AND key_id IN ('', api_keys.id)) AS has_limits,
       EXISTS (SELECT 1 FROM account_settings WHERE account_settings.account_id = api_keys.account_id
               AND key_id IN ('', api_keys.id)) AS has_settings
FROM api_keys JOIN accounts ON accounts.id = api_keys.account_id
WHERE revoked_at IS NULL AND api_keys.disabled_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
"""  # noqa: S608 - fixed texts only

VALID_KEY = _VALID_KEYS + " AND hash = :hash"

VALID_KEY_BY_ID = _VALID_KEYS + " AND api_keys.id = :id"

VALID_KEYS_AMONG = _VALID_KEYS + " AND api_keys.id IN ({})"

REVOKE_KEY = "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, :now) WHERE id = :id"

DISABLE_KEY = "UPDATE api_keys SET disabled_at = COALESCE(disabled_at, :now) WHERE id = :id"

ENABLE_KEY = "UPDATE api_keys SET disabled_at = NULL WHERE id = :id"

RENAME_KEY = "UPDATE api_keys SET name = :name WHERE id = :id"

DELETE_KEY = "DELETE FROM api_keys WHERE id = :id"

DELETE_LIMITS = "DELETE FROM limits WHERE account_id = :account_id AND key_id = :key_id"

DELETE_SETTINGS = "DELETE FROM account_settings WHERE account_id = :account_id AND key_id = :key_id"

DELETE_USER_WINDOWS = "DELETE FROM user_windows WHERE account_id = :account_id AND key_id = :key_id"

DELETE_WINDOW = "DELETE FROM rate_windows WHERE account_id = :account_id AND key_id = :key_id"

RETIRE_BOOTSTRAP_KEYS = """
UPDATE api_keys SET disabled_at = :now WHERE bootstrap = 1 AND disabled_at IS NULL AND hash <> :hash
RETURNING id
"""


class KeyStore:
    """Creates, lists, revokes and checks keys.

    A method that takes the id of a key raises KeyNotFound. With an `account_id` it does so for a key of another
    account too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version: int | None = None
        self._callers: dict[str, Caller] = {}
        """The callers of valid keys by hash or id, as long as the database has this version."""

    async def create_key(
        self,
        *,
        account: str,
        name: str,
        mode: Mode,
        lifetime_s: float | None = None,
        scopes: frozenset[Scope] = USUAL_SCOPES,
        models: Patterns | None = None,
    ) -> tuple[KeyRecord, str]:
        """Create a key for the account of this name, and the account if it is new. The key itself is not stored.

        `models` are patterns of the models that it may use; None for all that its account may.
        """
        key = new_key(mode)
        who = actor()

        async def body(transaction: Transaction) -> KeyRecord:
            account_id, is_new = await _ensured(transaction, account)
            await check_count(transaction, account_id)
            made = await _insert(
                transaction, account_id, key, name=name, lifetime_s=lifetime_s, scopes=scopes, models=models
            )
            await _record_creation(transaction, who, made, is_new_account=is_new)
            return made

        return await self._database.write(body), key

    async def create_key_for(
        self,
        account_id: str,
        *,
        name: str,
        mode: Mode,
        lifetime_s: float | None,
        scopes: frozenset[Scope],
        models: Patterns | None = None,
    ) -> tuple[KeyRecord, str]:
        """Create a key for an existing account."""
        key = new_key(mode)
        who = actor()

        async def body(transaction: Transaction) -> KeyRecord:
            await check_count(transaction, account_id)
            made = await _insert(
                transaction, account_id, key, name=name, lifetime_s=lifetime_s, scopes=scopes, models=models
            )
            await _record_creation(transaction, who, made)
            return made

        return await self._database.write(body), key

    async def ensure_bootstrap_key(self, key: str) -> KeyRecord:
        """Store the key of the environment unless it is known, and then disable earlier keys of the environment.

        A known key stays as it is, so that a revoked or disabled one stays refused. Any number of processes may call
        this at the same time.
        """
        who = actor()

        async def body(transaction: Transaction) -> KeyRecord:
            known = await fetch_one(transaction, KEY_BY_HASH, hash=hash_key(key))
            if known is not None:
                return record_from(known)
            account_id, is_new = await _ensured(transaction, BOOTSTRAP_ACCOUNT)
            retired = await transaction.fetch(RETIRE_BOOTSTRAP_KEYS, hash=hash_key(key))
            made = await _insert(
                transaction, account_id, key, name="bootstrap", scopes=frozenset(Scope), bootstrap=True
            )
            for row in retired:
                after = key_facts(await _get(transaction, row["id"], None))
                await record(transaction, who, "key.disable", row["id"], account_id=account_id, after=after)
            await _record_creation(transaction, who, made, is_new_account=is_new)
            return made

        return await self._database.write(body)

    async def list_keys(self) -> Sequence[KeyRecord]:
        """Every key, oldest first."""
        return [record_from(row) for row in await self._database.read(LIST_KEYS)]

    async def keys_of(
        self, account_id: str, *, after: tuple[int, str] = (0, ""), most: int, mode: Mode | None = None
    ) -> Sequence[KeyRecord]:
        """Up to `most` keys of an account, oldest first, that come after this time of creation and id.

        `mode` leaves out those of the other mode.
        """
        sql = KEYS_OF_ACCOUNT.format(mode="" if mode is None else " AND api_keys.mode = :mode")
        given = {} if mode is None else {"mode": mode}
        rows = await self._database.read(
            sql, account_id=account_id, after_at=after[0], after_id=after[1], most=most, **given
        )
        return [record_from(row) for row in rows]

    async def get_key(self, key_id: str, *, account_id: str | None = None) -> KeyRecord:
        """The record of a key."""
        rows = await self._database.read(KEY_BY_ID, id=key_id)
        if not rows or account_id not in (None, rows[0]["account_id"]):
            raise no_such_key(key_id)
        return record_from(rows[0])

    async def revoke_key(self, key_id: str, *, account_id: str | None = None) -> KeyRecord:
        """Refuse a key at once and permanently; a second revocation changes nothing."""
        return await self._change(key_id, account_id, "key.revoke", REVOKE_KEY)

    async def disable_key(self, key_id: str, *, account_id: str | None = None) -> KeyRecord:
        """Refuse a key at once, until it is enabled."""
        return await self._change(key_id, account_id, "key.disable", DISABLE_KEY)

    async def enable_key(self, key_id: str, *, account_id: str | None = None) -> KeyRecord:
        """Accept a disabled key again; a revoked or expired key stays refused."""
        return await self._change(key_id, account_id, "key.enable", ENABLE_KEY)

    async def rename_key(self, key_id: str, name: str, *, account_id: str | None = None) -> KeyRecord:
        """Rename a key."""
        return await self._change(key_id, account_id, "key.rename", RENAME_KEY, name=name)

    async def delete_key(self, key_id: str, *, account_id: str | None = None) -> KeyRecord:
        """Delete a key with its limits and settings. It is refused at once, and its jobs keep its id."""
        who = actor()

        async def body(transaction: Transaction) -> KeyRecord:
            await transaction.fetch(LOCK_KEY, id=key_id)
            key = await _get(transaction, key_id, account_id)
            for statement in (DELETE_LIMITS, DELETE_SETTINGS, DELETE_WINDOW, DELETE_USER_WINDOWS):
                await transaction.execute(statement, account_id=key.account_id, key_id=key_id)
            await transaction.execute(DELETE_KEY, id=key_id)
            await record(transaction, who, "key.delete", key_id, account_id=key.account_id, before=key_facts(key))
            return key

        return await self._database.write(body)

    async def authenticate(self, key: str) -> Caller:
        """The caller that this key authenticates. Raises NotAuthenticated for an invalid key, or AccountDisabled."""
        caller = await self._find_caller(VALID_KEY, hash=hash_key(key))
        if caller is None:
            raise NotAuthenticated("This API key is not valid: it is unknown, expired, disabled or revoked")
        return caller

    async def authenticate_by_id(self, key_id: str) -> Caller:
        """The caller of the key with this id, which a signed token has named. Raises the errors of `authenticate`."""
        caller = await self._find_caller(VALID_KEY_BY_ID, id=key_id)
        if caller is None:
            raise NotAuthenticated("The API key behind this access token has expired, or was disabled or revoked")
        return caller

    async def readers_among(self, key_ids: Sequence[str]) -> frozenset[str]:
        """Those of these keys that are valid, of an account that is not disabled, and may read."""
        found: set[str] = set()
        for start in range(0, len(key_ids), READ_AT_ONCE):
            asked = key_ids[start : start + READ_AT_ONCE]
            # Rounded up by asking for the last one again: few different texts, so that each is prepared once.
            names = [f"id_{index}" for index in range(1 << (len(asked) - 1).bit_length())]
            parameters = {name: asked[min(index, len(asked) - 1)] for index, name in enumerate(names)}
            sql = VALID_KEYS_AMONG.format(", ".join(f":{name}" for name in names))
            for row in await self._database.read(sql, **parameters):
                if row["account_disabled_at"] is None and Scope.READ in scopes_from(row["scopes"]):
                    found.add(row["id"])
        return frozenset(found)

    async def _find_caller(self, statement: str, **named: str) -> Caller | None:
        (name,) = named.values()
        # Read before the key: a commit between the two reads then makes the cached caller stale at once.
        version = self._database.version()
        if version is None or version != self._version:
            self._callers.clear()
            self._version = version
        known = self._callers.get(name)
        if known is not None:
            return known
        rows = await self._database.read(statement, **named)
        if not rows:
            return None
        caller = _caller(rows[0])
        # A key also expires by time, without a commit, so such a key is not cached.
        if version is not None and version == self._version and rows[0]["expires_at"] is None:
            if len(self._callers) >= MOST_KEPT:
                self._callers.clear()
            self._callers[name] = caller
        return caller

    async def _change(
        self, key_id: str, account_id: str | None, action: str, statement: str, **parameters: object
    ) -> KeyRecord:
        who = actor()

        async def body(transaction: Transaction) -> KeyRecord:
            # Locked, so that of two changes at once the second begins where the first has ended.
            await transaction.fetch(LOCK_KEY, id=key_id)
            before = await _get(transaction, key_id, account_id)
            await transaction.execute(statement, id=key_id, **parameters)
            after = await _get(transaction, key_id, account_id)
            await record(
                transaction,
                who,
                action,
                key_id,
                account_id=after.account_id,
                before=key_facts(before),
                after=key_facts(after),
            )
            return after

        return await self._database.write(body)


async def _ensured(transaction: Transaction, account: str) -> tuple[str, bool]:
    """The id of the account of this name, and whether it is new."""
    is_new = bool(await transaction.execute(ENSURE_ACCOUNT, id=new_id("acct"), name=account))
    row = await fetch_one(transaction, ACCOUNT_BY_NAME, name=account)
    assert row is not None
    return str(row["id"]), is_new


async def _record_creation(
    transaction: Transaction, who: Actor, made: KeyRecord, *, is_new_account: bool = False
) -> None:
    account_id = made.account_id
    if is_new_account:
        facts = {"name": made.account, "disabled": False}
        await record(transaction, who, "account.create", account_id, account_id=account_id, after=facts)
    await record(transaction, who, "key.create", made.id, account_id=account_id, after=key_facts(made))


def key_facts(key: KeyRecord) -> dict[str, Any]:
    """What the audit log says of a key: nothing of the key itself."""
    return {
        "name": key.name,
        "mode": key.mode.value,
        "scopes": [scope.value for scope in Scope if scope in key.scopes],
        "models": key.models,
        "expires_at": None
        if key.expires_at is None
        else datetime.fromtimestamp(key.expires_at // 1000, UTC).isoformat(),
        "disabled": key.disabled_at is not None,
        "revoked": key.revoked_at is not None,
    }


async def check_count(transaction: Transaction, account_id: str) -> None:
    """Raise KeyLimitReached if the account can have no further key."""
    # Locked, so that two requests at once cannot both create the last allowed key.
    await transaction.fetch(LOCK_ACCOUNT, account_id=account_id)
    counted = await fetch_one(transaction, COUNT_KEYS, account_id=account_id, most=KEYS.share)
    if counted is not None and counted["keys"] >= KEYS.share:
        raise KeyLimitReached(f"An account can have {KEYS.share} API keys, also revoked ones; delete some first")


async def _insert(
    transaction: Transaction,
    account_id: str,
    key: str,
    *,
    name: str,
    scopes: frozenset[Scope],
    lifetime_s: float | None = None,
    bootstrap: bool = False,
    models: Patterns | None = None,
) -> KeyRecord:
    key_id = new_id("key")
    await transaction.execute(
        INSERT_KEY,
        id=key_id,
        account_id=account_id,
        name=name,
        mode=mode_of(key),
        hint=key[-4:],
        hash=hash_key(key),
        lifetime_ms=None if lifetime_s is None else int(lifetime_s * 1000),
        scopes=scopes_to_text(scopes),
        bootstrap=int(bootstrap),
    )
    if models is not None:
        await transaction.execute(
            SET_SETTING, account_id=account_id, key_id=key_id, name=SettingName.MODELS, value=json.dumps(models)
        )
    # By its hash: another process may have made the same bootstrap key first.
    made = await fetch_one(transaction, KEY_BY_HASH, hash=hash_key(key))
    assert made is not None
    return record_from(made)


async def _get(transaction: Transaction, key_id: str, account_id: str | None) -> KeyRecord:
    row = await fetch_one(transaction, KEY_BY_ID, id=key_id)
    if row is None or account_id not in (None, row["account_id"]):
        raise no_such_key(key_id)
    return record_from(row)


def no_such_key(key_id: str) -> KeyNotFound:
    """The refusal of an id that no key has, or none that the caller may see."""
    return KeyNotFound(f"API key '{key_id[:100]}' not found; `rushes keys list` shows all of them")


def _caller(row: Row) -> Caller:
    if row["account_disabled_at"] is not None:
        raise AccountDisabled("This account is disabled; ask the operator of this service")
    return Caller(
        account_id=row["account_id"],
        key_id=row["id"],
        mode=Mode(row["mode"]),
        scopes=scopes_from(row["scopes"]),
        account_rate=row["account_rate"],
        key_rate=row["key_rate"],
        has_limits=bool(row["has_limits"]),
        has_settings=bool(row["has_settings"]),
    )


def record_from(row: Row) -> KeyRecord:
    """The key in a row of SELECT_KEYS."""
    return KeyRecord(
        id=row["id"],
        account_id=row["account_id"],
        account=row["account"],
        name=row["name"],
        mode=Mode(row["mode"]),
        scopes=scopes_from(row["scopes"]),
        hint=row["hint"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        disabled_at=row["disabled_at"],
        revoked_at=row["revoked_at"],
        models=None if row["models"] is None else tuple(from_json(row["models"])),
    )
