"""An operator states what a job has really cost, from the provider's bill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rushes.audit.actor import Actor, actor
from rushes.audit.log import record
from rushes.catalogue.price import to_microusd, to_usd
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.job import State, Status
from rushes.domain.tenant import Tenant
from rushes.errors import JobNotFinished, JobNotFound
from rushes.jobs.rows import LOCK_ANY_JOB
from rushes.jobs.transitions import record_event
from rushes.money.costs import Costs
from rushes.money.ledger import Owner, book, costs_of

LOCK_UNSETTLED = "SELECT * FROM unsettled_jobs WHERE job_id = :job_id FOR UPDATE"

LIST_UNSETTLED = "SELECT * FROM unsettled_jobs ORDER BY since, job_id LIMIT :most"


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A job that has ended with money still reserved for it. `since` is in milliseconds; `cause` says why."""

    owner: Owner
    reserved_usd: Decimal
    since: int
    cause: str


class SettlementStore:
    """The operator's side of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unsettled(self, most: int = 100) -> Sequence[Unsettled]:
        """What waits for an operator's word, oldest first; deleted jobs too."""
        rows = await self._database.read(LIST_UNSETTLED, most=most)
        return [Unsettled(_owner_of(row), to_usd(row["reserved_microusd"]), row["since"], row["cause"]) for row in rows]

    async def settle(self, job_id: str, cost_usd: Decimal) -> None:
        """Record what an ended job has really cost, 0 for nothing; again corrects it.

        Raises JobNotFound, or JobNotFinished while it may still change by itself.
        """
        after = Costs(0, to_microusd(cost_usd))
        cause = f"settled at {cost_usd:f} USD by the operator"
        who = actor()

        async def body(transaction: Transaction) -> None:
            job = await fetch_one(transaction, LOCK_ANY_JOB, id=job_id)
            if job is None:
                await self._settle_deleted(transaction, who, job_id, after, cause)
                return
            state = State(job["state"])
            if not state.is_final:
                raise JobNotFinished(f"Only a job that has ended can be settled; '{job_id}' is {state}")
            before = costs_of(job)
            was_counted = state.status is Status.COMPLETED and before.spent_microusd is None and _is_unpriced(job)
            await book(transaction, Owner.of(job), before, after, cause, unpriced=-int(was_counted))
            await record_event(transaction, job, state, cause)
            await _record(transaction, who, Owner.of(job), before, after)

        await self._database.write(body)

    async def _settle_deleted(
        self, transaction: Transaction, who: Actor, job_id: str, after: Costs, cause: str
    ) -> None:
        row = await fetch_one(transaction, LOCK_UNSETTLED, job_id=job_id)
        if row is None:
            raise JobNotFound(f"Job '{job_id}' not found")
        await book(transaction, _owner_of(row), costs_of(row), after, cause)
        await _record(transaction, who, _owner_of(row), costs_of(row), after)


async def _record(transaction: Transaction, who: Actor, owner: Owner, before: Costs, after: Costs) -> None:
    await record(
        transaction,
        who,
        "job.settle",
        owner.job_id,
        account_id=owner.account_id,
        before=_facts(before),
        after=_facts(after),
    )


def _facts(costs: Costs) -> dict[str, float | None]:
    spent = costs.spent_microusd
    return {
        "reserved_usd": float(to_usd(costs.reserved_microusd)),
        "spent_usd": None if spent is None else float(to_usd(spent)),
    }


def _is_unpriced(job: Row) -> bool:
    return job["cost_usd"] is None


def _owner_of(row: Row) -> Owner:
    # Test jobs cost nothing, so money that a deleted job reserves is of live mode.
    tenant = Tenant(row["account_id"])
    return Owner(
        row["job_id"], row["account_id"], row["key_id"], row["provider"], row["model"], row["accepted_at"], tenant
    )
