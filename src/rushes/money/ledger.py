"""The books: what was reserved and spent for which job, line by line, and never changed afterwards.

A line, the balances it changes, the job's own costs and the sums of usage are written in the transaction that moves the
job, so that none can drift from another. A job counts on the day and in the month in which it was accepted, whenever
it is settled. Jobs that cost nothing have no lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from pydantic_core import from_json

from rushes.accounts.limits import LimitName
from rushes.db.database import Row, Transaction
from rushes.domain.job import RECOVERABLE, AttemptState, State, Status, may_be_charged
from rushes.domain.tenant import Tenant
from rushes.errors import OutputLost, RateLimited, SubmissionUnknown
from rushes.ids import new_id
from rushes.money.costs import Costs, Reservation, costs_at_end, share_microusd
from rushes.money.spend_limits import EVER, Balance, day_of, month_of, refuse_beyond, spend_limits_among, standing
from rushes.money.usage import DAY_MS, MOST_TAGS, add_cost, is_told_apart

# In one fixed order, so that transactions which need the same rows wait for each other instead of locking up.
ADD_TO_BALANCES = """
INSERT INTO balances (account_id, key_id, period, reserved_microusd, spent_microusd) VALUES
    (:account_id, '', :day, :reserved, :spent), (:account_id, '', :month, :reserved, :spent),
    (:account_id, '', 'ever', :reserved, :spent), (:account_id, :key_id, :day, :reserved, :spent),
    (:account_id, :key_id, :month, :reserved, :spent), (:account_id, :key_id, 'ever', :reserved, :spent)
ON CONFLICT (account_id, key_id, period) DO UPDATE SET
    reserved_microusd = balances.reserved_microusd + excluded.reserved_microusd,
    spent_microusd = balances.spent_microusd + excluded.spent_microusd
RETURNING key_id, period, reserved_microusd, spent_microusd
"""

ADD_TO_USER_BALANCES = """
INSERT INTO user_balances (account_id, key_id, day, user_tag, reserved_microusd, spent_microusd) VALUES
    (:account_id, '', :day, :user_tag, :reserved, :spent), (:account_id, :key_id, :day, :user_tag, :reserved, :spent)
ON CONFLICT (account_id, key_id, day, user_tag) DO UPDATE SET
    reserved_microusd = user_balances.reserved_microusd + excluded.reserved_microusd,
    spent_microusd = user_balances.spent_microusd + excluded.spent_microusd
RETURNING key_id, day, reserved_microusd, spent_microusd
"""

INSERT_LINE = """
INSERT INTO ledger (id, account_id, key_id, job_id, provider, model, accepted_at, kind, reserved_microusd,
                    spent_microusd, at, cause, total_reserved_microusd, total_spent_microusd)
VALUES (:id, :account_id, :key_id, :job_id, :provider, :model, :accepted_at, :kind, :reserved, :spent, :now, :cause,
        :total_reserved, :total_spent)
"""

SET_COSTS = "UPDATE jobs SET reserved_microusd = :reserved, spent_microusd = :spent WHERE id = :id"

NEEDS_OPERATOR = """
INSERT INTO unsettled_jobs (job_id, account_id, key_id, provider, model, accepted_at, reserved_microusd, spent_microusd,
                            since, cause)
VALUES (:job_id, :account_id, :key_id, :provider, :model, :accepted_at, :reserved, :spent, :now, :cause)
ON CONFLICT (job_id) DO UPDATE SET reserved_microusd = excluded.reserved_microusd,
                                   spent_microusd = excluded.spent_microusd, cause = excluded.cause
