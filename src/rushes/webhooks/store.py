"""Endpoints, secrets and deliveries in the database, as their owners see them. See outbox.py too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rushes.audit.actor import actor
from rushes.audit.log import record
from rushes.catalogue.wording import shown
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.tenant import Tenant, account_of
from rushes.errors import DeliveryNotFound, NotRedeliverable, WebhookLimitReached, WebhookNotFound
from rushes.stored_places import WEBHOOKS
from rushes.webhooks.endpoint import Delivery, DeliveryState, Endpoint, SealedSecret, shown_url

MOST_ENDPOINTS = WEBHOOKS.share
"""Of one account in each mode: each change of each job is sent to all of them."""

OLD_SECRET_MS = 24 * 3600 * 1000
"""How long a replaced secret signs beside the new one."""

LOCK_ACCOUNT = "SELECT id FROM accounts WHERE id = :account_id FOR UPDATE"

LIST_ENDPOINTS = "SELECT * FROM webhook_endpoints WHERE tenant = :tenant ORDER BY created_at, id"

GET_ENDPOINT = "SELECT * FROM webhook_endpoints WHERE id = :id AND tenant = :tenant"

LOCK_ENDPOINT = GET_ENDPOINT + " FOR UPDATE"

FIND_ENDPOINT = "SELECT * FROM webhook_endpoints WHERE id = :id"

INSERT_ENDPOINT = """
INSERT INTO webhook_endpoints (id, account_id, tenant, url, events, description, enabled, sealed, created_at)
VALUES (:id, :account_id, :tenant, :url, :events, :description, 1, :sealed, :now)
RETURNING *
"""

CHANGE_ENDPOINT = """
UPDATE webhook_endpoints SET url = :url, events = :events, description = :description, enabled = :enabled,
                             disabled_reason = :disabled_reason
WHERE id = :id AND tenant = :tenant
RETURNING *
"""

ROTATE_ENDPOINT = """
UPDATE webhook_endpoints SET old_sealed = sealed, old_until = :now + :old_ms, sealed = :sealed
WHERE id = :id AND tenant = :tenant
RETURNING *
"""

DELETE_ENDPOINT = "DELETE FROM webhook_endpoints WHERE id = :id AND tenant = :tenant"

FIND_ACCOUNTS_SIGNING = "SELECT * FROM webhook_secrets WHERE account_id = :tenant"

KEEP_ACCOUNTS_SIGNING = """
INSERT INTO webhook_secrets (account_id, sealed, created_at) VALUES (:tenant, :sealed, :now)
ON CONFLICT (account_id) DO NOTHING
"""

ROTATE_ACCOUNTS_SIGNING = """
UPDATE webhook_secrets SET old_sealed = sealed, old_until = :now + :old_ms, sealed = :sealed
WHERE account_id = :tenant
RETURNING *
"""

GET_DELIVERY = "SELECT * FROM webhook_deliveries WHERE id = :id AND tenant = :tenant"

LOCK_DELIVERY = GET_DELIVERY + " FOR UPDATE"

# The job is locked before its deliveries: a deletion leaves a snapshot only in the deliveries that it sees pending.
LOCK_JOB_OF_DELIVERY = """
SELECT id FROM jobs
WHERE id = (SELECT job_id FROM webhook_deliveries WHERE id = :id AND tenant = :tenant) FOR UPDATE
"""

# A running attempt is left alone. A pending delivery keeps its attempts and is due at once.
REDELIVER = """
UPDATE webhook_deliveries SET state = 'pending', next_attempt_at = :now, settled_at = NULL,
                              attempts = CASE WHEN state = 'pending' THEN attempts ELSE 0 END
