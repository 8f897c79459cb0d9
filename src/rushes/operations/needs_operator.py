"""The one list of jobs that need an operator: money is reserved that nothing frees by itself, or a video can be had.

The list has every ended job with money still reserved, deleted ones too; every failed or expired job that can be taken
up again; and every job that has not ended although its deadline has passed. A page costs the same however many jobs the
database holds: the ended ones stand in a table of their own (`unsettled_jobs`), the others are at most those in flight.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rushes.db.database import Database, Row
from rushes.domain.job import MAYBE_CHARGED, RECOVERABLE, AttemptState, State, Trouble, may_be_charged
from rushes.domain.tenant import is_test
from rushes.jobs.rows import trouble_from

_COLUMNS = """
jobs.state, jobs.served_provider, jobs.served_model, jobs.provider_video_id, jobs.error_code, jobs.error, jobs.byok,
jobs.completed_at, jobs.trouble_code, jobs.trouble, jobs.trouble_at, jobs.tenant
"""

# A job that is being recovered is listed again when the recovery has failed.
_ENDED = f"""
SELECT unsettled_jobs.job_id, unsettled_jobs.account_id, unsettled_jobs.key_id, unsettled_jobs.provider,
       unsettled_jobs.model, unsettled_jobs.accepted_at, unsettled_jobs.reserved_microusd,
       unsettled_jobs.spent_microusd, unsettled_jobs.since, unsettled_jobs.cause, {_COLUMNS}
FROM unsettled_jobs LEFT JOIN jobs ON jobs.id = unsettled_jobs.job_id
WHERE (jobs.state IS NULL OR jobs.state <> 'recovering')
"""  # noqa: S608 - fixed texts only

ENDED = (
    _ENDED
    + """
  AND (unsettled_jobs.accepted_at > :after_ms
       OR (unsettled_jobs.accepted_at = :after_ms AND unsettled_jobs.job_id > :after_id))
ORDER BY unsettled_jobs.accepted_at, unsettled_jobs.job_id LIMIT :most
"""
)

ENDED_JOB = _ENDED + " AND unsettled_jobs.job_id = :job_id"

_OVERDUE = f"""
SELECT jobs.id AS job_id, jobs.account_id, jobs.key_id, jobs.provider, jobs.model, jobs.created_at AS accepted_at,
       jobs.reserved_microusd, 0 AS spent_microusd, jobs.deadline_at AS since, 'overdue' AS cause, {_COLUMNS}
FROM jobs
WHERE {{place}} AND state IN ('submitting', 'running', 'storing') AND deadline_at <= :now - :grace_ms
"""  # noqa: S608 - fixed texts only

OVERDUE_JOB = _OVERDUE.format(place="id = :job_id")

_OVERDUE_AFTER = _OVERDUE + " AND (created_at > :after_ms OR (created_at = :after_ms AND id > :after_id))"

# Two conditions that each have an index of their own; together they are every job that has begun and not ended.
OVERDUE = f"""
SELECT * FROM (
    {_OVERDUE_AFTER.format(place="worker_id IS NOT NULL")}
    UNION ALL {_OVERDUE_AFTER.format(place="lease IS NULL")}
) AS found ORDER BY accepted_at, job_id LIMIT :most
"""  # noqa: S608 - fixed texts only

ATTEMPTS = "SELECT job_id, n, state, handle, error_code FROM attempts WHERE job_id IN ({}) ORDER BY job_id, part"

OVERDUE_GRACE_MS = 60_000
"""How long after its deadline a job may still end by itself before it is listed."""

MONEY_RESERVED = "money_reserved"
"""The reason of a deleted job, if its error code is not known."""

_CODE = re.compile(r"[a-z][a-z0-9_]*")


class Action(StrEnum):
    """What an operator can do for a job."""

    RECONCILE = "reconcile"
    """Name the provider's id of the generation, so that the job goes on with it."""
    RECOVER = "recover"
    """Ask the provider once more for the video, and store it."""
    SETTLE = "settle"
    """State what the job has really cost."""
    WRITE_OFF = "write_off"
    """State that the provider has nothing for this job."""
    ABORT = "abort"
    """End a job that has not ended."""


@dataclass(frozen=True, slots=True, order=True)
class After:
    """Where a page ended: when the last job of it was accepted, and its id. The next page begins behind it."""

    accepted_at: int = -1
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class NeedsOperator:
    """One job of the list. Times are milliseconds since 1970 UTC, amounts millionths of a US dollar.

    `reason` is the code of the error that leaves the job unsettled, `overdue` for a job that has not ended, or
    `money_reserved`. `since` is when it ended, or its deadline. Of a deleted job `state`, `served_provider`,
    `served_model` and `message` are None, and only `settle` is possible.
    """

    job_id: str
    account_id: str
    key_id: str
    provider: str
    model: str
    accepted_at: int
    since: int
    reason: str
    message: str | None
    reserved_microusd: int
    spent_microusd: int
    actions: tuple[Action, ...]
    state: State | None
    served_provider: str | None
    served_model: str | None
    provider_video_id: str | None
    error_code: str | None
    completed_at: int | None
    trouble: Trouble | None
    is_test: bool = False
    """Whether a test key made it; not known of a deleted job."""

    @property
    def is_deleted(self) -> bool:
        """Whether its owner has deleted the job, so that only its money is left."""
        return self.state is None

    @property
    def place(self) -> After:
        """The cursor of a page that ends with this job."""
        return After(self.accepted_at, self.job_id)