"""

NEEDS_NO_OPERATOR = "DELETE FROM unsettled_jobs WHERE job_id = :job_id"

NEEDS_NO_OPERATOR_IF_FREE = NEEDS_NO_OPERATOR + " AND reserved_microusd = 0"

DELIVERED = "SELECT outputs FROM jobs WHERE id = :id"

ATTEMPTS_AT_END = "SELECT n, state, handle, error_code FROM attempts WHERE job_id = :id"


class Kind(StrEnum):
    """What a line says."""

    RESERVE = "reserve"
    """Set aside when the job was accepted."""
    SETTLE = "settle"
    """Paid; what was reserved beyond that is free again."""
    RELEASE = "release"
    """Free again: nothing was charged for it."""
    ADJUST = "adjust"
    """Put right later, by an operator's word or a video that was found after all."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose money a job is, and where it counts; as pinned when it was accepted."""

    job_id: str
    account_id: str
    key_id: str
    provider: str
    model: str
    accepted_at: int
    tenant: Tenant
    """Whose books its lines are in: test jobs cost nothing, unless an operator says so."""
    user: str | None = None
    """Who it is for, by the caller's own tag; None without one, and once the job is deleted."""

    @classmethod
    def of(cls, job: Row) -> Owner:
        """The owner of the job in this row of `jobs`."""
        tenant = Tenant(job["tenant"])
        return cls(
            job["id"],
            job["account_id"],
            job["key_id"],
            job["provider"],
            job["model"],
            job["created_at"],
            tenant,
            job["user_tag"],
        )


async def reserve(
    transaction: Transaction,
    job: Row,
    reservation: Reservation,
    limits: Sequence[Row],
    *,
    unpriced_allowed: bool,
) -> None:
    """Set aside what a new job may cost, within these rows of `limits`.

    Raises SpendLimitReached or PriceUnknown; the transaction must then end.
    The balances are changed first and compared with the limits then: the change itself makes others wait for us.
    """
    if not reservation.microusd and reservation.unpriced is None:
        return
    owner = Owner.of(job)
    before: Sequence[Balance] = ()
    if reservation.microusd:
        with_it = await _write_line(transaction, owner, Kind.RESERVE, reservation.microusd, 0, "accepted")
        before = [replace(one, reserved_microusd=one.reserved_microusd - reservation.microusd) for one in with_it]
    spend_limits = spend_limits_among(limits, owner.user)
    if reservation.microusd:
        await _refuse_untold(transaction, owner, spend_limits)
    refuse_beyond(
        standing(spend_limits, before, owner.accepted_at),
        reservation,
        owner.accepted_at,
        unpriced_allowed=unpriced_allowed,
    )


async def _refuse_untold(transaction: Transaction, owner: Owner, limits: Sequence[Row]) -> None:
    """Raise RateLimited for a user beyond those whose spending is kept apart, where that is limited."""
    if owner.user is None or not any(row["name"] == LimitName.USER_SPEND_DAY for row in limits):
        return
    if not await is_told_apart(transaction, owner.tenant, owner.accepted_at, owner.user):
        wait_s = (DAY_MS - owner.accepted_at % DAY_MS) / 1000
        raise RateLimited(
            f"Jobs of {MOST_TAGS} different users were accepted today, which is the most whose spending is kept apart "
            "(user_spend_day)",
            retry_after_s=wait_s,
        )


@dataclass(frozen=True, slots=True)
class Ending:
    """What a job has cost at its end, and by how much that changes the count of completed jobs without a price."""

    before: Costs
    after: Costs
    unpriced: int


async def ending_of(transaction: Transaction, job: Row, to: State) -> Ending | None:
    """What a job that has just ended in the state `to` has cost; `job` is its row as it was before.

    None if that stays as it is. A recovery that failed leaves things as they were: whether anything was charged is
    still an operator's to say. So does one after the operator has said what it cost: a bill is truer than a list price.
    """
    was = State(job["state"])
    before = costs_of(job)
    cost_usd = None if job["cost_usd"] is None else Decimal(job["cost_usd"])
    is_free = cost_usd == 0 and before == Costs(0, None)
    is_settled_by_hand = was is State.RECOVERING and bool(before.spent_microusd)
    if is_free or is_settled_by_hand or (was is State.RECOVERING and to is not State.SUCCEEDED):
        return None
    delivered = await _count_delivered(transaction, job["id"]) if to is State.SUCCEEDED else 0
    after = costs_at_end(
        cost_usd,
        n=from_json(job["request"])["n"],
        delivered=delivered,
        uncertain=await _count_uncertain(transaction, job["id"]),
    )
    return Ending(before, after, int(to.status is Status.COMPLETED and after.spent_microusd is None))