WHERE id = :id AND lease IS NULL
RETURNING *
"""

WAKE_LANE = """
INSERT INTO webhook_lanes (lane, account_id, next_at) VALUES (:lane, :account_id, :now + :wait_ms)
ON CONFLICT (lane) DO UPDATE
SET next_at = CASE WHEN excluded.next_at < webhook_lanes.next_at THEN excluded.next_at ELSE webhook_lanes.next_at END
"""

DELIVERIES_CHANNEL = "deliveries"
"""A note here says that a delivery may be due."""


@dataclass(frozen=True, slots=True)
class Change:
    """The new values of an endpoint."""

    url: str
    events: tuple[str, ...] | None
    description: str | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class DeliveryListing:
    """A query for deliveries of a tenant, newest first; all given conditions must match."""

    limit: int
    endpoint_id: str | None = None
    state: DeliveryState | None = None
    before_seq: int | None = None


class WebhookStore:
    """The webhooks of accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, endpoint_id: str, tenant: Tenant, change: Change, sealed: str) -> Endpoint:
        """Register a receiver. Raises WebhookLimitReached."""
        who = actor()

        async def body(transaction: Transaction) -> Endpoint:
            # Locked, so that two requests at once cannot both create the last allowed endpoint.
            await transaction.fetch(LOCK_ACCOUNT, account_id=account_of(tenant))
            if len(await transaction.fetch(LIST_ENDPOINTS, tenant=tenant)) >= MOST_ENDPOINTS:
                raise WebhookLimitReached(
                    f"An account can have {MOST_ENDPOINTS} webhooks in each mode; delete one first"
                )
            row = await fetch_one(
                transaction,
                INSERT_ENDPOINT,
                id=endpoint_id,
                account_id=account_of(tenant),
                tenant=tenant,
                url=change.url,
                events=_events_to_json(change.events),
                description=change.description,
                sealed=sealed,
            )
            assert row is not None
            endpoint = _endpoint(row)
            await record(
                transaction,
                who,
                "webhook.create",
                endpoint_id,
                account_id=account_of(tenant),
                after=endpoint_facts(endpoint),
            )
            return endpoint

        return await self._database.write(body)

    async def list(self, tenant: Tenant) -> Sequence[Endpoint]:
        """The tenant's endpoints, oldest first."""
        return [_endpoint(row) for row in await self._database.read(LIST_ENDPOINTS, tenant=tenant)]

    async def get(self, tenant: Tenant, endpoint_id: str) -> Endpoint:
        """The tenant's endpoint. Raises WebhookNotFound."""
        rows = await self._database.read(GET_ENDPOINT, id=endpoint_id, tenant=tenant)
        return _endpoint(_existing(rows[0] if rows else None, endpoint_id))

    async def find(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint with this id in any account, if it exists."""
        rows = await self._database.read(FIND_ENDPOINT, id=endpoint_id)
        return _endpoint(rows[0]) if rows else None

    async def change(self, tenant: Tenant, endpoint_id: str, change: Change) -> Endpoint:
        """Set the values of an endpoint. Raises WebhookNotFound."""
        who = actor()

        async def body(transaction: Transaction) -> Endpoint:
            before = await _lock(transaction, tenant, endpoint_id)
            row = await fetch_one(
                transaction,
                CHANGE_ENDPOINT,
                id=endpoint_id,
                tenant=tenant,
                url=change.url,
                events=_events_to_json(change.events),
                description=change.description,
                enabled=int(change.enabled),
                disabled_reason=None if change.enabled else "disabled by its owner",
            )
            after = _endpoint(_existing(row, endpoint_id))
            await record(
                transaction,
                who,
                "webhook.change",
                endpoint_id,
                account_id=account_of(tenant),
                before=endpoint_facts(before),
                after=endpoint_facts(after),
            )
            return after

        return await self._database.write(body)

    async def rotate(self, tenant: Tenant, endpoint_id: str, sealed: str) -> Endpoint:
        """Sign with a new secret, and for a day with the present one too. Raises WebhookNotFound."""
        who = actor()

        async def body(transaction: Transaction) -> Endpoint:
            row = await fetch_one(
                transaction, ROTATE_ENDPOINT, id=endpoint_id, tenant=tenant, sealed=sealed, old_ms=OLD_SECRET_MS
            )
            endpoint = _endpoint(_existing(row, endpoint_id))
            await record(transaction, who, "webhook.rotate_secret", endpoint_id, account_id=account_of(tenant))
            return endpoint

        return await self._database.write(body)

    async def delete(self, tenant: Tenant, endpoint_id: str) -> None:
        """Delete an endpoint and its secrets. Raises WebhookNotFound."""
        who = actor()

        async def body(transaction: Transaction) -> None:
            before = await _lock(transaction, tenant, endpoint_id)
            await transaction.execute(DELETE_ENDPOINT, id=endpoint_id, tenant=tenant)
            await record(
                transaction,
                who,
                "webhook.delete",
                endpoint_id,
                account_id=account_of(tenant),
                before=endpoint_facts(before),
            )

        await self._database.write(body)

    async def find_secret(self, tenant: Tenant) -> SealedSecret | None:
        """The signing secret of the tenant itself, if it has one yet."""
        rows = await self._database.read(FIND_ACCOUNTS_SIGNING, tenant=tenant)
        return _secret(rows[0]) if rows else None

    async def keep_secret(self, tenant: Tenant, sealed: str) -> SealedSecret:
        """Store this signing secret unless the tenant has one. Returns the stored one."""

        async def body(transaction: Transaction) -> Row | None:
            await transaction.execute(KEEP_ACCOUNTS_SIGNING, tenant=tenant, sealed=sealed)
            return await fetch_one(transaction, FIND_ACCOUNTS_SIGNING, tenant=tenant)

        row = await self._database.write(body)
        assert row is not None
        return _secret(row)

    async def rotate_secret(self, tenant: Tenant, sealed: str) -> SealedSecret:
        """Sign with a new secret, and for a day with the present one too, if there is one."""
        who = actor()

        async def body(transaction: Transaction) -> Row | None:
            row = await fetch_one(
                transaction, ROTATE_ACCOUNTS_SIGNING, tenant=tenant, sealed=sealed, old_ms=OLD_SECRET_MS
            )
            if row is None:
                await transaction.execute(KEEP_ACCOUNTS_SIGNING, tenant=tenant, sealed=sealed)
                row = await fetch_one(transaction, FIND_ACCOUNTS_SIGNING, tenant=tenant)
            account_id = account_of(tenant)
            await record(transaction, who, "signing_secret.rotate", account_id, account_id=account_id)
            return row

        row = await self._database.write(body)
        assert row is not None
        return _secret(row)

    async def list_deliveries(self, tenant: Tenant, listing: DeliveryListing) -> Sequence[Delivery]:
        """The matching deliveries of the tenant, newest first. The cost of a page does not grow with their number."""
        conditions = ["tenant = :tenant"]
        if listing.endpoint_id is not None:
            conditions.append("endpoint_id = :endpoint_id")
        if listing.state is not None:
            conditions.append("state = :state")
        if listing.before_seq is not None:
            conditions.append("seq < :before_seq")
        sql = f"SELECT * FROM webhook_deliveries WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT :limit"  # noqa: S608 - fixed texts only
        rows = await self._database.read(
            sql,
            tenant=tenant,
            endpoint_id=listing.endpoint_id,
            state=listing.state,
            before_seq=listing.before_seq,
            limit=listing.limit,
        )
        return [delivery_from(row) for row in rows]

    async def get_delivery(self, tenant: Tenant, delivery_id: str) -> Delivery:
        """The tenant's delivery. Raises DeliveryNotFound."""
        rows = await self._database.read(GET_DELIVERY, id=delivery_id, tenant=tenant)
        if not rows:
            raise _no_such_delivery(delivery_id)
        return delivery_from(rows[0])

    async def redeliver(self, tenant: Tenant, delivery_id: str) -> Delivery:
        """Have a message sent again, or sent now. Raises DeliveryNotFound or NotRedeliverable."""
        who = actor()

        async def body(transaction: Transaction) -> Row:
            job = await fetch_one(transaction, LOCK_JOB_OF_DELIVERY, id=delivery_id, tenant=tenant)
            row = await fetch_one(transaction, LOCK_DELIVERY, id=delivery_id, tenant=tenant)
            if row is None:
                raise _no_such_delivery(delivery_id)
            if row["endpoint_id"] is not None:
                endpoint = await fetch_one(transaction, FIND_ENDPOINT, id=row["endpoint_id"])
                if endpoint is None or not endpoint["enabled"]:
                    gone = "was deleted" if endpoint is None else "is disabled; enable it first"
                    raise NotRedeliverable(f"The webhook '{row['endpoint_id']}' {gone}")
            if row["snapshot"] is None and job is None:
                raise NotRedeliverable(f"Job '{row['job_id']}' was deleted, so its message cannot be written again")
            again = await fetch_one(transaction, REDELIVER, id=delivery_id)
            if again is None:
                return row
            await transaction.execute(WAKE_LANE, lane=row["lane"], account_id=account_of(tenant), wait_ms=0)
            transaction.notify(DELIVERIES_CHANNEL, "")
            await record(
                transaction,
                who,
                "delivery.redeliver",
                delivery_id,
                account_id=account_of(tenant),
                before={"state": row["state"], "attempts": row["attempts"]},
                after={"state": again["state"], "attempts": again["attempts"]},
            )
            return again

        return delivery_from(await self._database.write(body))


async def _lock(transaction: Transaction, tenant: Tenant, endpoint_id: str) -> Endpoint:
    row = await fetch_one(transaction, LOCK_ENDPOINT, id=endpoint_id, tenant=tenant)
    return _endpoint(_existing(row, endpoint_id))


def endpoint_facts(endpoint: Endpoint) -> dict[str, Any]:
    """What the audit log says of an endpoint; its URL without the parts that may hold a token."""
    return {
        "url": shown_url(endpoint.url),
        "events": endpoint.events,
        "description": endpoint.description,
        "enabled": endpoint.enabled,
    }


def _existing(row: Row | None, endpoint_id: str) -> Row:
    if row is None:
        raise _no_such_webhook(endpoint_id)
    return row


def _no_such_webhook(endpoint_id: str) -> WebhookNotFound:
    return WebhookNotFound(f"Webhook {shown(endpoint_id)} not found")


def _no_such_delivery(delivery_id: str) -> DeliveryNotFound:
    return DeliveryNotFound(f"Delivery {shown(delivery_id)} not found")


def _secret(row: Row) -> SealedSecret:
    return SealedSecret(row["sealed"], row["old_sealed"], row["old_until"])


def _events_to_json(events: tuple[str, ...] | None) -> str | None:
    return None if events is None else json.dumps(events)


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(
        id=row["id"],
        account_id=row["account_id"],
        url=row["url"],
        events=None if row["events"] is None else tuple(json.loads(row["events"])),
        description=row["description"],
        enabled=bool(row["enabled"]),
        disabled_reason=row["disabled_reason"],
        secret=_secret(row),
        consecutive_failures=row["consecutive_failures"],
        last_error=row["last_error"],
        last_error_at=row["last_error_at"],
        created_at=row["created_at"],
    )


def delivery_from(row: Row) -> Delivery:
    """The delivery in a row of `webhook_deliveries`."""
    return Delivery(**{**row, "state": DeliveryState(row["state"])})
