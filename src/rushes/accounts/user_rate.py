"""Requests a minute for each of the people whom one account or key serves, by the `user` that a request names.

A minute is one of the clock, and each request that names a user is counted in the database. An account or key has
at most MOST_USERS in one minute, and the rows of its earlier minutes go when the next one begins: so a caller who
invents users neither fills a table nor any memory.
"""

from __future__ import annotations

import hashlib

from rushes.accounts.limits import WHOLE_ACCOUNT, read_limits
from rushes.db.database import Database, Transaction
from rushes.errors import RateLimited

MOST_USERS = 10_000
"""How many users of one account or key are counted apart in a minute; a request of one more is refused."""

COUNT = """
INSERT INTO user_windows (account_id, key_id, minute, user_hash, taken)
VALUES (:account_id, :key_id, :now / 60000, :user_hash, 1)
ON CONFLICT (account_id, key_id, minute, user_hash) DO UPDATE SET taken = user_windows.taken + 1
RETURNING minute, taken, (minute + 1) * 60000 - :now AS left_ms
"""

FORGET = "DELETE FROM user_windows WHERE account_id = :account_id AND key_id = :key_id AND minute < :minute"

ALL_USERS = ""


class UserRates:
    """Counts requests that name a user. Without such a limit, or without a user, it only reads the limits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, account_id: str, key_id: str, user: str | None) -> None:
        """Count a request of this user. Raises RateLimited, and does not count it then."""
        if user is None:
            return
        of_account, of_key = await read_limits(self._database.read, account_id, key_id)
        both = ((WHOLE_ACCOUNT, of_account.user_requests_per_minute), (key_id, of_key.user_requests_per_minute))
        quotas = [(subject, quota) for subject, quota in both if quota is not None]
        if not quotas:
            return
        # Rows are of one size, however long a tag is.
        user_hash = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:32]

        async def body(transaction: Transaction) -> None:
            for subject, quota in quotas:
                await _count(transaction, {"account_id": account_id, "key_id": subject}, user_hash, quota)

        await self._database.write(body)


async def _count(transaction: Transaction, subject: dict[str, str], user_hash: str, quota: int) -> None:
    (row,) = await transaction.fetch(COUNT, **subject, user_hash=user_hash)
    wait_s = max(1, -(-row["left_ms"] // 1000))
    if row["taken"] > quota:
        raise RateLimited(
            f"This 'user' may make {quota} requests a minute (user_requests_per_minute); try again in {wait_s} s",
            retry_after_s=wait_s,
        )
    if row["taken"] > 1:
        return
    (users,) = await transaction.fetch(COUNT, **subject, user_hash=ALL_USERS)
    if users["taken"] == 1:
        await transaction.execute(FORGET, **subject, minute=row["minute"])
    if users["taken"] > MOST_USERS:
        raise RateLimited(
            f"More than {MOST_USERS} different users were named in a minute, which is the most whose requests are "
            f"counted (user_requests_per_minute); try again in {wait_s} s",
            retry_after_s=wait_s,
        )
