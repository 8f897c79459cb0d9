"""The outbox: messages are written from the changes of jobs, leased to a process, and their results recorded.

The transaction that changes a job marks the change (`jobs/transitions.py`). Another transaction turns it into messages
and removes the mark, so that a crash between the two neither loses nor repeats a message. An expired lease can be
claimed again.

Every transaction locks in one order: the job's row where it matters, its events, deliveries, lanes by their names,
endpoints. Only a claim locks a lane first, and it does not wait for deliveries.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.job_webhook import JobWebhook
from rushes.ids import new_id
from rushes.webhooks.capacity import Capacity
from rushes.webhooks.endpoint import Delivery, DeliveryState, lane_of, shown_url
from rushes.webhooks.message import TYPE_OF_STATE, MessageType
from rushes.webhooks.store import WAKE_LANE, delivery_from

MOST_BUSY = 64
"""How many lanes and accounts a claim can pass over: each has an attempt under way, and a process has no more."""

ANY_NEWS = "SELECT seq FROM job_events WHERE unannounced = 1 LIMIT 1"

NEWS = """
SELECT seq, job_id, state, at FROM job_events WHERE unannounced = 1 ORDER BY seq LIMIT :most FOR UPDATE SKIP LOCKED
"""

NEWS_OF_JOB = """
SELECT seq, job_id, state, at FROM job_events WHERE job_id = :job_id AND unannounced = 1 ORDER BY seq FOR UPDATE
"""

ANNOUNCED = "UPDATE job_events SET unannounced = NULL WHERE seq = :seq"

JOB_WEBHOOK = "SELECT account_id, tenant, listener FROM jobs WHERE id = :job_id"

ENABLED_ENDPOINTS = """
SELECT id, url, events FROM webhook_endpoints WHERE tenant = :tenant AND enabled = 1 ORDER BY id
"""

INSERT_DELIVERY = """
INSERT INTO webhook_deliveries (id, account_id, tenant, endpoint_id, sealed_url, shown_url, lane, job_id, type,
                                event_at, state, next_attempt_at, created_at)
VALUES (:id, :account_id, :tenant, :endpoint_id, :sealed_url, :shown_url, :lane, :job_id, :type, :event_at, 'pending',
        :now, :now)
"""

_BUSY_LANES = ", ".join(f":lane_{number}" for number in range(MOST_BUSY))
_BUSY_ACCOUNTS = ", ".join(f":account_{number}" for number in range(MOST_BUSY))
_NOT_BUSY = f"lane NOT IN ({_BUSY_LANES}) AND account_id NOT IN ({_BUSY_ACCOUNTS})"

DUE_LANES = f"""
SELECT lane, account_id FROM webhook_lanes WHERE next_at <= :now AND {_NOT_BUSY}
ORDER BY next_at LIMIT :most FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - fixed texts only

NEXT_LANE = f"SELECT next_at FROM webhook_lanes WHERE {_NOT_BUSY} ORDER BY next_at LIMIT 1"  # noqa: S608 - fixed texts only

# A WITH of its own: inside an IN, Postgres may run the choice once for every row.
CLAIM = """
WITH chosen AS MATERIALIZED (
    SELECT seq FROM webhook_deliveries WHERE lane = :lane AND state = 'pending' AND next_attempt_at <= :now
    ORDER BY next_attempt_at, seq LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries SET lease = :lease, next_attempt_at = :now + :lease_ms
WHERE seq IN (SELECT seq FROM chosen)
RETURNING *
"""

NEXT_IN_LANE = """
SELECT next_attempt_at AS at FROM webhook_deliveries WHERE lane = :lane AND state = 'pending'
ORDER BY next_attempt_at, seq LIMIT 1
"""

SET_LANE = "UPDATE webhook_lanes SET next_at = :at WHERE lane = :lane"

DROP_LANE = "DELETE FROM webhook_lanes WHERE lane = :lane"

