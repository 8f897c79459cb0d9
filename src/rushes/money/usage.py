"""What an account has used: sums per day and model, kept in the transactions that accept and finish its jobs.

A job counts on the day it was accepted, so that a day's finished, failed and open jobs always add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from rushes.catalogue.price import to_usd
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.job import State
from rushes.domain.tenant import Tenant

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)

ADD_USAGE = """
INSERT INTO usage_rollups (account_id, day, provider, model, jobs, completed, failed, unpriced, cost_microusd)
VALUES (:tenant, :day, :provider, :model, :jobs, :completed, :failed, :unpriced, :cost_microusd)
ON CONFLICT (account_id, day, provider, model) DO UPDATE SET
    jobs = usage_rollups.jobs + excluded.jobs,
    completed = usage_rollups.completed + excluded.completed,
    failed = usage_rollups.failed + excluded.failed,
    unpriced = usage_rollups.unpriced + excluded.unpriced,
    cost_microusd = usage_rollups.cost_microusd + excluded.cost_microusd
"""

ADD_USER_USAGE = """
INSERT INTO user_usage_rollups (account_id, day, user_tag, jobs, completed, failed, unpriced, cost_microusd)
VALUES (:tenant, :day, :user_tag, :jobs, :completed, :failed, :unpriced, :cost_microusd)
ON CONFLICT (account_id, day, user_tag) DO UPDATE SET
    jobs = user_usage_rollups.jobs + excluded.jobs,
    completed = user_usage_rollups.completed + excluded.completed,
    failed = user_usage_rollups.failed + excluded.failed,
    unpriced = user_usage_rollups.unpriced + excluded.unpriced,
    cost_microusd = user_usage_rollups.cost_microusd + excluded.cost_microusd
"""

CHANGE_USER_USAGE = """
UPDATE user_usage_rollups SET jobs = jobs + :jobs, completed = completed + :completed, failed = failed + :failed,
                              unpriced = unpriced + :unpriced, cost_microusd = cost_microusd + :cost_microusd
WHERE account_id = :tenant AND day = :day AND user_tag = :user_tag
"""

COUNT_TAG = """
INSERT INTO user_tag_counts (account_id, day, tags) VALUES (:tenant, :day, 1)
ON CONFLICT (account_id, day) DO UPDATE SET tags = user_tag_counts.tags + 1 WHERE user_tag_counts.tags < :most
RETURNING tags
"""

HAS_TAG = """
SELECT 1 AS one FROM user_usage_rollups WHERE account_id = :tenant AND day = :day AND user_tag = :user_tag
"""

MOST_TAGS = 10_000
"""How many tags of an account are kept apart in a day; the jobs of further ones are summed together."""

OTHER_TAGS = ""
"""Stands for them; no tag is empty."""

ADD_CREDENTIAL_USAGE = """
INSERT INTO credential_usage_rollups (day, provider, credential, completed, failed, unpriced, cost_microusd)
VALUES (:day, :provider, :credential, :completed, :failed, :unpriced, :cost_microusd)
ON CONFLICT (day, provider, credential) DO UPDATE SET
    completed = credential_usage_rollups.completed + excluded.completed,
    failed = credential_usage_rollups.failed + excluded.failed,
    unpriced = credential_usage_rollups.unpriced + excluded.unpriced,
    cost_microusd = credential_usage_rollups.cost_microusd + excluded.cost_microusd
"""

COUNTED_FOR = "SELECT tenant, user_tag, served_provider, credential_name FROM jobs WHERE id = :job_id"

CREDENTIAL_USAGE_BY_DAY = """
SELECT day, provider, credential, completed + failed AS jobs, completed, failed, unpriced, cost_microusd
FROM credential_usage_rollups WHERE day >= :since_day AND day <= :until_day ORDER BY day, provider, credential
"""

SUM_USAGE = """
SELECT provider, model, SUM(jobs) AS jobs, SUM(completed) AS completed, SUM(failed) AS failed,
       SUM(unpriced) AS unpriced, SUM(cost_microusd) AS cost_microusd
