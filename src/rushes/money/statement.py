"""The lines of the ledger as an account reads them: a page at a time, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rushes.catalogue.price import to_usd
from rushes.db.database import Database, Row
from rushes.domain.tenant import Tenant
from rushes.money.ledger import Kind


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One line of the ledger, in dollars: how it changed what is reserved and spent, and the account's sums after it.

    Times are in milliseconds; the line counts in the day and month of `accepted_at`.
    """

    seq: int
    id: str
    kind: Kind
    job_id: str
    key_id: str
    provider: str
    model: str
    accepted_at: int
    at: int
    cause: str
    reserved_usd: Decimal
    spent_usd: Decimal
    total_reserved_usd: Decimal
    total_spent_usd: Decimal


@dataclass(frozen=True, slots=True)
class StatementQuery:
    """Which of an account's lines; every given condition holds. After is inclusive, before is not."""

    limit: int
    before_seq: int | None = None
    job_id: str | None = None
    kind: Kind | None = None
    after_ms: int | None = None
    before_ms: int | None = None


class StatementStore:
    """Reads lines; a page costs the same however many there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, tenant: Tenant, listing: StatementQuery) -> Sequence[LedgerLine]:
        """The tenant's matching lines, newest first."""
        conditions = ["account_id = :account_id"]
        if listing.before_seq is not None:
            conditions.append("seq < :before_seq")
        if listing.job_id is not None:
            conditions.append("job_id = :job_id")
        if listing.kind is not None:
            conditions.append("kind = :kind")
        # The ends of a stretch of time are found through the index on time, so that nothing outside it is walked over.
        if listing.after_ms is not None:
            conditions.append(
                "seq >= (SELECT seq FROM ledger WHERE account_id = :account_id AND at >= :after_ms"
                " ORDER BY at, seq LIMIT 1) AND at >= :after_ms"
            )
        if listing.before_ms is not None:
            conditions.append(
                "seq <= (SELECT seq FROM ledger WHERE account_id = :account_id AND at < :before_ms"
                " ORDER BY at DESC, seq DESC LIMIT 1) AND at < :before_ms"
            )
        sql = f"SELECT * FROM ledger WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT :limit"  # noqa: S608 - fixed texts only
        rows = await self._database.read(
            sql,
            account_id=tenant,
            before_seq=listing.before_seq,
            job_id=listing.job_id,
            kind=listing.kind,
            after_ms=listing.after_ms,
            before_ms=listing.before_ms,
            limit=listing.limit,
        )
        return [_line_from(row) for row in rows]


def _line_from(row: Row) -> LedgerLine:
    return LedgerLine(
        seq=row["seq"],
        id=row["id"],
        kind=Kind(row["kind"]),
        job_id=row["job_id"],
        key_id=row["key_id"],
        provider=row["provider"],
        model=row["model"],
        accepted_at=row["accepted_at"],
        at=row["at"],
        cause=row["cause"],
        reserved_usd=to_usd(row["reserved_microusd"]),
        spent_usd=to_usd(row["spent_microusd"]),
        total_reserved_usd=to_usd(row["total_reserved_microusd"]),
        total_spent_usd=to_usd(row["total_spent_microusd"]),
    )