class NeedsOperatorStore:
    """Reads the list."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, limit: int = 100, *, after: After | None = None) -> Sequence[NeedsOperator]:
        """Up to `limit` jobs of all accounts that need an operator, the one accepted first at the top.

        `after` is the `place` of the last job of the page before.
        """
        place = After() if after is None else after
        where = {"after_ms": place.accepted_at, "after_id": place.job_id, "most": limit}
        ended = await self._database.read(ENDED, **where)
        overdue = await self._database.read(OVERDUE, grace_ms=OVERDUE_GRACE_MS, **where)
        rows = sorted([*ended, *overdue], key=lambda row: (row["accepted_at"], row["job_id"]))[:limit]
        return await self._entries(rows)

    async def find(self, job_id: str) -> NeedsOperator | None:
        """The entry of this job, if it needs an operator."""
        rows = await self._database.read(ENDED_JOB, job_id=job_id)
        if not rows:
            rows = await self._database.read(OVERDUE_JOB, job_id=job_id, grace_ms=OVERDUE_GRACE_MS)
        return next(iter(await self._entries(rows)), None)

    async def _entries(self, rows: Sequence[Row]) -> Sequence[NeedsOperator]:
        attempts = await _attempts_of(self._database, [row["job_id"] for row in rows if row["state"] is not None])
        return [_entry(row, attempts.get(row["job_id"], [])) for row in rows]


async def _attempts_of(database: Database, job_ids: Sequence[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    if not job_ids:
        return found
    # Filled up to a power of two with the last id, so that the database prepares few different texts.
    names = [f"id_{index}" for index in range(1 << (len(job_ids) - 1).bit_length())]
    parameters = {name: job_ids[min(index, len(job_ids) - 1)] for index, name in enumerate(names)}
    sql = ATTEMPTS.format(", ".join(f":{name}" for name in names))
    for row in await database.read(sql, **parameters):
        found.setdefault(row["job_id"], []).append(row)
    return found


def _entry(row: Row, attempts: Sequence[Row]) -> NeedsOperator:
    state = None if row["state"] is None else State(row["state"])
    return NeedsOperator(
        job_id=row["job_id"],
        account_id=row["account_id"],
        key_id=row["key_id"],
        provider=row["provider"],
        model=row["model"],
        accepted_at=row["accepted_at"],
        since=row["since"],
        reason=_reason(row, attempts),
        message=row["error"],
        reserved_microusd=row["reserved_microusd"],
        spent_microusd=row["spent_microusd"],
        actions=_actions(row, state, attempts),
        state=state,
        served_provider=row["served_provider"],
        served_model=row["served_model"],
        provider_video_id=row["provider_video_id"],
        error_code=row["error_code"],
        completed_at=row["completed_at"],
        trouble=trouble_from(row),
        is_test=row["tenant"] is not None and is_test(row["tenant"]),
    )


def _reason(row: Row, attempts: Sequence[Row]) -> str:
    if row["cause"] == "overdue":
        return "overdue"
    uncertain = [
        attempt["error_code"]
        for attempt in attempts
        if may_be_charged(attempt["error_code"], accepted=attempt["handle"] is not None)
    ]
    # The job's own code first: an aborted job says so although its submission is unknown.
    for code in (row["error_code"], *uncertain, row["cause"]):
        if code is not None and _CODE.fullmatch(code):
            return str(code)
    return MONEY_RESERVED


def _actions(row: Row, state: State | None, attempts: Sequence[Row]) -> tuple[Action, ...]:
    if state is not None and not state.is_final:
        return (Action.ABORT,)
    found: list[Action] = []
    # A caller's own key is wiped when its job ends, so only the caller can look at the provider.
    if state in (State.FAILED, State.EXPIRED) and not row["byok"]:
        failed = [attempt for attempt in attempts if attempt["state"] == AttemptState.FAILED]
        if any(attempt["error_code"] == "submission_unknown" or _may_be_found(attempt) for attempt in failed):
            found.append(Action.RECONCILE)
        if any(attempt["handle"] is not None and attempt["error_code"] in RECOVERABLE for attempt in failed):
            found.append(Action.RECOVER)
    found.append(Action.SETTLE)
    if state is State.FAILED and any(
        attempt["state"] == AttemptState.FAILED and attempt["error_code"] in ("submission_unknown", "output_lost")
        for attempt in attempts
    ):
        found.append(Action.WRITE_OFF)
    return tuple(found)


def _may_be_found(attempt: Row) -> bool:
    """Whether the provider may have a generation for this attempt that we have no handle of."""
    return attempt["handle"] is None and attempt["error_code"] in MAYBE_CHARGED
