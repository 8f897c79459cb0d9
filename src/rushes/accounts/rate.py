"""Requests per minute, counted across all processes without a write for every request.

A minute begins with the first request after the last minute has ended. Its tokens are in the database. A process takes
a twentieth of the limit at once (so small limits are exact) and spends these tokens alone. Each admitted request has
spent a token of the running minute, so a minute never admits more than its limit in all processes together, and any
sixty seconds at most twice the limit. Tokens that a process took and did not spend are lost with the minute: at most
a twentieth of the limit for each other process is refused too early.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass

from rushes.accounts.keys import Caller
from rushes.accounts.limits import NO_LIMITS, WHOLE_ACCOUNT, Limits
from rushes.clock import Clock
from rushes.db.database import Database, Transaction, fetch_one
from rushes.errors import RateLimited

WINDOW_MS = 60_000
LEASES_IN_A_WINDOW = 20
MOST_COUNTERS = 10_000

ACCOUNT_POLICY = "default"
KEY_POLICY = "key"

BEGIN = """
INSERT INTO rate_windows (account_id, key_id, ends_at, taken) VALUES (:account_id, :key_id, :now + :window_ms, 0)
ON CONFLICT (account_id, key_id) DO NOTHING
"""

# A window that ends too far ahead is renewed too: a clock was set back.
RENEW = """
UPDATE rate_windows SET ends_at = :now + :window_ms, taken = 0
WHERE account_id = :account_id AND key_id = :key_id AND (ends_at <= :now OR ends_at > :now + :window_ms)
"""

REMAINING = """
SELECT taken, ends_at - :now AS left_ms FROM rate_windows
WHERE account_id = :account_id AND key_id = :key_id FOR UPDATE
"""

TAKE = "UPDATE rate_windows SET taken = taken + :count WHERE account_id = :account_id AND key_id = :key_id"


@dataclass(frozen=True, slots=True)
class Rate:
    """The state of one limit after a request: `remaining` as this process knows it, `reset_s` until the minute ends."""

    policy: str
    quota: int
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The states of all limits of a caller; `refused` is the limit that refuses the request, if any."""

    rates: tuple[Rate, ...]
    refused: Rate | None = None

    def check(self) -> None:
        """Raise RateLimited if a limit refuses the request."""
        if self.refused is None:
            return
        whose = "This account" if self.refused.policy == ACCOUNT_POLICY else "This API key"
        wait_s = max(1, self.refused.reset_s)
        message = f"{whose} may make {self.refused.quota} requests a minute; try again in {wait_s} s"
        raise RateLimited(message, retry_after_s=wait_s)


UNLIMITED = Standing(())


@dataclass(slots=True)
class _Lease:
    """Tokens of one minute that this process may spend. `beyond` is how many were left for all processes then."""

    quota: int
    tokens: int
    beyond: int
    ends_ms: int


class _Counter:
    """The state of one limit in this process. One request at a time renews its lease."""

    __slots__ = ("lease", "lock")

    def __init__(self) -> None:
        self.lease: _Lease | None = None
        self.lock = asyncio.Lock()

    def lease_at(self, now_ms: int, quota: int) -> _Lease | None:
        """The lease, if it belongs to the running minute and can admit or refuse a request."""
        lease = self.lease
        if lease is None or lease.quota != quota or now_ms >= lease.ends_ms:
            return None
        return lease if lease.tokens > 0 or lease.beyond <= 0 else None


class RateLimiter:
    """Admits requests, or refuses them until the minute has ended."""

    def __init__(self, database: Database, clock: Clock, defaults: Limits = NO_LIMITS) -> None:
        self._database = database
        self._clock = clock
        self._default = defaults.requests_per_minute
        self._counters: OrderedDict[tuple[str, str], _Counter] = OrderedDict()

    async def admit(self, caller: Caller) -> Standing:
        """Count one request, unless a limit refuses it. Without limits this does nothing."""
        if self._default is None and caller.account_rate is None and caller.key_rate is None:
            return UNLIMITED
        rates: list[Rate] = []
        spent: list[_Lease] = []
        for policy, key_id, quota in self._quotas(caller):
            lease = await self._lease(caller.account_id, key_id, quota)
            if lease.tokens <= 0:
                # A refused request gives back the tokens of its other limits.
                for other in spent:
                    other.tokens += 1
                refused = self._rate(policy, lease)
                return Standing((*rates, refused), refused)
            lease.tokens -= 1
            spent.append(lease)
            rates.append(self._rate(policy, lease))
        return Standing(tuple(rates))

    def standing(self, caller: Caller) -> Standing:
        """The states of the limits as this process knows them, without counting a request."""
        rates = []
        for policy, key_id, quota in self._quotas(caller):
            counter = self._counters.get((caller.account_id, key_id))
            lease = None if counter is None else counter.lease
            if lease is None or lease.quota != quota or self._clock.now_ms() >= lease.ends_ms:
                lease = _Lease(quota, 0, quota, self._clock.now_ms() + WINDOW_MS)
            rates.append(self._rate(policy, lease))
        return Standing(tuple(rates))

    def _quotas(self, caller: Caller) -> list[tuple[str, str, int]]:
        of_account = self._default if caller.account_rate is None else caller.account_rate
        both = ((ACCOUNT_POLICY, WHOLE_ACCOUNT, of_account), (KEY_POLICY, caller.key_id, caller.key_rate))
        return [(policy, key_id, quota) for policy, key_id, quota in both if quota is not None]

    async def _lease(self, account_id: str, key_id: str, quota: int) -> _Lease:
        """A lease with a token, or a lease that says when the next minute begins."""
        subject = (account_id, key_id)
        counter = self._counters.setdefault(subject, _Counter())
        self._counters.move_to_end(subject)
        if len(self._counters) > MOST_COUNTERS:
            self._counters.popitem(last=False)
        while (lease := counter.lease_at(self._clock.now_ms(), quota)) is None:
            # One at a time: otherwise each request of a burst would take a lease of its own.
            async with counter.lock:
                if counter.lease_at(self._clock.now_ms(), quota) is None:
                    counter.lease = await self._take(account_id, key_id, quota)
        return lease

    async def _take(self, account_id: str, key_id: str, quota: int) -> _Lease:
        # Read before the write, so that the lease may end a little early, but never late.
        now_ms = self._clock.now_ms()
        subject = {"account_id": account_id, "key_id": key_id}

        async def body(transaction: Transaction) -> tuple[int, int, int]:
            await transaction.execute(BEGIN, window_ms=WINDOW_MS, **subject)
            await transaction.execute(RENEW, window_ms=WINDOW_MS, **subject)
            row = await fetch_one(transaction, REMAINING, **subject)
            assert row is not None
            left = max(0, quota - row["taken"])
            count = min(left, max(1, quota // LEASES_IN_A_WINDOW))
            await transaction.execute(TAKE, count=count, **subject)
            return count, left - count, row["left_ms"]

        count, beyond, left_ms = await self._database.write(body)
        return _Lease(quota, count, beyond, now_ms + left_ms)

    def _rate(self, policy: str, lease: _Lease) -> Rate:
        left_ms = max(0, lease.ends_ms - self._clock.now_ms())
        return Rate(policy, lease.quota, lease.tokens + lease.beyond, math.ceil(left_ms / 1000))