SETTLE = """
UPDATE webhook_deliveries
SET state = :state, attempts = attempts + :tries, next_attempt_at = :now + :wait_ms, lease = NULL,
    last_attempt_at = CASE WHEN :tries = 1 THEN :now ELSE last_attempt_at END, last_status = :status,
    last_error = :error, last_duration_ms = :duration_ms,
    settled_at = CASE WHEN :is_final = 1 THEN :now END, snapshot = CASE WHEN :is_final = 1 THEN NULL ELSE snapshot END
WHERE id = :id AND lease = :lease AND state = 'pending'
"""

GIVE_BACK = """
UPDATE webhook_deliveries SET lease = NULL, next_attempt_at = :now WHERE lease = :lease AND state = 'pending'
RETURNING lane, account_id
"""

GIVE_ALL_BACK = """
UPDATE webhook_deliveries SET lease = NULL, next_attempt_at = :now WHERE lease IS NOT NULL AND state = 'pending'
RETURNING lane, account_id
"""

NOTE_FAILURE = """
UPDATE webhook_endpoints SET consecutive_failures = consecutive_failures + 1, last_error = :error, last_error_at = :now
WHERE id = :id
"""

NOTE_SUCCESS = "UPDATE webhook_endpoints SET consecutive_failures = 0 WHERE id = :id AND consecutive_failures > 0"

DISABLE = "UPDATE webhook_endpoints SET enabled = 0, disabled_reason = :reason WHERE id = :id AND enabled = 1"

GET_SNAPSHOT = "SELECT snapshot FROM webhook_deliveries WHERE id = :id"

KEEP_SNAPSHOT = "UPDATE webhook_deliveries SET snapshot = :snapshot WHERE job_id = :job_id AND state = 'pending'"

FORGET_OLD = """
DELETE FROM webhook_deliveries WHERE seq IN (
    SELECT seq FROM webhook_deliveries WHERE settled_at IS NOT NULL AND settled_at <= :now - :kept_ms
    ORDER BY settled_at LIMIT :most
)
"""

OWED = """
SELECT job_id, state AS what FROM job_events WHERE unannounced = 1
UNION ALL
SELECT job_id, type AS what FROM webhook_deliveries WHERE state = 'pending'
"""

