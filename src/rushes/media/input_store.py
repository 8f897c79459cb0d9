"""Input files in the database: each has a row before its first byte is stored, so that none is ever left behind.

A row whose `sha256` is null is a file that is arriving or leaving. Jobs refer to the files they need in `job_inputs`;
the references of finished jobs are dropped by the cleaner, which asks the jobs themselves, so that no end of a job
can forget to.

The column `account_id` of `inputs` names the tenant: what a live key has given cannot be used by a test key, nor the
other way round. Both count in the one total of their account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.request import InputMedia, Role
from rushes.domain.tenant import Tenant, account_of
from rushes.errors import InputQuotaReached, StorageUnavailable
from rushes.media.inspection import Facts
from rushes.media.storage import StoredFile

ANNOUNCE = """
INSERT INTO inputs (id, account_id, key, created_at, keep_until) VALUES (:id, :tenant, :key, :now, :now + :keep_ms)
"""

# Adding nothing locks the account's row: of two equal files that arrive at once, the second finds the first.
LOCK_TOTAL = """
INSERT INTO input_totals (account_id, size_bytes) VALUES (:account_id, 0)
ON CONFLICT (account_id) DO UPDATE SET size_bytes = input_totals.size_bytes RETURNING size_bytes
"""

ADD_TO_TOTAL = "UPDATE input_totals SET size_bytes = size_bytes + :change WHERE account_id = :account_id"

TOTAL = "SELECT size_bytes FROM input_totals WHERE account_id = :account_id"

_KEEP_LONGER = """
UPDATE inputs SET keep_until = CASE WHEN keep_until < :now + :keep_ms THEN :now + :keep_ms ELSE keep_until END
"""

USE_SAME = _KEEP_LONGER + "WHERE account_id = :tenant AND sha256 = :sha256 RETURNING *"

USE = _KEEP_LONGER + "WHERE account_id = :tenant AND id = :id AND sha256 IS NOT NULL RETURNING *"

SETTLE = """
UPDATE inputs SET sha256 = :sha256, size_bytes = :size_bytes, content_type = :content_type, width = :width,
                  height = :height, duration_s = :duration_s, keep_until = :now + :keep_ms
WHERE id = :id AND sha256 IS NULL RETURNING *
"""

FIND = "SELECT * FROM inputs WHERE id = :id AND sha256 IS NOT NULL"

FORGET = "DELETE FROM inputs WHERE id = :id AND sha256 IS NULL"

JOBS_WITH_INPUTS = "SELECT DISTINCT job_id FROM job_inputs WHERE job_id > :after ORDER BY job_id LIMIT :most"

RELEASE = """
DELETE FROM job_inputs WHERE job_id = :job_id AND NOT EXISTS
    (SELECT 1 FROM jobs WHERE id = :job_id AND status IN ('pending', 'in_progress'))
