"""The only code that writes a job's state, with all that belongs to a change of state, in one transaction.

`accept` stores new jobs, `move` moves one job, `move_where` moves all jobs that meet a condition, `reroute` gives a
job to its fallback. Each asks MOVES, sets what belongs to the new state (status, lease, slot, times), and records
counters, money, the event and the end of secrets.

Every transaction that changes a job locks in one order, so that no two wait for each other: the worker's row, job rows,
lanes by their names, job_counts, usage_rollups, balances. An intent locks the limits of its credential after the job's
row, and nothing but a counter of its move after that. A job's events and webhooks come after its row
(webhooks/outbox.py). A new job's row comes after its lane, which says its turn: no transaction can wait for a row that
does not exist yet.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from rushes.db.database import Row, Transaction, fetch_one
from rushes.domain.fallbacks import Fallback
from rushes.domain.job import MOVES, Job, Move, State, Status
from rushes.jobs.lanes import Place, change_lane, enter_lane, next_turn
from rushes.jobs.new_job import NewJob
from rushes.jobs.rows import ACCEPTED_COLUMNS, JOB_COLUMNS, QUEUE_COLUMNS
from rushes.money.ledger import close, costs_of, ending_of, list_for_operator, note_costs, reserve, unlist
from rushes.money.usage import count_accepted, count_recovery, count_usage

JOBS_CHANNEL = "jobs"
"""Carries the ids of jobs that have changed, for the code that shows them (`Database.listen`)."""

WORK_CHANNEL = "work"
"""Says that a job may be claimed: in how many milliseconds, or empty for now."""

ANNOUNCEMENTS_CHANNEL = "announcements"
"""Says that a change was recorded for which a webhook is due (`job_events.unannounced`)."""

_EXPRESSIONS = {
    "state": "'queued'",
    "status": "'pending'",
    "available_at": ":now + :hold_ms",
    "deadline_at": ":now + :deadline_ms",
    "created_at": ":now",
}
_NEW_COLUMNS = (*ACCEPTED_COLUMNS, *QUEUE_COLUMNS)

_OWN_PARAMETER = re.compile(r":(?!now\b)([a-z_]+)")
"""A parameter that each job of a statement has its own value of."""

_NOT_YET = dict.fromkeys((*JOB_COLUMNS, *QUEUE_COLUMNS))

_WITHOUT_LEASE = ("lease = NULL", "worker_id = NULL")
_WITHOUT_TROUBLE = ("trouble_code = NULL", "trouble = NULL", "trouble_at = NULL")

OUTPUT_UNMEASURED = "output_unmeasured"
"""The trouble of a job whose video is kept and could not be measured. It stays, so operators can list such jobs."""

_WITH_UNMEASURED_TROUBLE = tuple(
    f"{column} = CASE WHEN trouble_code = '{OUTPUT_UNMEASURED}' THEN {column} END"
    for column in ("trouble_code", "trouble", "trouble_at")
)

_CHOSEN = """
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs WHERE {condition} AND state = :was ORDER BY {order} LIMIT :most FOR UPDATE SKIP LOCKED
)
"""

COUNT_ONE = """
INSERT INTO job_counts (account_id, status, jobs) VALUES (:tenant, :status, :change)
ON CONFLICT (account_id, status) DO UPDATE SET jobs = job_counts.jobs + excluded.jobs
"""

# One statement for both, as each is a round trip to a server.
COUNT_MOVE = """
INSERT INTO job_counts (account_id, status, jobs) VALUES (:tenant, :was, -1), (:tenant, :to, 1)
ON CONFLICT (account_id, status) DO UPDATE SET jobs = job_counts.jobs + excluded.jobs
"""

INSERT_EVENT = "INSERT INTO job_events (job_id, at, state, cause) VALUES (:job_id, :now, :state, :cause)"

# Marked only if a webhook is due, so that a service without webhooks writes nothing more for them.
INSERT_CHANGE = """
INSERT INTO job_events (job_id, at, state, cause, unannounced)
VALUES (:job_id, :now, :state, :cause,
        CASE WHEN :has_webhook = 1
                  OR EXISTS (SELECT 1 FROM webhook_endpoints WHERE tenant = :tenant AND enabled = 1)
             THEN 1 END)
