"""What each move of a job brings with it, in the same transaction: counters, money, its event, the end of secrets.

Whoever changes a job's state calls this, so that nothing that is kept beside a job can drift from it.

Every transaction that changes a job locks in one order, so that no two wait for each other: the worker's row, job rows,
lanes by their names, job_counts, usage_rollups. A job's events and webhooks come after its row (webhooks/outbox.py).
A new job's row comes after its lane, which says its turn: nobody can wait for a row that is not there yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rushes.db.database import Row, Transaction, fetch_one
from rushes.domain.job import Move, State, Status
from rushes.money.costs import Reservation
from rushes.money.ledger import close, costs_of, ending_of, list_for_operator, note_costs, reserve, unlist
from rushes.money.usage import count_recovery, count_usage

JOBS_CHANNEL = "jobs"
"""Tells the ids of jobs that have changed, to whoever shows them (`Database.listen`)."""

WORK_CHANNEL = "work"
"""Tells that a job may be taken up; in how many milliseconds, or empty for now."""

COUNT_ONE = """
INSERT INTO job_counts (account_id, status, jobs) VALUES (:account_id, :status, :change)
ON CONFLICT (account_id, status) DO UPDATE SET jobs = job_counts.jobs + excluded.jobs
"""

# One statement for both, as each is a round trip to a server.
COUNT_MOVE = """
INSERT INTO job_counts (account_id, status, jobs) VALUES (:account_id, :was, -1), (:account_id, :to, 1)
ON CONFLICT (account_id, status) DO UPDATE SET jobs = job_counts.jobs + excluded.jobs
"""

ANNOUNCEMENTS_CHANNEL = "announcements"
"""Tells that a change was recorded which somebody outside has asked to hear of (`job_events.unannounced`)."""

INSERT_EVENT = "INSERT INTO job_events (job_id, at, state, cause) VALUES (:job_id, :now, :state, :cause)"

# Marked only where somebody listens, so that a service without webhooks writes nothing more for them.
INSERT_CHANGE = """
INSERT INTO job_events (job_id, at, state, cause, unannounced)
VALUES (:job_id, :now, :state, :cause,
        CASE WHEN :has_listener = 1
                  OR EXISTS (SELECT 1 FROM webhook_endpoints WHERE account_id = :account_id AND enabled = 1)
             THEN 1 END)
RETURNING unannounced
"""

WIPE_SEALED = "DELETE FROM byok_secrets WHERE job_id = :job_id"


async def record_acceptance(
    transaction: Transaction, job: Row, reservation: Reservation, limits: Sequence[Row], *, unpriced_allowed: bool
) -> None:
    """A new job is stored, and so is its first event; `job` is its row, `limits` are the rows of its account and key.

    Raises SpendLimitReached or PriceUnknown, which undo the transaction.
    """
    # Counters, usage, balances: the order in which a job's end locks them too, or the two would wait for each other.
    await _count(transaction, job, State.QUEUED.status, 1)
    await count_usage(transaction, job, State.QUEUED)
    await reserve(transaction, job, reservation, limits, unpriced_allowed=unpriced_allowed)
    _report(transaction, job, None, State.QUEUED, "accepted")


async def record_move(
    transaction: Transaction,
    job: Row,
    to: State,
    cause: str,
    *,
    before_counting: Callable[[Transaction, Row], Awaitable[None]] | None = None,
) -> None:
    """A job has moved to `to`; `job` is its row as it was before. `cause` is a few plain words for people.

    `before_counting` changes what is locked before the counters are, the job's lane, but after all that is its own.
    """
    was = State(job["state"])
    # What many jobs share comes last: on a server, who counts something keeps all others from it until the commit.
    if was.status is to.status:
        await record_event(transaction, job, to, cause)
    else:
        await _record_change(transaction, job, to, cause)
    ending = await ending_of(transaction, job, to) if to.is_final else None
    if ending is not None:
        await note_costs(transaction, job, ending, cause)
    if to.is_final and job["byok"]:
        await transaction.execute(WIPE_SEALED, job_id=job["id"])
    if before_counting is not None:
        await before_counting(transaction, job)
    if was.status is not to.status:
        await transaction.execute(COUNT_MOVE, account_id=job["account_id"], was=was.status, to=to.status)
    if to.is_final:
        if ending is None:
            await count_usage(transaction, job, to)
        else:
            cost_microusd = ending.after.spent_over(ending.before)
            await count_usage(transaction, job, to, cost_microusd=cost_microusd, unpriced=ending.unpriced)
            await close(transaction, job, ending, cause)
        after = costs_of(job) if ending is None else ending.after
        await list_for_operator(transaction, job, to, cause, after)
        if was is State.RECOVERING:
            await count_recovery(transaction, job)
    _report(transaction, job, was, to, cause)


async def record_event(transaction: Transaction, job: Row, state: State, cause: str) -> None:
    """Something happened to a job that is worth a line in its history; alone, when its state stays."""
    await transaction.execute(INSERT_EVENT, job_id=job["id"], state=state, cause=cause)
    transaction.notify(JOBS_CHANNEL, job["id"])


async def _record_change(transaction: Transaction, job: Row, to: State, cause: str) -> None:
    """The same for a change that callers see, and may have asked to be told of."""
    recorded = await fetch_one(
        transaction,
        INSERT_CHANGE,
        job_id=job["id"],
        account_id=job["account_id"],
        state=to,
        cause=cause,
        has_listener=int(job["listener"] is not None),
    )
    assert recorded is not None
    if recorded["unannounced"] is not None:
        transaction.notify(ANNOUNCEMENTS_CHANNEL, "")
    transaction.notify(JOBS_CHANNEL, job["id"])


def _report(transaction: Transaction, job: Row, was: State | None, to: State, cause: str) -> None:
    transaction.report(
        Move(
            job_id=job["id"],
            account_id=job["account_id"],
            request_id=job["request_id"],
            traceparent=job["traceparent"],
            provider=job["served_provider"],
            model=job["served_model"],
            was=was,
            state=to,
            cause=cause,
            cost_usd=job["cost_usd"],
            created_at=job["created_at"],
        )
    )


async def record_deletion(transaction: Transaction, job: Row) -> None:
    """A job is deleted; `job` is its row."""
    await unlist(transaction, job["id"])
    await _count(transaction, job, State(job["state"]).status, -1)
    transaction.notify(JOBS_CHANNEL, job["id"])


async def _count(transaction: Transaction, job: Row, status: Status, change: int) -> None:
    await transaction.execute(COUNT_ONE, account_id=job["account_id"], status=status, change=change)
