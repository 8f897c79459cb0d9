"""Console sessions and one-time sign-in links. Only hashes of their tokens are stored.

A session names the key that it was opened with, and every request checks that key again: a revoked key ends its
sessions at once. Signing out deletes the row, so a copied cookie is worth nothing afterwards.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from rushes.accounts.key_store import LOCK_KEY
from rushes.audit.actor import actor
from rushes.audit.log import record
from rushes.db.database import Database, Transaction, fetch_one
from rushes.stored_places import SESSIONS

TOKEN_BYTES = 32

INSERT_SESSION = """
INSERT INTO console_sessions (hash, key_id, created_at, expires_at)
VALUES (:hash, :key_id, :now, :now + :lifetime_ms)
"""

END_OLDEST = """
DELETE FROM console_sessions WHERE hash IN (
    SELECT hash FROM console_sessions WHERE key_id = :key_id
    ORDER BY created_at DESC, expires_at DESC, hash LIMIT 1000 OFFSET :kept
)
"""

FIND_SESSION = "SELECT key_id, expires_at FROM console_sessions WHERE hash = :hash AND expires_at > :now"

DELETE_SESSION = "DELETE FROM console_sessions WHERE hash = :hash"

DELETE_EXPIRED_SESSIONS = "DELETE FROM console_sessions WHERE expires_at <= :now"

INSERT_LINK = """
INSERT INTO sign_in_links (hash, key_id, expires_at) VALUES (:hash, :key_id, :now + :lifetime_ms)
"""

FIND_LINK = "SELECT key_id FROM sign_in_links WHERE hash = :hash AND expires_at > :now"

USE_LINK = "DELETE FROM sign_in_links WHERE hash = :hash AND expires_at > :now RETURNING key_id"

ACCOUNT_OF_KEY = "SELECT account_id FROM api_keys WHERE id = :id"

DELETE_EXPIRED_LINKS = "DELETE FROM sign_in_links WHERE expires_at <= :now"


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. `expires_at` is in milliseconds since 1970 UTC."""

    key_id: str
    expires_at: int


class SessionStore:
    """Opens, finds and ends sessions; makes and redeems sign-in links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, key_id: str, *, lifetime_s: float) -> str:
        """A new session for this key; the token is returned and not stored. The oldest of too many ends."""
        token = _new_token()

        async def body(transaction: Transaction) -> None:
            await _insert_session(transaction, token, key_id, lifetime_s)

        await self._database.write(body)
        return token

    async def find(self, token: str) -> Session | None:
        """The session of this token, if it has neither expired nor been ended."""
        rows = await self._database.read(FIND_SESSION, hash=_hash(token))
        return Session(rows[0]["key_id"], rows[0]["expires_at"]) if rows else None

    async def end(self, token: str) -> None:
        """Delete a session; no error if it is gone."""

        async def body(transaction: Transaction) -> None:
            await transaction.execute(DELETE_SESSION, hash=_hash(token))

        await self._database.write(body)

    async def make_link(self, key_id: str, *, lifetime_s: float) -> str:
        """The code of a new sign-in link for this key; it opens one session."""
        code = _new_token()
        who = actor()

        async def body(transaction: Transaction) -> None:
            await transaction.execute(DELETE_EXPIRED_LINKS)
            await transaction.execute(INSERT_LINK, hash=_hash(code), key_id=key_id, lifetime_ms=int(lifetime_s * 1000))
            key = await fetch_one(transaction, ACCOUNT_OF_KEY, id=key_id)
            account_id = None if key is None else key["account_id"]
            await record(transaction, who, "sign_in_link.create", key_id, account_id=account_id)

        await self._database.write(body)
        return code

    async def find_link(self, code: str) -> str | None:
        """The id of the key that this link signs in with, if it has neither expired nor been used."""
        rows = await self._database.read(FIND_LINK, hash=_hash(code))
        return str(rows[0]["key_id"]) if rows else None

    async def redeem_link(self, code: str, *, lifetime_s: float) -> tuple[str, str] | None:
        """Use a link up: the token of a new session and the key's id. None if it has expired or was used before."""
        token = _new_token()

        async def body(transaction: Transaction) -> str | None:
            link = await fetch_one(transaction, USE_LINK, hash=_hash(code))
            if link is None:
                return None
            await _insert_session(transaction, token, link["key_id"], lifetime_s)
            return str(link["key_id"])

        key_id = await self._database.write(body)
        return None if key_id is None else (token, key_id)


async def _insert_session(transaction: Transaction, token: str, key_id: str, lifetime_s: float) -> None:
    # Signing in is the one moment when sessions are written anyway, so the old ones go then.
    await transaction.execute(DELETE_EXPIRED_SESSIONS)
    # Locked, so that two sign-ins at once end the right sessions.
    await transaction.fetch(LOCK_KEY, id=key_id)
    await transaction.execute(END_OLDEST, key_id=key_id, kept=SESSIONS.share - 1)
    await transaction.execute(INSERT_SESSION, hash=_hash(token), key_id=key_id, lifetime_ms=int(lifetime_s * 1000))


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _hash(token: str) -> str:
    # The token has 256 random bits, so a plain SHA-256 cannot be reversed by guessing.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