RETURNING unannounced
"""

WIPE_SEALED = "DELETE FROM byok_secrets WHERE job_id = :job_id"


class IllegalMove(ValueError):
    """A move that MOVES does not have was asked for: a fault in our code. Nothing was changed."""


def can_move(was: State, to: State) -> bool:
    """Whether MOVES has this move."""
    return to in MOVES[was]


def check_move(job_id: str, was: State, to: State) -> None:
    """Raise IllegalMove unless MOVES has this move."""
    if not can_move(was, to):
        raise IllegalMove(f"job '{job_id}' cannot move from {was} to {to}")


async def accept(transaction: Transaction, new: Sequence[NewJob], limits: Mapping[str, Sequence[Row]]) -> Sequence[Row]:
    """Store queued jobs of one tenant and lane, in this order, and return their rows.

    `limits` has the rows of `limits` for their account and each of their keys, by the key's id. What the jobs share is
    changed once for all of them. Raises SpendLimitReached or PriceUnknown, which undo the transaction.
    """
    route = new[-1].route
    # From here on other jobs of the same lane or account wait for this transaction.
    lane_turn = await enter_lane(transaction, route.lane, route.lane_capacity, len(new))
    turn = await next_turn(transaction, route.lane, new[0].account_id, lane_turn)
    jobs = await _insert(transaction, new, turn)
    # Counters, usage, balances: the order in which a job's end locks them too, or the two would wait for each other.
    await _count(transaction, jobs[0], State.QUEUED.status, len(jobs))
    await count_accepted(transaction, jobs)
    for one, job in zip(new, jobs, strict=True):
        await reserve(transaction, job, one.reservation, limits[one.key_id], unpriced_allowed=one.unpriced_allowed)
        _report(transaction, job, None, State.QUEUED, "accepted")
        transaction.notify(WORK_CHANNEL, str(one.hold_ms))
    return jobs


async def _insert(transaction: Transaction, new: Sequence[NewJob], turn: int) -> Sequence[Row]:
    """Store these jobs, with turns from this one on, and the first line of each job's history."""
    given = [
        {
            **one.columns(),
            "reserved_microusd": one.reservation.microusd,
            "held": int(one.hold_ms > 0),
            "turn": turn + index,
            "hold_ms": one.hold_ms,
            "deadline_ms": int(one.route.deadline_s * 1000),
        }
        for index, one in enumerate(new)
    ]
    inserted: list[Row] = []
    for start, count in _powers_of_two(len(given)):
        part = given[start : start + count]
        named = {f"{name}_{index}": value for index, one in enumerate(part) for name, value in one.items()}
        inserted += await transaction.fetch(_insert_jobs(count), **named)
        await transaction.execute(
            _insert_accepted(count), **{f"id_{index}": one["id"] for index, one in enumerate(part)}
        )
    by_id = {row["id"]: row for row in inserted}
    for one in new:
        transaction.notify(JOBS_CHANNEL, one.id)
    return [{**_NOT_YET, **one, **by_id[one["id"]]} for one in given]


def _powers_of_two(count: int) -> Iterator[tuple[int, int]]:
    """Parts of so many things, each with its begin and its size: few sizes, so that each statement is prepared once."""
    start = 0
    while start < count:
        size = 1 << ((count - start).bit_length() - 1)
        yield start, size
        start += size


@lru_cache
def _insert_jobs(count: int) -> str:
    rows = ", ".join(f"({', '.join(_value_of(column, index) for column in _NEW_COLUMNS)})" for index in range(count))
    # SQLite spends on RETURNING what it spends on a row, so it returns only what is not known before.
    returned = ", ".join(("seq", "id", *_EXPRESSIONS))
    return f"INSERT INTO jobs ({', '.join(_NEW_COLUMNS)}) VALUES {rows} RETURNING {returned}"  # noqa: S608 - fixed texts


def _value_of(column: str, index: int) -> str:
    expression = _EXPRESSIONS.get(column, f":{column}")
    return _OWN_PARAMETER.sub(rf":\1_{index}", expression)


@lru_cache
def _insert_accepted(count: int) -> str:
    rows = ", ".join(f"(:id_{index}, :now, 'queued', 'accepted')" for index in range(count))
    return f"INSERT INTO job_events (job_id, at, state, cause) VALUES {rows}"  # noqa: S608 - fixed texts only


