"""People who sign in through an identity provider. Each has a key of their own in their account, which no secret opens.

So a person's jobs, limits and usage are those of a key, and to revoke that key ends their sessions and tokens at once
and keeps them out. The role decides its scopes, anew at each sign-in.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from rushes.accounts.account_store import ACCOUNT_BY_ID_OR_NAME
from rushes.accounts.key_store import (
    INSERT_KEY,
    KEY_BY_ID,
    LOCK_KEY,
    REVOKE_KEY,
    check_count,
    key_facts,
    record_from,
)
from rushes.accounts.keys import USUAL_SCOPES, KeyRecord, Mode, Scope, scopes_to_text
from rushes.audit.actor import Actor, ActorKind, actor
from rushes.audit.log import record
from rushes.db.database import Database, Transaction, fetch_one, fetch_row
from rushes.errors import AccountDisabled, SignInRefused
from rushes.ids import new_id

LONGEST_NAME = 200

MAKE_PERSON = """
INSERT INTO people (issuer, subject, account_id, key_id, signed_in_at) VALUES (:issuer, :subject, '', '', :now)
ON CONFLICT (issuer, subject) DO NOTHING
"""

LOCK_PERSON = "SELECT * FROM people WHERE issuer = :issuer AND subject = :subject FOR UPDATE"

UPDATE_PERSON = """
UPDATE people SET account_id = :account_id, key_id = :key_id, signed_in_at = :now
WHERE issuer = :issuer AND subject = :subject
"""

UPDATE_KEY = "UPDATE api_keys SET name = :name, scopes = :scopes WHERE id = :id"


class Role(StrEnum):
    """What a person may do."""

    VIEWER = "viewer"
    """Look at the account."""
    MEMBER = "member"
    """Make videos too, and manage the keys and webhooks of the account."""
    ADMIN = "admin"
    """Administer all accounts too."""

    @property
    def scopes(self) -> frozenset[Scope]:
        """The scopes of the person's key."""
        return {
            Role.VIEWER: frozenset({Scope.READ}),
            Role.MEMBER: USUAL_SCOPES,
            Role.ADMIN: frozenset(Scope),
        }[self]


@dataclass(frozen=True, slots=True)
class Person:
    """Who has signed in, as the claims of an ID token say. `account` is an account's name or id."""

    issuer: str
    subject: str
    account: str
    role: Role
    name: str


class PeopleStore:
    """Lets people in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, person: Person) -> KeyRecord:
        """The key of this person in the account that the claims name, with the scopes of the role.

        Raises SignInRefused if the account does not exist, or an administrator has ended the key; or AccountDisabled.
        """
        who = actor()

        async def body(transaction: Transaction) -> KeyRecord:
            account = await fetch_one(transaction, ACCOUNT_BY_ID_OR_NAME, name=person.account)
            if account is None:
                raise SignInRefused(
                    f"The account '{person.account[:100]}' that your identity provider names does not exist here; "
                    "ask an administrator to create it"
                )
            if account["disabled_at"] is not None:
                raise AccountDisabled("This account is disabled; ask the operator of this service")
            place = {"issuer": person.issuer, "subject": person.subject}
            await transaction.execute(MAKE_PERSON, **place)
            known = await fetch_row(transaction, LOCK_PERSON, **place)
            before = await _key(transaction, known["key_id"])
            acting = replace(who, kind=ActorKind.PERSON, name=person.name)
            if before is not None and before.account_id == account["id"]:
                key = await self._updated(transaction, before, person)
            else:
                if before is not None:
                    await _end(transaction, acting, before)
                key = await self._made(transaction, account["id"], person)
            await transaction.execute(UPDATE_PERSON, **place, account_id=account["id"], key_id=key.id)
            acting = replace(acting, id=key.id, account_id=key.account_id)
            await _record(transaction, acting, person, key, before)
            return key

        return await self._database.write(body)

    async def _updated(self, transaction: Transaction, key: KeyRecord, person: Person) -> KeyRecord:
        if key.revoked_at is not None or key.disabled_at is not None:
            raise SignInRefused("An administrator has ended your access to this service; ask them to allow it again")
        await transaction.execute(UPDATE_KEY, id=key.id, name=person.name, scopes=scopes_to_text(person.role.scopes))
        return await _existing(transaction, key.id)

    async def _made(self, transaction: Transaction, account_id: str, person: Person) -> KeyRecord:
        await check_count(transaction, account_id)
        key_id = new_id("key")
        await transaction.execute(
            INSERT_KEY,
            id=key_id,
            account_id=account_id,
            name=person.name,
            mode=Mode.LIVE,
            hint="",
            # The hash of a secret that is thrown away: nothing can be sent as this key.
            hash=hashlib.sha256(secrets.token_bytes(32)).hexdigest(),
            lifetime_ms=None,
            scopes=scopes_to_text(person.role.scopes),
            bootstrap=0,
        )
        return await _existing(transaction, key_id)


async def _key(transaction: Transaction, key_id: str) -> KeyRecord | None:
    await transaction.fetch(LOCK_KEY, id=key_id)
    row = await fetch_one(transaction, KEY_BY_ID, id=key_id)
    return None if row is None else record_from(row)


async def _existing(transaction: Transaction, key_id: str) -> KeyRecord:
    return record_from(await fetch_row(transaction, KEY_BY_ID, id=key_id))


async def _end(transaction: Transaction, who: Actor, key: KeyRecord) -> None:
    """Revoke the key of the account that the person no longer belongs to."""
    await transaction.execute(REVOKE_KEY, id=key.id)
    after = key_facts(await _existing(transaction, key.id))
    await record(transaction, who, "key.revoke", key.id, account_id=key.account_id, before=key_facts(key), after=after)


async def _record(
    transaction: Transaction, who: Actor, person: Person, key: KeyRecord, before: KeyRecord | None
) -> None:
    old: dict[str, Any] | None = None if before is None or before.id != key.id else key_facts(before)
    after = {**key_facts(key), "role": person.role.value}
    await record(transaction, who, "person.sign_in", key.id, account_id=key.account_id, before=old, after=after)
