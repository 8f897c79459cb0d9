"""How many jobs an account or a key may have, waiting and at work.

Neither is kept in a counter that could drift: what waits and what is at work is counted where it is, in indexes that
hold nothing else and so do not grow with what is over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rushes.accounts.limits import LIMITS_OF, NO_LIMITS, WHOLE_ACCOUNT, Fetch, LimitName, Limits, read_limits
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.tenant import Tenant, account_of
from rushes.errors import QueueFull
from rushes.jobs.rows import BARE_COLUMNS, SHORT_REQUEST

PENDING_OF_ACCOUNT = "SELECT jobs FROM job_counts WHERE account_id = :tenant AND status = 'pending'"

PENDING_OF_KEY = """
SELECT COUNT(*) AS jobs
FROM (SELECT 1 AS one FROM jobs WHERE key_id = :key_id AND status = 'pending' LIMIT :most) AS waiting
"""

ANY_LIMIT = f"SELECT 1 AS one FROM limits WHERE name = '{LimitName.JOBS_IN_FLIGHT}' LIMIT 1"  # noqa: S608 - fixed texts only

MAKE_GATE = "INSERT INTO gates (name) VALUES ('claims') ON CONFLICT (name) DO NOTHING"

LOCK_GATE = "SELECT name FROM gates WHERE name = 'claims' FOR UPDATE"

IN_FLIGHT = f"""
SELECT running.account_id, running.key_id, running.jobs, of_account.value AS account_limit, of_key.value AS key_limit
FROM (SELECT account_id, key_id, COUNT(*) AS jobs FROM jobs WHERE in_slot = 1 AND byok = 0
      GROUP BY account_id, key_id) AS running
LEFT JOIN limits AS of_account ON of_account.account_id = running.account_id AND of_account.key_id = ''
                              AND of_account.name = '{LimitName.JOBS_IN_FLIGHT}'
LEFT JOIN limits AS of_key ON of_key.account_id = running.account_id AND of_key.key_id = running.key_id
                          AND of_key.name = '{LimitName.JOBS_IN_FLIGHT}'
"""  # noqa: S608 - fixed texts only

WAITING = """
SELECT seq, account_id, key_id, byok FROM jobs
WHERE lane = :lane AND state IN ('queued', 'rerouted') AND lease IS NULL AND held = 0{others}
ORDER BY turn, seq LIMIT :most FOR UPDATE SKIP LOCKED
"""

ANY_READY = """
SELECT 1 AS one FROM jobs
WHERE lane = :lane AND state IN ('queued', 'rerouted') AND lease IS NULL AND held = 0{others} LIMIT 1
"""

IN_FLIGHT_OF_ACCOUNT = """
SELECT COUNT(*) AS jobs
FROM (SELECT 1 AS one FROM jobs WHERE in_slot = 1 AND byok = 0 AND account_id = :account_id LIMIT :most) AS running
"""

IN_FLIGHT_OF_KEY = """
SELECT COUNT(*) AS jobs
FROM (SELECT 1 AS one FROM jobs
      WHERE in_slot = 1 AND byok = 0 AND account_id = :account_id AND key_id = :key_id LIMIT :most) AS running