FROM usage_rollups WHERE account_id = :tenant AND day >= :since_day
GROUP BY provider, model ORDER BY provider, model
"""

SUM_USAGE_OF_ALL = """
SELECT provider, model, SUM(jobs) AS jobs, SUM(completed) AS completed, SUM(failed) AS failed,
       SUM(unpriced) AS unpriced, SUM(cost_microusd) AS cost_microusd
FROM usage_rollups WHERE day >= :since_day
GROUP BY provider, model ORDER BY provider, model
"""

_SUM_SPAN = """
SELECT {group}, SUM(jobs) AS jobs, SUM(completed) AS completed, SUM(failed) AS failed,
       SUM(unpriced) AS unpriced, SUM(cost_microusd) AS cost_microusd
FROM {table} WHERE account_id = :tenant AND day >= :first_day AND day <= :last_day
GROUP BY {group} ORDER BY {group}
"""


class Grouping(StrEnum):
    """By what the usage of a span of days is grouped."""

    DATE = "date"
    MODEL = "model"
    PROVIDER = "provider"
    USER = "user"
    """The caller's own tag; jobs without one are not counted."""


_COLUMNS = {
    Grouping.DATE: "day",
    Grouping.MODEL: "provider, model",
    Grouping.PROVIDER: "provider",
    Grouping.USER: "user_tag",
}


OTHERS_SHOWN = "(other users)"

USER_USAGE_BY_DAY = """
SELECT accounts.name AS account, user_usage_rollups.day, user_usage_rollups.user_tag, user_usage_rollups.jobs,
       user_usage_rollups.completed, user_usage_rollups.failed, user_usage_rollups.unpriced,
       user_usage_rollups.cost_microusd
FROM user_usage_rollups JOIN accounts ON user_usage_rollups.account_id = {tenant}
WHERE user_usage_rollups.day >= :since_day AND user_usage_rollups.day <= :until_day
ORDER BY accounts.name, user_usage_rollups.day, user_usage_rollups.user_tag
"""