async def note_costs(transaction: Transaction, job: Row, ending: Ending, cause: str) -> None:
    """Write what a job that has just ended has cost beside it; `job` is its row as it was before. To be closed then."""
    await _set_costs(transaction, Owner.of(job), ending.before, ending.after, cause)


async def close(transaction: Transaction, job: Row, ending: Ending, cause: str) -> None:
    """Change the balances by a job whose costs were noted and counted as usage."""
    await _change_balances(transaction, Owner.of(job), ending.before, ending.after, cause)


async def write_off(transaction: Transaction, job: Row, cause: str) -> None:
    """Close the books on a failed job's attempts that an operator gives up; call it before they are marked so.

    What was finished and lost has been paid for; what was perhaps never accepted is free again.
    """
    before = costs_of(job)
    if not before.reserved_microusd or job["cost_usd"] is None:
        return
    lost = submitted = 0
    for attempt in await transaction.fetch(ATTEMPTS_AT_END, id=job["id"]):
        lost += attempt["n"] if attempt["error_code"] == OutputLost.code else 0
        submitted += attempt["n"] if attempt["error_code"] == SubmissionUnknown.code else 0
    cost_usd, n = Decimal(job["cost_usd"]), from_json(job["request"])["n"]
    paid = min(share_microusd(cost_usd, lost, n), before.reserved_microusd)
    freed = min(share_microusd(cost_usd, lost + submitted, n), before.reserved_microusd) - paid
    after = Costs(before.reserved_microusd - paid - freed, (before.spent_microusd or 0) + paid)
    await book(transaction, Owner.of(job), before, after, cause)


async def book(
    transaction: Transaction, owner: Owner, before: Costs, after: Costs, cause: str, *, unpriced: int = 0
) -> None:
    """Change an ended job's costs from `before` to `after`; `unpriced` changes the count of jobs without a price."""
    await _set_costs(transaction, owner, before, after, cause)
    cost_microusd = after.spent_over(before)
    if cost_microusd or unpriced:
        await add_cost(
            transaction,
            job_id=owner.job_id,
            account_id=owner.account_id,
            accepted_at=owner.accepted_at,
            provider=owner.provider,
            model=owner.model,
            cost_microusd=cost_microusd,
            unpriced=unpriced,
        )
    await _change_balances(transaction, owner, before, after, cause)


async def _set_costs(transaction: Transaction, owner: Owner, before: Costs, after: Costs, cause: str) -> None:
    await transaction.execute(SET_COSTS, id=owner.job_id, reserved=after.reserved_microusd, spent=after.spent_microusd)
    if after.reserved_microusd:
        await transaction.execute(
            NEEDS_OPERATOR,
            **_columns(owner),
            reserved=after.reserved_microusd,
            spent=after.spent_microusd or 0,
            cause=cause,
        )
    else:
        await transaction.execute(NEEDS_NO_OPERATOR, job_id=owner.job_id)


async def list_for_operator(transaction: Transaction, job: Row, to: State, cause: str, after: Costs) -> None:
    """List a job that has just ended in the state `to` without a reservation, if an operator can take it up again.

    `job` is its row as it was before, `after` what it has cost. A job with a reservation is listed by its costs.
    """
    if after.reserved_microusd:
        return
    if to in (State.FAILED, State.EXPIRED) and not job["byok"] and after.spent_microusd is None:
        attempts = await transaction.fetch(ATTEMPTS_AT_END, id=job["id"])
        if any(_can_be_recovered(attempt) for attempt in attempts):
            await transaction.execute(NEEDS_OPERATOR, **_columns(Owner.of(job)), reserved=0, spent=0, cause=cause)
            return
    if State(job["state"]) is State.RECOVERING:
        await transaction.execute(NEEDS_NO_OPERATOR, job_id=job["id"])