"""

CLAIMED_COLUMNS = f"{BARE_COLUMNS}, lane, turn, {SHORT_REQUEST}"
"""What a claim reads of a job. A long request is read when the job is submitted: a worker holds thousands of jobs."""

CLAIM = f"""
UPDATE jobs SET lease = :lease, worker_id = :worker_id, in_slot = 1 WHERE seq = :seq RETURNING {CLAIMED_COLUMNS}
"""  # noqa: S608 - fixed texts only

QUEUE_RETRY_S = 10.0


async def check_queue(
    transaction: Transaction, tenant: Tenant, key_id: str, of_account: Limits, of_key: Limits
) -> None:
    """Raise QueueFull if a job that this transaction has stored is one too many; BYOK jobs count too.

    The jobs of test keys and of live keys count apart, so that tests cannot fill the queue of real work.
    """
    most = of_account.queued_jobs
    if most is not None:
        # The row that counts them is locked since the job was counted, so that no other can be let in meanwhile.
        row = await fetch_one(transaction, PENDING_OF_ACCOUNT, tenant=tenant)
        if row is not None and row["jobs"] > most:
            raise queue_full("This account", most)
    if of_key.queued_jobs is not None:
        row = await fetch_one(transaction, PENDING_OF_KEY, key_id=key_id, most=of_key.queued_jobs + 1)
        if row is not None and row["jobs"] > of_key.queued_jobs:
            raise queue_full("This API key", of_key.queued_jobs)


class Allowances:
    """How much of their limits callers have left."""

    def __init__(self, database: Database, defaults: Limits = NO_LIMITS) -> None:
        self._database = database
        self._defaults = defaults

    async def limits(self, account_id: str, key_id: str) -> tuple[Limits, Limits]:
        """The limits in force for the account, and those of the key besides."""
        of_account, of_key = await read_limits(self._database.read, account_id, key_id)
        return of_account.over(self._defaults), of_key

    async def remaining(self, tenant: Tenant, key_id: str) -> Limits:
        """How many more jobs the tenant, and with it this key, may have; requests are not counted here."""
        account_id = account_of(tenant)
        of_account, of_key = await self.limits(account_id, key_id)
        left: dict[str, int | None] = {}
        for name, asked in (
            ("jobs_in_flight", (IN_FLIGHT_OF_ACCOUNT, IN_FLIGHT_OF_KEY)),
            ("queued_jobs", (PENDING_OF_ACCOUNT, PENDING_OF_KEY)),
        ):
            found = []
            for limits, sql in zip((of_account, of_key), asked, strict=True):
                most: int | None = getattr(limits, name)
                if most is not None:
                    rows = await self._database.read(
                        sql, account_id=account_id, tenant=tenant, key_id=key_id, most=most
                    )
                    found.append(max(0, most - (rows[0]["jobs"] if rows else 0)))
            left[name] = min(found, default=None)
        return Limits(**left)


def queue_full(whose: str = "This account or API key", most: int | None = None) -> QueueFull:
    """The refusal; `most` where it is known."""
    many = "as many pending jobs as it may" if most is None else f"{most} pending jobs, which is the most it may"
    return QueueFull(f"{whose} has {many}; wait for some to start, or cancel some", retry_after_s=QUEUE_RETRY_S)


@dataclass(slots=True)
class Rooms:
    """How many more jobs each account, and each key by its account and id, may have in flight; absent: not known yet.

    Jobs on callers' own keys are neither limited nor counted.
    """

    default: int | None
    fetch: Fetch
    left: dict[tuple[str, str], float] = field(default_factory=dict)

    async def take(self, job: Row) -> bool:
        """Whether this job may begin; it is counted then."""
        if job["byok"]:
            return True
        subjects = [(job["account_id"], WHOLE_ACCOUNT), (job["account_id"], job["key_id"])]
        for subject in subjects:
            await self._read(*subject)
        if any(self.left[subject] < 1 for subject in subjects):
            return False
        for subject in subjects:
            self.left[subject] -= 1
        return True

    async def _read(self, account_id: str, key_id: str) -> None:
        """Read the room of an account or key that has no job in flight."""
        if (account_id, key_id) in self.left:
            return
        rows = await self.fetch(LIMITS_OF, account_id=account_id, key_id=key_id)
        most = {row["name"]: row["value"] for row in rows}.get(
            LimitName.JOBS_IN_FLIGHT, self.default if key_id == WHOLE_ACCOUNT else None
        )
        self.left[account_id, key_id] = _room(most)

    def others(self) -> tuple[str, dict[str, str]]:
        """A condition that passes over all who are known to have no room, with its parameters."""
        full = [subject for subject, left in self.left.items() if left < 1]
        accounts = [account_id for account_id, key_id in full if key_id == WHOLE_ACCOUNT]
        keys = [key_id for _, key_id in full if key_id != WHOLE_ACCOUNT]
        conditions: list[str] = []
        parameters: dict[str, str] = {}
        for column, values in (("account_id", accounts), ("key_id", keys)):
            if values:
                # As few texts as possible, since each is prepared by the database: filled up to a power of two.
                padded = [*values, *[values[-1]] * ((1 << (len(values) - 1).bit_length()) - len(values))]
                names = [f"{column}_{index}" for index in range(len(padded))]
                parameters.update(zip(names, padded, strict=True))
                conditions.append(f"{column} IN ({', '.join(':' + name for name in names)})")
        return (f" AND NOT (byok = 0 AND ({' OR '.join(conditions)}))" if conditions else ""), parameters


async def read_rooms(fetch: Fetch, default: int | None) -> Rooms | None:
    """The room of all who have jobs in flight; None if no account's jobs in flight are limited."""
    if default is None and not await fetch(ANY_LIMIT):
        return None
    rooms = Rooms(default, fetch)
    for row in await fetch(IN_FLIGHT):
        account, key = (row["account_id"], WHOLE_ACCOUNT), (row["account_id"], row["key_id"])
        of_account = default if row["account_limit"] is None else row["account_limit"]
        rooms.left[account] = rooms.left.get(account, _room(of_account)) - row["jobs"]
        rooms.left[key] = _room(row["key_limit"]) - row["jobs"]
    return rooms


def _room(most: int | None) -> float:
    return math.inf if most is None else most


async def lock_rooms(transaction: Transaction, default: int | None) -> Rooms | None:
    """The same for a claim; no other claim can be made meanwhile."""
    if default is None and not await transaction.fetch(ANY_LIMIT):
        return None
    if not await transaction.fetch(LOCK_GATE):
        await transaction.execute(MAKE_GATE)
        await transaction.fetch(LOCK_GATE)
    return await read_rooms(transaction.fetch, default)


async def claim_within(
    transaction: Transaction, rooms: Rooms, *, lane: str, most: int, lease: str, worker_id: str
) -> list[Row]:
    """Claim up to `most` waiting jobs of a lane in their order, passing over accounts and keys without room."""
    claimed: list[Row] = []
    while len(claimed) < most:
        others, parameters = rooms.others()
        wanted = most - len(claimed)
        waiting = await transaction.fetch(WAITING.format(others=others), lane=lane, most=wanted, **parameters)
        for job in waiting:
            if await rooms.take(job):
                claimed.extend(await transaction.fetch(CLAIM, seq=job["seq"], lease=lease, worker_id=worker_id))
        # Else an account or key has turned out to have no room, and the next query passes over its jobs.
        if len(waiting) < wanted:
            break
    return claimed


async def has_ready(fetch: Fetch, rooms: Rooms, lane: str) -> bool:
    """Whether a job of a lane, whose account and key have room, may be claimed now."""
    others, parameters = rooms.others()
    return bool(await fetch(ANY_READY.format(others=others), lane=lane, **parameters))
