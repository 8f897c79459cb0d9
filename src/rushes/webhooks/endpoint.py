"""Endpoints, their secrets, and deliveries, as the database stores them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from yarl import URL

from rushes.domain.tenant import Tenant


class DeliveryState(StrEnum):
    """The state of a message."""

    PENDING = "pending"
    """Waits for an attempt, now or later."""
    DELIVERED = "delivered"
    """The receiver answered 2xx."""
    DEAD = "dead"
    """Given up. Its owner can have it sent again."""


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A sealed signing secret, and the secret before it, which signs too until `old_until`."""

    sealed: str
    old_sealed: str | None = None
    old_until: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registered receiver. `events` None means all events; times are milliseconds since 1970 UTC."""

    id: str
    account_id: str
    url: str
    events: tuple[str, ...] | None
    description: str | None
    enabled: bool
    disabled_reason: str | None
    secret: SealedSecret
    consecutive_failures: int
    last_error: str | None
    last_error_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one receiver. With `endpoint_id` None it goes to the webhook of the job itself, `sealed_url`."""

    seq: int
    id: str
    account_id: str
    tenant: Tenant
    endpoint_id: str | None
    sealed_url: str | None
    shown_url: str
    lane: str
    job_id: str
    type: str
    event_at: int
    snapshot: str | None
    state: DeliveryState
    attempts: int
    next_attempt_at: int
    lease: str | None
    last_attempt_at: int | None
    last_status: int | None
    last_error: str | None
    last_duration_ms: int | None
    created_at: int
    settled_at: int | None


def shown_url(url: str) -> str:
    """The URL without its query and fragment, which may hold a token."""
    return str(URL(url).with_query(None).with_fragment(None))


def lane_of(account_id: str, url: str) -> str:
    """The lane of messages from one account to one host. A receiver that hangs delays only its own lane."""
    return f"{account_id} {URL(url).origin()}"