async def unlist(transaction: Transaction, job_id: str) -> None:
    """Take a job without a reservation off the operator's list: it was deleted, or written off."""
    await transaction.execute(NEEDS_NO_OPERATOR_IF_FREE, job_id=job_id)


async def _change_balances(transaction: Transaction, owner: Owner, before: Costs, after: Costs, cause: str) -> None:
    reserved = after.reserved_microusd - before.reserved_microusd
    spent = after.spent_over(before)
    if not reserved and not spent:
        return
    kind = Kind.SETTLE if spent > 0 else Kind.RELEASE
    if before.reserved_microusd == 0 and before.spent_microusd is not None:
        kind = Kind.ADJUST
    await _write_line(transaction, owner, kind, reserved, spent, cause)


def costs_of(job: Row) -> Costs:
    """The costs that a row of `jobs` holds."""
    return Costs(job["reserved_microusd"], job["spent_microusd"])


async def _write_line(
    transaction: Transaction, owner: Owner, kind: Kind, reserved: int, spent: int, cause: str
) -> Sequence[Balance]:
    rows = await transaction.fetch(
        ADD_TO_BALANCES,
        account_id=owner.tenant,
        key_id=owner.key_id,
        day=day_of(owner.accepted_at),
        month=month_of(owner.accepted_at),
        reserved=reserved,
        spent=spent,
    )
    balances = [Balance.of(row) for row in rows]
    if owner.user is not None and await is_told_apart(transaction, owner.tenant, owner.accepted_at, owner.user):
        of_user = await transaction.fetch(
            ADD_TO_USER_BALANCES,
            account_id=owner.tenant,
            key_id=owner.key_id,
            day=owner.accepted_at // DAY_MS,
            user_tag=owner.user,
            reserved=reserved,
            spent=spent,
        )
        balances += [Balance.of_user(row) for row in of_user]
    total = next(one for one in balances if one.key_id == "" and one.period == EVER)
    await transaction.execute(
        INSERT_LINE,
        id=new_id("txn"),
        **{**_columns(owner), "account_id": owner.tenant},
        kind=kind,
        reserved=reserved,
        spent=spent,
        cause=cause,
        total_reserved=total.reserved_microusd,
        total_spent=total.spent_microusd,
    )
    return balances


def _columns(owner: Owner) -> dict[str, object]:
    return {
        "job_id": owner.job_id,
        "account_id": owner.account_id,
        "key_id": owner.key_id,
        "provider": owner.provider,
        "model": owner.model,
        "accepted_at": owner.accepted_at,
    }


async def _count_delivered(transaction: Transaction, job_id: str) -> int:
    (job,) = await transaction.fetch(DELIVERED, id=job_id)
    return 0 if job["outputs"] is None else len(from_json(job["outputs"])["videos"])


async def _count_uncertain(transaction: Transaction, job_id: str) -> int:
    """How many videos were asked for in calls that may be charged although we have nothing of them."""
    attempts = await transaction.fetch(ATTEMPTS_AT_END, id=job_id)
    return sum(attempt["n"] for attempt in attempts if _is_uncertain(attempt))


def _can_be_recovered(attempt: Row) -> bool:
    if attempt["state"] != AttemptState.FAILED:
        return False
    code = attempt["error_code"]
    return code == SubmissionUnknown.code or (attempt["handle"] is not None and code in RECOVERABLE)


def _is_uncertain(attempt: Row) -> bool:
    if attempt["state"] == AttemptState.FAILED:
        return may_be_charged(attempt["error_code"], accepted=attempt["handle"] is not None)
    return attempt["state"] in (AttemptState.INTENT, AttemptState.ACCEPTED)