async def move(
    transaction: Transaction,
    job: Row,
    to: State,
    cause: str,
    columns: Mapping[str, object] | None = None,
    *,
    ms_from_now: Mapping[str, int] | None = None,
) -> None:
    """Move a job, whose row this transaction has locked, to another state, and set these columns of it.

    `job` is its row as it was before. `cause` is a few plain words for its history. `ms_from_now` sets columns to times
    that are so many milliseconds ahead. Raises IllegalMove.
    """
    was = State(job["state"])
    check_move(job["id"], was, to)
    columns, ms_from_now = columns or {}, ms_from_now or {}
    sets = _sets(was, to, columns, ms_from_now)
    changed = await transaction.execute(
        f"UPDATE jobs SET {', '.join(sets)} WHERE id = :id AND state = :was",  # noqa: S608 - fixed texts only
        id=job["id"],
        was=was,
        to=to,
        status=to.status,
        **ms_from_now,
        **columns,
    )
    if not changed:
        raise IllegalMove(f"job '{job['id']}' is no longer {was}")
    moved = {**job, "cost_usd": columns.get("cost_usd", job["cost_usd"])}
    leaves = Place.of(job) if _leaves_slot(to) else Place(0, 0)
    await _record_move(transaction, moved, to, cause, leaves)


async def move_where(
    transaction: Transaction, condition: str, to: State, cause: str, *, was: Sequence[State], most: int, order: str,
    **columns: object,
) -> Sequence[Row]:  # fmt: skip
    """Move up to `most` jobs that no worker holds, are in one of the states `was`, and meet an SQL condition.

    They are chosen in this order; jobs that another transaction has locked are passed over. Returns their rows as they
    are afterwards. Raises IllegalMove.
    """
    moved: list[tuple[State, Row]] = []
    for one in was:
        check_move("any", one, to)
        sets = _sets(one, to, columns)
        chosen = _CHOSEN.format(condition=f"({condition}) AND lease IS NULL", order=order)
        sql = f"{chosen} UPDATE jobs SET {', '.join(sets)} WHERE seq IN (SELECT seq FROM chosen) RETURNING *"  # noqa: S608 - fixed texts only
        left = most - len(moved)
        rows = await transaction.fetch(sql, was=one, to=to, status=to.status, most=left, **columns) if left else []
        moved.extend((one, row) for row in rows)
    waited = Counter(row["lane"] for one, row in moved if one.waits_in_lane and _leaves_slot(to))
    for lane, jobs in sorted(waited.items()):
        await change_lane(transaction, lane, ready=-jobs, in_use=0)
    for one, row in sorted(moved, key=lambda found: (found[1]["account_id"], found[1]["seq"])):
        await _record_move(transaction, {**row, "state": one}, to, cause, Place(0, 0))
    return [row for _, row in moved]


async def reroute(transaction: Transaction, row: Row, job: Job, fallback: Fallback, why: str, percent: int) -> None:
    """Give a job, whose row this transaction has locked, to its next fallback, and end its lease.

    A job that still waits keeps its state, and its place in the order of callers' jobs. `percent` is the progress that
    callers have seen: it does not fall, neither by a slower estimate nor by a first report. Raises IllegalMove.
    """
    to = job.state if job.state.waits_in_lane else State.REROUTED
    if to is not job.state:
        check_move(job.id, job.state, to)
    place, lane_turn = Place.of(row), 0
    for lane in sorted({row["lane"], fallback.lane}):
        if lane == row["lane"]:
            await change_lane(transaction, lane, ready=-place.ready, in_use=-place.in_use)
        if lane == fallback.lane:
            lane_turn = await enter_lane(transaction, lane, fallback.lane_capacity)
    turn = await next_turn(transaction, fallback.lane, job.account_id, lane_turn)
    was = f"{job.served_provider}/{job.served_model}"
    warning = f"'{fallback.name}' serves this request, because '{was}' did not accept it: {why}"
    columns = {
        "served_provider": fallback.provider,
        "served_model": fallback.model,
        "surface": fallback.api,
        "credential": fallback.credential,
        "credential_name": None,
        "request": fallback.request(job.request).to_json(),
        "cost_usd": None if fallback.cost_usd is None else str(fallback.cost_usd),
        "usual_s": min(job.usual_s, fallback.usual_s),
        "progress": percent if fallback.reports_progress else None,
        "warnings": json.dumps([*job.warnings, warning, *fallback.warnings]),
        "fallbacks": job.fallbacks.after_next().to_json(),
        "lane": fallback.lane,
        "turn": turn,
    }
    ms_from_now = {"deadline_at": int(fallback.deadline_s * 1000), "available_at": 0}
    sets = [*_sets(job.state, to, columns, ms_from_now), "held = 0"]
    await transaction.execute(
        f"UPDATE jobs SET {', '.join(sets)} WHERE id = :id AND state = :was",  # noqa: S608 - fixed texts only
        id=job.id,
        was=job.state,
        to=to,
        status=to.status,
        **ms_from_now,
        **columns,
    )
    await _record_move(transaction, row, to, f"fell back from '{was}' to '{fallback.name}'", Place(0, 0))
    # Another worker may have room in that lane, where this one has none.
    transaction.notify(WORK_CHANNEL, "")


