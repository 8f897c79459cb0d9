"""Who is told, and how each message fares: what is kept of endpoints, secrets and deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from yarl import URL


class DeliveryState(StrEnum):
    """How far a message is."""

    PENDING = "pending"
    """To be tried, now or later."""
    DELIVERED = "delivered"
    """The receiver has answered 2xx."""
    DEAD = "dead"
    """Given up; it can be asked for once more."""


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A signing secret as it is kept, and the one before it, which signs too until its time is over."""

    sealed: str
    old_sealed: str | None = None
    old_until: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver that an account has registered. `events` None means all; times are milliseconds since 1970 UTC."""

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
    """One message to one receiver. `endpoint_id` None: to the URL that came with the job, `sealed_url`."""

    seq: int
    id: str
    account_id: str
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
    """Messages of one account to one host wait in one lane, so that a receiver that hangs holds up no other."""
    return f"{account_id} {URL(url).origin()}"