UNNOTIFIED = """
SELECT e.job_id, e.state AS what FROM job_events e JOIN jobs j ON j.id = e.job_id
WHERE j.listener IS NOT NULL AND e.state IN ('succeeded', 'failed', 'cancelled', 'expired')
  AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d
                  WHERE d.job_id = e.job_id AND d.endpoint_id IS NULL AND d.state IN ('delivered', 'dead'))
"""
"""Ended jobs with a webhook of their own that has neither received a message nor was given up. Empty once nothing is
owed. It reads all events, so it is for tests and simulations."""


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The result of an attempt. `wait_s` None with an error means given up; `tried` False means no call was made."""

    status: int | None = None
    error: str | None = None
    duration_ms: int | None = None
    wait_s: float | None = None
    tried: bool = True
    disable: str | None = None

    @property
    def state(self) -> DeliveryState:
        """The state of the message after it."""
        if self.error is None:
            return DeliveryState.DELIVERED
        return DeliveryState.DEAD if self.wait_s is None else DeliveryState.PENDING


class Outbox:
    """The messages, as the dispatcher uses them. `lease_s` is how long a claim holds without a result."""

    def __init__(self, database: Database, *, lease_s: float = 60) -> None:
        self._database = database
        self._lease_ms = int(lease_s * 1000)

    async def has_news(self) -> bool:
        """Whether a change waits to be turned into messages."""
        return bool(await self._database.read(ANY_NEWS))

    async def write_messages(self, most: int) -> int:
        """Turn up to `most` changes into messages to their receivers. Returns the number of changes."""

        async def body(transaction: Transaction) -> int:
            news = await transaction.fetch(NEWS, most=most)
            await _wake_lanes(transaction, await _announce(transaction, news))
            return len(news)

        return await self._database.write(body)

    async def claim(self, most: int, capacity: Capacity) -> Claim:
        """Up to `most` messages that are due, fairly over the lanes, within the capacity."""
        lease = secrets.token_hex(12)
        busy = _busy(capacity)

        async def body(transaction: Transaction) -> list[Delivery]:
            claimed: list[Delivery] = []
            # A transaction may be repeated, so the count is not changed before it has ended.
            left = capacity.copy()
            for lane in await transaction.fetch(DUE_LANES, most=most, **busy):
                name, account_id = lane["lane"], lane["account_id"]
                share = min(most - len(claimed), left.left(name, account_id))
                if share <= 0:
                    continue
                rows = await transaction.fetch(CLAIM, lane=name, lease=lease, lease_ms=self._lease_ms, most=share)
                claimed.extend(delivery_from(row) for row in rows)
                left.take(name, account_id, len(rows))
                following = await fetch_one(transaction, NEXT_IN_LANE, lane=name)
                if following is None:
                    await transaction.execute(DROP_LANE, lane=name)
                else:
                    await transaction.execute(SET_LANE, lane=name, at=following["at"])
            return claimed

        return Claim(lease, await self._database.write(body))

    async def next_due_at(self, capacity: Capacity) -> int | None:
        """When the next message of a lane that is not full may be due, in milliseconds."""
        rows = await self._database.read(NEXT_LANE, **_busy(capacity))
        return rows[0]["next_at"] if rows else None

    async def record(self, delivery: Delivery, outcome: DeliveryOutcome) -> bool:
        """Record the result of an attempt. Returns False, and records nothing, if its lease was lost."""

        async def body(transaction: Transaction) -> bool:
            wait_ms = int((outcome.wait_s or 0) * 1000)
            recorded = await transaction.execute(
                SETTLE,
                id=delivery.id,
                lease=delivery.lease,
                state=outcome.state,
                tries=int(outcome.tried),
                wait_ms=wait_ms,
                status=outcome.status,
                error=outcome.error,
                duration_ms=outcome.duration_ms,
                is_final=int(outcome.state is not DeliveryState.PENDING),
            )
            if not recorded:
                return False
            if outcome.state is DeliveryState.PENDING:
                await transaction.execute(
                    WAKE_LANE, lane=delivery.lane, account_id=delivery.account_id, wait_ms=wait_ms
                )
            await _note_health(transaction, delivery, outcome)
            return True

        return await self._database.write(body)

    async def snapshot_of(self, delivery_id: str) -> str | None:
        """The snapshot of a message's job from before the job was deleted, if any."""
        rows = await self._database.read(GET_SNAPSHOT, id=delivery_id)
        return rows[0]["snapshot"] if rows else None

    async def give_back(self, lease: str | None = None) -> int:
        """Make the messages of one claim claimable at once.

        Without `lease` it does so for all messages, which is right only if no other process delivers.
        """

        async def body(transaction: Transaction) -> int:
            statement = GIVE_ALL_BACK if lease is None else GIVE_BACK
            rows = await transaction.fetch(statement, **({} if lease is None else {"lease": lease}))
            for lane, account_id in sorted({(row["lane"], row["account_id"]) for row in rows}):
                await transaction.execute(WAKE_LANE, lane=lane, account_id=account_id, wait_ms=0)
            return len(rows)

        return await self._database.write(body)

    async def forget(self, kept_s: float, most: int) -> int:
        """Delete up to `most` messages that ended `kept_s` ago. Returns their number."""

        async def body(transaction: Transaction) -> int:
            return await transaction.execute(FORGET_OLD, kept_ms=int(kept_s * 1000), most=most)

        return await self._database.write(body)

    async def owed(self) -> Sequence[Row]:
        """Changes that are not messages yet, and pending messages. Empty once all were delivered or given up."""
        return await self._database.read(OWED)