def _sets(was: State, to: State, columns: Iterable[str], ms_from_now: Iterable[str] = ()) -> list[str]:
    """What belongs to the new state, as assignments."""
    sets = ["state = :to", "status = :status", *(f"{column} = :{column}" for column in columns)]
    sets.extend(f"{column} = :now + :{column}" for column in ms_from_now)
    if was is State.QUEUED and to is State.SUBMITTING:
        sets.append("started_at = :now")
    if _leaves_slot(to):
        sets.append("in_slot = 0")
    if _ends_lease(to):
        sets.extend(_WITHOUT_LEASE)
    if to.is_final:
        sets.append("completed_at = :now")
    if to is State.CANCELLED:
        sets.append("cancelled_at = :now")
    if to is State.RECOVERING:
        sets.append("abort_requested_at = NULL")
    # A job that failed keeps the trouble that it met before.
    if to is State.SUCCEEDED:
        sets.extend(_WITH_UNMEASURED_TROUBLE)
    elif to not in (State.FAILED, State.EXPIRED):
        sets.extend(_WITHOUT_TROUBLE)
    return sets


def _leaves_slot(to: State) -> bool:
    """Whether the provider's slot is free for another job from then on."""
    return to.is_final or to.waits_in_lane or to in (State.STORING, State.RECOVERING)


def _ends_lease(to: State) -> bool:
    return to.is_final or to.waits_in_lane or to is State.RECOVERING


async def record_event(transaction: Transaction, job: Row, state: State, cause: str) -> None:
    """Add a line to a job's history; alone, when its state stays as it is."""
    await transaction.execute(INSERT_EVENT, job_id=job["id"], state=state, cause=cause)
    transaction.notify(JOBS_CHANNEL, job["id"])


async def record_deletion(transaction: Transaction, job: Row) -> None:
    """A job is deleted; `job` is its row."""
    await unlist(transaction, job["id"])
    await _count(transaction, job, State(job["state"]).status, -1)
    transaction.notify(JOBS_CHANNEL, job["id"])


async def _record_move(transaction: Transaction, job: Row, to: State, cause: str, leaves: Place) -> None:
    """Record what a move brings with it; `job` is its row as it was before, `leaves` its place that is free again."""
    was = State(job["state"])
    # Rows that many jobs share come last: on a server, a transaction that counts keeps all others waiting.
    if was.status is to.status:
        await record_event(transaction, job, to, cause)
    else:
        await _record_change(transaction, job, to, cause)
    ending = await ending_of(transaction, job, to) if to.is_final else None
    if ending is not None:
        await note_costs(transaction, job, ending, cause)
    if to.is_final and job["byok"]:
        await transaction.execute(WIPE_SEALED, job_id=job["id"])
    freed = leaves != Place(0, 0) and await change_lane(
        transaction, job["lane"], ready=-leaves.ready, in_use=-leaves.in_use
    )
    if freed:
        # The worker with room for the job that waits may be in another process.
        transaction.notify(WORK_CHANNEL, "")
    if was.status is not to.status:
        await transaction.execute(COUNT_MOVE, tenant=job["tenant"], was=was.status, to=to.status)
    if to.is_final:
        if ending is None:
            await count_usage(transaction, job, to)
        else:
            cost_microusd = ending.after.spent_over(ending.before)
            await count_usage(transaction, job, to, cost_microusd=cost_microusd, unpriced=ending.unpriced)
            await close(transaction, job, ending, cause)
        await list_for_operator(transaction, job, to, cause, costs_of(job) if ending is None else ending.after)
        if was is State.RECOVERING:
            await count_recovery(transaction, job)
    if to is State.RECOVERING:
        transaction.notify(WORK_CHANNEL, "")
    _report(transaction, job, was, to, cause)


async def _record_change(transaction: Transaction, job: Row, to: State, cause: str) -> None:
    """Add a line to the history for a change that callers see, and for which a webhook may be due."""
    recorded = await fetch_one(
        transaction,
        INSERT_CHANGE,
        job_id=job["id"],
        tenant=job["tenant"],
        state=to,
        cause=cause,
        has_webhook=int(job["listener"] is not None),
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
            credential=job["credential_name"],
            was=was,
            state=to,
            cause=cause,
            cost_usd=job["cost_usd"],
            created_at=job["created_at"],
        )
    )


async def _count(transaction: Transaction, job: Row, status: Status, change: int) -> None:
    await transaction.execute(COUNT_ONE, tenant=job["tenant"], status=status, change=change)