USAGE_BY_DAY = """
SELECT accounts.name AS account, usage_rollups.day, usage_rollups.provider, usage_rollups.model, usage_rollups.jobs,
       usage_rollups.completed, usage_rollups.failed, usage_rollups.unpriced, usage_rollups.cost_microusd
FROM usage_rollups JOIN accounts ON usage_rollups.account_id = {tenant}
WHERE usage_rollups.day >= :since_day AND usage_rollups.day <= :until_day
ORDER BY accounts.name, usage_rollups.day, usage_rollups.provider, usage_rollups.model
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """Jobs accepted and what became of them. `unpriced` ones are completed, and missing from the cost."""

    jobs: int = 0
    completed: int = 0
    failed: int = 0
    unpriced: int = 0
    cost_usd: Decimal = Decimal(0)

    @property
    def open(self) -> int:
        """Jobs that have not ended."""
        return self.jobs - self.completed - self.failed

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.jobs + other.jobs,
            self.completed + other.completed,
            self.failed + other.failed,
            self.unpriced + other.unpriced,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """The usage of one model, as it was asked for."""

    provider: str
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class DayUsage:
    """The usage of one model, as one account asked for it on one UTC day (whole days since 1970)."""

    account: str
    day: int
    provider: str
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class UserDayUsage:
    """The usage of one user tag of an account on one UTC day (whole days since 1970)."""

    account: str
    day: int
    user: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class CredentialUsage:
    """What has ended of the jobs that were submitted with one of the operator's credentials, of all accounts.

    `day` is the UTC day on which the jobs were accepted here (whole days since 1970). `provider` served them.
    """

    day: int
    provider: str
    credential: str
    usage: Usage


class UsageStore:
    """Reads the sums; a read costs the same however many jobs they count."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, tenant: Tenant, *, since_ms: int = 0) -> Sequence[ModelUsage]:
        """The tenant's usage per model, of jobs accepted since the start of the UTC day that `since_ms` is in."""
        rows = await self._database.read(SUM_USAGE, tenant=tenant, since_day=since_ms // DAY_MS)
        return [ModelUsage(row["provider"], row["model"], _usage(row)) for row in rows]

    async def read_span(
        self, tenant: Tenant, first: date, last: date, grouping: Grouping
    ) -> Sequence[tuple[str, Usage]]:
        """The usage of jobs accepted on these days (UTC), both included, by the group's name; empty groups left out."""
        rows = await self._database.read(
            _SUM_SPAN.format(group=_COLUMNS[grouping], table=_table_of(grouping)),
            tenant=tenant,
            first_day=(first - EPOCH).days,
            last_day=(last - EPOCH).days,
        )
        return [(_name_of(row, grouping), _usage(row)) for row in rows]

    async def read_all(self, *, since_ms: int) -> Sequence[ModelUsage]:
        """The usage of all accounts together. For the operator, not for a request: it walks over all that is kept."""
        rows = await self._database.read(SUM_USAGE_OF_ALL, since_day=since_ms // DAY_MS)
        return [ModelUsage(row["provider"], row["model"], _usage(row)) for row in rows]

    async def read_days(
        self, *, since_day: int, until_day: int, account: str | None = None, of_test_keys: bool = False
    ) -> Sequence[DayUsage]:
        """The usage of live or test keys per account, day and model, both days included; of one account if named.

        For the operator, like `read_all`.
        """
        sql = USAGE_BY_DAY.format(tenant="accounts.id || '/test'" if of_test_keys else "accounts.id")
        rows = await self._database.read(sql, since_day=since_day, until_day=until_day)
        return [
            DayUsage(row["account"], row["day"], row["provider"], row["model"], _usage(row))
            for row in rows
            if account is None or row["account"] == account
        ]

    async def read_user_days(
        self, *, since_day: int, until_day: int, account: str | None = None, of_test_keys: bool = False
    ) -> Sequence[UserDayUsage]:
        """The same per account, day and user tag; jobs without one are left out. For the operator."""
        sql = USER_USAGE_BY_DAY.format(tenant="accounts.id || '/test'" if of_test_keys else "accounts.id")
        rows = await self._database.read(sql, since_day=since_day, until_day=until_day)
        return [
            UserDayUsage(row["account"], row["day"], row["user_tag"] or OTHERS_SHOWN, _usage(row))
            for row in rows
            if account is None or row["account"] == account
        ]

    async def read_credentials(self, *, since_day: int, until_day: int) -> Sequence[CredentialUsage]:
        """The usage of the operator's credentials per day, both days included. For the operator, like `read_all`."""
        rows = await self._database.read(CREDENTIAL_USAGE_BY_DAY, since_day=since_day, until_day=until_day)
        return [CredentialUsage(row["day"], row["provider"], row["credential"], _usage(row)) for row in rows]


async def count_usage(
    transaction: Transaction, job: Row, state: State, *, cost_microusd: int = 0, unpriced: int = 0
) -> None:
    """Count a job's end in `state`, once, with what the ledger says that it cost."""
    completed = state is State.SUCCEEDED
    await _add(
        transaction,
        _Counted.of(job),
        completed=int(completed),
        failed=int(state.is_final and not completed),
        unpriced=unpriced,
        cost_microusd=cost_microusd,
    )


async def count_accepted(transaction: Transaction, jobs: Sequence[Row]) -> None:
    """Count the acceptance of these jobs, once each; those that count alike together."""
    counted = Counter(_Counted.of(job) for job in jobs)
    for one in sorted(counted, key=lambda same: (same.tenant, same.day, same.provider, same.model, same.user or "")):
        await _add(transaction, one, jobs=counted[one])


async def add_cost(
    transaction: Transaction,
    *,
    job_id: str,
    account_id: str,
    accepted_at: int,
    provider: str,
    model: str,
    cost_microusd: int,
    unpriced: int,
) -> None:
    """Add to what the account's jobs have cost, and to the number of those whose cost is not known; for the ledger.

    What is settled after the job was deleted counts for no user: the tag is deleted with the job.
    """
    job = await fetch_one(transaction, COUNTED_FOR, job_id=job_id)
    # What is settled after its job was deleted counts in live mode.
    if job is None:
        counted = _Counted(Tenant(account_id), accepted_at // DAY_MS, provider, model, None)
    else:
        tenant, day = Tenant(job["tenant"]), accepted_at // DAY_MS
        counted = _Counted(tenant, day, provider, model, job["user_tag"], _credential_of(job))
    await _add(transaction, counted, cost_microusd=cost_microusd, unpriced=unpriced)


async def count_recovery(transaction: Transaction, job: Row) -> None:
    """Take back that a job which an operator recovered had been counted as failed."""
    await _add(transaction, _Counted.of(job), failed=-1)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Where a job counts."""

    tenant: Tenant
    day: int
    provider: str
    model: str
    user: str | None
    credential: tuple[str, str] | None = None
    """The provider that served it, and the name of the operator's credential there."""

    @classmethod
    def of(cls, job: Row) -> _Counted:
        day = job["created_at"] // DAY_MS
        return cls(Tenant(job["tenant"]), day, job["provider"], job["model"], job["user_tag"], _credential_of(job))


def _credential_of(job: Row) -> tuple[str, str] | None:
    name = job["credential_name"]
    return None if name is None else (job["served_provider"], name)


async def _add(
    transaction: Transaction,
    counted: _Counted,
    *,
    jobs: int = 0,
    completed: int = 0,
    failed: int = 0,
    unpriced: int = 0,
    cost_microusd: int = 0,
) -> None:
    changes = {
        "jobs": jobs,
        "completed": completed,
        "failed": failed,
        "unpriced": unpriced,
        "cost_microusd": cost_microusd,
    }
    owner: dict[str, object] = {"tenant": counted.tenant, "day": counted.day}
    await transaction.execute(ADD_USAGE, **owner, provider=counted.provider, model=counted.model, **changes)
    if counted.user is not None:
        await _add_for_user(transaction, owner, counted.user, changes)
    if counted.credential is not None and any((completed, failed, unpriced, cost_microusd)):
        provider, credential = counted.credential
        del changes["jobs"]
        of_day = {"day": counted.day, "provider": provider, "credential": credential}
        await transaction.execute(ADD_CREDENTIAL_USAGE, **of_day, **changes)


async def _add_for_user(transaction: Transaction, owner: dict[str, object], user: str, changes: dict[str, int]) -> None:
    # A row is never taken away, so a job that counted for the others when it was accepted does so at its end too.
    if await transaction.execute(CHANGE_USER_USAGE, **owner, user_tag=user, **changes):
        return
    is_new = changes["jobs"] > 0 and await transaction.fetch(COUNT_TAG, **owner, most=MOST_TAGS)
    await transaction.execute(ADD_USER_USAGE, **owner, user_tag=user if is_new else OTHER_TAGS, **changes)


async def is_told_apart(transaction: Transaction, tenant: Tenant, accepted_at: int, user: str) -> bool:
    """Whether the jobs of this user are counted for themselves on the day of this one, which is accepted."""
    return bool(await transaction.fetch(HAS_TAG, tenant=tenant, day=accepted_at // DAY_MS, user_tag=user))


def _table_of(grouping: Grouping) -> str:
    return "user_usage_rollups" if grouping is Grouping.USER else "usage_rollups"


def _name_of(row: Row, grouping: Grouping) -> str:
    match grouping:
        case Grouping.DATE:
            return (EPOCH + timedelta(days=row["day"])).isoformat()
        case Grouping.MODEL:
            return f"{row['provider']}/{row['model']}"
        case Grouping.PROVIDER:
            return str(row["provider"])
        case Grouping.USER:
            return str(row["user_tag"]) or OTHERS_SHOWN


def _usage(row: Row) -> Usage:
    # Postgres sums big integers into decimals.
    return Usage(
        jobs=int(row["jobs"]),
        completed=int(row["completed"]),
        failed=int(row["failed"]),
        unpriced=int(row["unpriced"]),
        cost_usd=to_usd(int(row["cost_microusd"])),
    )