"""

DUE_OWNERS = """
SELECT DISTINCT account_id FROM (
    SELECT account_id FROM inputs WHERE keep_until <= :now ORDER BY keep_until LIMIT :most
) AS due
"""

DUE = "SELECT * FROM inputs WHERE keep_until <= :now ORDER BY keep_until LIMIT :most FOR UPDATE SKIP LOCKED"

NEEDED = "SELECT job_id FROM job_inputs WHERE key = :key LIMIT 1"

POSTPONE = "UPDATE inputs SET keep_until = :now + :keep_ms WHERE id = :id"

RETIRE = "UPDATE inputs SET sha256 = NULL, size_bytes = 0, keep_until = :now + :keep_ms WHERE id = :id"

RETRY_MS = 60_000
"""After this long a file that a killed cleaner has left half deleted is deleted again."""


@dataclass(frozen=True, slots=True)
class StoredInput:
    """One input file in our storage; `id` is also the reference that callers of uploads use."""

    id: str
    key: str
    sha256: str
    size_bytes: int
    content_type: str
    width: int | None
    height: int | None
    duration_s: float | None
    keep_until: int
    """Milliseconds since 1970 UTC; a job that needs the file keeps it longer."""

    def media(self, role: Role) -> InputMedia:
        """The file as a request names it."""
        is_video = self.content_type.startswith("video/")
        return InputMedia(
            role,
            self.key,
            self.content_type,
            self.size_bytes,
            self.sha256,
            self.duration_s,
            # An image's size is not part of a request: no limit and no price depends on it.
            self.width if is_video else None,
            self.height if is_video else None,
        )


@dataclass(frozen=True, slots=True)
class OwnedInput:
    """An input file, whose it is, and when it came (milliseconds since 1970 UTC)."""

    file: StoredInput
    account_id: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """A file that is no longer needed: delete it, then forget its row."""

    id: str
    key: str


class InputStore:
    """The rows of input files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, input_id: str, tenant: Tenant, key: str, *, keep_s: float) -> None:
        """Record that a file is about to be stored; unless it is settled within `keep_s`, it is removed again."""

        async def body(transaction: Transaction) -> None:
            await transaction.execute(ANNOUNCE, id=input_id, tenant=tenant, key=key, keep_ms=_ms(keep_s))

        await self._database.write(body)

    async def total_bytes(self, account_id: str) -> int:
        """How much room the account's files take."""
        rows = await self._database.read(TOTAL, account_id=account_id)
        return rows[0]["size_bytes"] if rows else 0

    async def use(self, tenant: Tenant, input_id: str, *, keep_s: float) -> StoredInput | None:
        """The tenant's file, kept for at least `keep_s` from now; None if it has none of this id."""

        async def body(transaction: Transaction) -> StoredInput | None:
            return _found(await fetch_one(transaction, USE, tenant=tenant, id=input_id, keep_ms=_ms(keep_s)))

        return await self._database.write(body)

    async def use_same(self, tenant: Tenant, sha256: str, *, keep_s: float) -> StoredInput | None:
        """The tenant's file of this content, kept for at least `keep_s` from now; None if it has none."""

        async def body(transaction: Transaction) -> StoredInput | None:
            return _found(await fetch_one(transaction, USE_SAME, tenant=tenant, sha256=sha256, keep_ms=_ms(keep_s)))

        return await self._database.write(body)

    async def find_any(self, input_id: str) -> OwnedInput | None:
        """The file of this id, of any account; None if it is not there, not yet or no longer."""
        rows = await self._database.read(FIND, id=input_id)
        file = _found(rows[0]) if rows else None
        return None if file is None else OwnedInput(file, _account_of(rows[0]), rows[0]["created_at"])

    async def settle(
        self, input_id: str, tenant: Tenant, file: StoredFile, facts: Facts, *, keep_s: float, quota_bytes: int
    ) -> StoredInput:
        """Make an announced file usable; if the tenant has one of the same content, that one is returned instead.

        Raises InputQuotaReached if the account has no room for it.
        """

        async def body(transaction: Transaction) -> StoredInput:
            account_id = account_of(tenant)
            total = await fetch_one(transaction, LOCK_TOTAL, account_id=account_id)
            same = _found(
                await fetch_one(transaction, USE_SAME, tenant=tenant, sha256=file.sha256, keep_ms=_ms(keep_s))
            )
            if same is not None:
                return same
            if total is not None and total["size_bytes"] + file.size_bytes > quota_bytes:
                raise quota_reached(quota_bytes)
            settled = _found(
                await fetch_one(
                    transaction,
                    SETTLE,
                    id=input_id,
                    sha256=file.sha256,
                    size_bytes=file.size_bytes,
                    content_type=facts.content_type,
                    width=facts.width,
                    height=facts.height,
                    duration_s=facts.duration_s,
                    keep_ms=_ms(keep_s),
                )
            )
            if settled is None:
                raise StorageUnavailable("The file took too long to arrive, and was removed; send it again.")
            await transaction.execute(ADD_TO_TOTAL, account_id=account_id, change=file.size_bytes)
            return settled

        return await self._database.write(body)

    async def forget(self, input_id: str) -> None:
        """Drop the row of a file that was never settled or is retired, and whose bytes are gone."""

        async def body(transaction: Transaction) -> None:
            await transaction.execute(FORGET, id=input_id)

        await self._database.write(body)

    async def release_finished(self, after: str, most: int) -> str | None:
        """Drop the references of up to `most` jobs whose id is beyond `after`, if they have ended.

        Returns the last id looked at, to go on from; None if there are no more.
        """

        async def body(transaction: Transaction) -> str | None:
            jobs = await transaction.fetch(JOBS_WITH_INPUTS, after=after, most=most)
            for job in jobs:
                await transaction.execute(RELEASE, job_id=job["job_id"])
            return jobs[-1]["job_id"] if len(jobs) == most else None

        return await self._database.write(body)

    async def retire_due(self, most: int, *, keep_s: float) -> tuple[int, Sequence[Leaving]]:
        """Take up to `most` files whose time is over out of use; those that a job needs get another `keep_s`.

        Returns how many were looked at, and which must now be deleted.
        """

        async def body(transaction: Transaction) -> tuple[int, Sequence[Leaving]]:
            leaving: list[Leaving] = []
            # Totals first, as in every transaction that settles a file; else the two could wait for each other.
            owners = await transaction.fetch(DUE_OWNERS, most=most)
            accounts = sorted({_account_of(row) for row in owners})
            for account_id in accounts:
                await transaction.execute(LOCK_TOTAL, account_id=account_id)
            due = [row for row in await transaction.fetch(DUE, most=most) if _account_of(row) in accounts]
            for row in due:
                # Asked only now that the row is locked: a job that was accepted meanwhile is seen.
                if await fetch_one(transaction, NEEDED, key=row["key"]) is not None:
                    await transaction.execute(POSTPONE, id=row["id"], keep_ms=_ms(keep_s))
                    continue
                await transaction.execute(ADD_TO_TOTAL, account_id=_account_of(row), change=-row["size_bytes"])
                await transaction.execute(RETIRE, id=row["id"], keep_ms=RETRY_MS)
                leaving.append(Leaving(row["id"], row["key"]))
            return len(due), leaving

        return await self._database.write(body)


def quota_reached(quota_bytes: int) -> InputQuotaReached:
    """The refusal of a file for which the account has no room."""
    return InputQuotaReached(
        f"The account's input files would take more than the {quota_bytes} bytes they may; they are removed some time "
        "after the jobs that use them have ended"
    )


def _account_of(row: Row) -> str:
    return account_of(Tenant(row["account_id"]))


def _found(row: Row | None) -> StoredInput | None:
    if row is None:
        return None
    return StoredInput(
        id=row["id"],
        key=row["key"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        content_type=row["content_type"],
        width=row["width"],
        height=row["height"],
        duration_s=row["duration_s"],
        keep_until=row["keep_until"],
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
