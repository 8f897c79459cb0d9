"""Reads the audit log, and cuts its old end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from rushes.audit.actor import SERVICE
from rushes.audit.chain import FIRST, hash_of
from rushes.audit.entry import Entry, Query, entry_from
from rushes.audit.log import lock_head, record
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import AuditBroken

WINDOW = 1_000
"""How many rows one query reads."""
MOST_WINDOWS = 5
"""How many queries one page makes. So a page can be shorter than its limit, and still have a next one."""

COLUMNS = """seq, at, action, actor_kind, actor_id, actor_name, actor_account_id, account_id, subject_id, before_json,
after_json, request_id, address, is_test, hash"""

READ_BACKWARDS = (
    f"SELECT {COLUMNS} FROM audit_log WHERE seq < :before AND seq > :after{{also}} ORDER BY seq DESC LIMIT :most"  # noqa: S608 - fixed texts only
)

READ_FORWARDS = f"SELECT {COLUMNS} FROM audit_log WHERE seq > :after ORDER BY seq LIMIT :most"  # noqa: S608 - likewise

LAST_BEFORE = "SELECT seq FROM audit_log WHERE at < :time ORDER BY at DESC, seq DESC LIMIT 1"

READ_HEAD = "SELECT seq, hash FROM audit_head WHERE name = 'head'"

READ_CHECKPOINT = "SELECT seq, hash FROM audit_head WHERE name = 'checkpoint'"

SET_CHECKPOINT = """
INSERT INTO audit_head (name, seq, at, hash) VALUES ('checkpoint', :seq, :now, :hash)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, at = excluded.at, hash = excluded.hash
"""

CUT = "DELETE FROM audit_log WHERE seq <= :seq"

CUT_ACTION = "audit.cut"
NEWEST = 2**62


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and behind which number the next page begins; None at the end."""

    entries: Sequence[Entry]
    next_seq: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """A point of the chain: an entry's number and its hash."""

    seq: int
    hash: str


class AuditStore:
    """What administrators read, and what retention removes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, query: Query) -> Page:
        """Entries that match, newest first. A page reads a bounded number of rows, so it can be short."""
        newest, oldest = await self._bounds(query)
        conditions = {
            name: value
            for name in ("subject_id", "actor_id", "account_id")
            if (value := getattr(query, name)) is not None
        }
        sql = READ_BACKWARDS.format(also="".join(f" AND {name} = :{name}" for name in conditions))
        found: list[Entry] = []
        for _ in range(MOST_WINDOWS):
            rows = await self._database.read(sql, before=newest, after=oldest, most=WINDOW, **conditions)
            for row in rows:
                newest = row["seq"]
                if query.matches(row):
                    found.append(entry_from(row))
                    if len(found) == query.limit:
                        return Page(found, newest)
            if len(rows) < WINDOW:
                return Page(found, None)
        return Page(found, newest)

    async def all(self, query: Query) -> AsyncIterator[Entry]:
        """Every entry that matches, newest first, read page by page."""
        place = query.before_seq
        while True:
            page = await self.list(replace(query, before_seq=place))
            for entry in page.entries:
                yield entry
            if page.next_seq is None:
                return
            place = page.next_seq

    async def rows_after(self, seq: int, most: int = WINDOW) -> Sequence[Row]:
        """Up to `most` rows as they are stored, oldest first."""
        return await self._database.read(READ_FORWARDS, after=seq, most=most)

    async def head(self) -> Place:
        """The newest entry."""
        rows = await self._database.read(READ_HEAD)
        return Place(rows[0]["seq"], rows[0]["hash"]) if rows else Place(0, FIRST)

    async def checkpoint(self) -> Place:
        """The newest entry that retention has cut; what is kept follows it."""
        rows = await self._database.read(READ_CHECKPOINT)
        return Place(rows[0]["seq"], rows[0]["hash"]) if rows else Place(0, FIRST)

    async def cut(self, before_ms: int) -> int:
        """Remove up to WINDOW of the oldest entries that are older than this time. Returns how many.

        They are verified first, and the chain goes on from a checkpoint that an entry of its own attests. Raises
        AuditBroken, and then removes nothing.
        """

        async def body(transaction: Transaction) -> int:
            await lock_head(transaction)
            checkpoint = await fetch_one(transaction, READ_CHECKPOINT)
            seq, hashed = (0, FIRST) if checkpoint is None else (checkpoint["seq"], checkpoint["hash"])
            count = 0
            for row in await transaction.fetch(READ_FORWARDS, after=seq, most=WINDOW):
                if row["at"] >= before_ms:
                    break
                if row["seq"] != seq + 1 or row["hash"] != hash_of(hashed, row):
                    raise AuditBroken(f"The audit log does not hold at entry {row['seq']}, so nothing was cut")
                seq, hashed = row["seq"], row["hash"]
                count += 1
            if count:
                await transaction.execute(CUT, seq=seq)
                await transaction.execute(SET_CHECKPOINT, seq=seq, hash=hashed)
                cut = {"entries": count, "up_to": seq, "hash": hashed}
                await record(transaction, SERVICE, CUT_ACTION, f"{seq}", account_id=None, after=cut)
            return count

        return await self._database.write(body)

    async def _bounds(self, query: Query) -> tuple[int, int]:
        """The numbers before and after which the entries lie that a query's cursor and times allow."""
        newest = NEWEST if query.before_seq is None else query.before_seq
        if query.before_ms is not None:
            newest = min(newest, await self._last_before(query.before_ms) + 1)
        oldest = 0 if query.after_ms is None else await self._last_before(query.after_ms)
        return newest, oldest

    async def _last_before(self, time_ms: int) -> int:
        rows = await self._database.read(LAST_BEFORE, time=time_ms)
        return int(rows[0]["seq"]) if rows else 0