@dataclass(frozen=True, slots=True)
class Claim:
    """Messages that this process may send until the lease expires."""

    lease: str
    deliveries: Sequence[Delivery]


async def before_deletion(transaction: Transaction, job: Row) -> None:
    """Keep what the messages of a job still need of it, before the job is deleted (`jobs.store.Deleting`)."""
    lanes = await _announce(transaction, await transaction.fetch(NEWS_OF_JOB, job_id=job["id"]))
    await transaction.execute(KEEP_SNAPSHOT, job_id=job["id"], snapshot=json.dumps(dict(job)))
    await _wake_lanes(transaction, lanes)


async def _announce(transaction: Transaction, news: Sequence[Row]) -> set[tuple[str, str]]:
    """Write the messages of changes. Returns the lanes to wake after all deliveries are written."""
    lanes: set[tuple[str, str]] = set()
    for change in news:
        job = await fetch_one(transaction, JOB_WEBHOOK, job_id=change["job_id"])
        kind = TYPE_OF_STATE.get(change["state"])
        if job is not None and kind is not None:
            lanes |= await _write(transaction, change, job, kind)
        await transaction.execute(ANNOUNCED, seq=change["seq"])
    return lanes


async def _wake_lanes(transaction: Transaction, lanes: set[tuple[str, str]]) -> None:
    # In one order everywhere, so that two processes cannot wait for each other.
    for lane, account_id in sorted(lanes):
        await transaction.execute(WAKE_LANE, lane=lane, account_id=account_id, wait_ms=0)


async def _write(transaction: Transaction, change: Row, job: Row, kind: MessageType) -> set[tuple[str, str]]:
    account_id = job["account_id"]
    receivers: list[dict[str, str | None]] = [
        {"endpoint_id": endpoint["id"], "sealed_url": None, "shown_url": shown_url(endpoint["url"]),
         "lane": lane_of(account_id, endpoint["url"])}
        for endpoint in await transaction.fetch(ENABLED_ENDPOINTS, tenant=job["tenant"])
        if endpoint["events"] is None or kind in json.loads(endpoint["events"])
    ]  # fmt: skip
    webhook = JobWebhook.from_json(job["listener"])
    if webhook is not None and (webhook.events is None or kind in webhook.events):
        receivers.append(
            {"endpoint_id": None, "sealed_url": webhook.sealed_url, "shown_url": webhook.shown_url,
             "lane": lane_of(account_id, webhook.shown_url)}
        )  # fmt: skip
    for receiver in receivers:
        await transaction.execute(
            INSERT_DELIVERY,
            id=new_id("msg"),
            account_id=account_id,
            tenant=job["tenant"],
            job_id=change["job_id"],
            type=kind,
            event_at=change["at"],
            **receiver,
        )
    return {(str(receiver["lane"]), account_id) for receiver in receivers}


async def _note_health(transaction: Transaction, delivery: Delivery, outcome: DeliveryOutcome) -> None:
    if delivery.endpoint_id is None or not outcome.tried:
        return
    if outcome.error is None:
        await transaction.execute(NOTE_SUCCESS, id=delivery.endpoint_id)
        return
    await transaction.execute(NOTE_FAILURE, id=delivery.endpoint_id, error=outcome.error)
    if outcome.disable is not None:
        await transaction.execute(DISABLE, id=delivery.endpoint_id, reason=outcome.disable)


def _busy(capacity: Capacity) -> dict[str, str]:
    """The lanes and accounts that are full, as parameters of a statement that has a fixed number of them."""
    lanes, accounts = capacity.full_lanes, capacity.full_accounts
    return {
        **{f"lane_{n}": lanes[n] if n < len(lanes) else "" for n in range(MOST_BUSY)},
        **{f"account_{n}": accounts[n] if n < len(accounts) else "" for n in range(MOST_BUSY)},
    }
