"""Which credential of a provider's pool a job is submitted with: one that is well and has room, by the weights.

A job is pinned to a credential in the transaction that records its intent, and keeps it: what may have been accepted is
asked for, polled and fetched with that one alone. Only a job that has certainly not been accepted is chosen for again.

How the keys are lives in the process, like their breakers; what they may take in all processes together is counted in
the database (credential_limits.py). Time is passed in, as milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rushes.engine.breaker import LONGEST_OPEN_S, Breaker
from rushes.providers.base import Provider
from rushes.providers.credentials import Pinned

REST_S = 5.0
"""How long a key rests that has met its rate limit, where the provider does not say."""


class CredentialState(StrEnum):
    """How a credential is, as far as this process has met it."""

    UP = "up"
    LIMITED = "limited"
    """It has met a limit, of the provider or of its own, and rests for some seconds."""
    BROKEN = "broken"
    """The provider refuses it or cannot be reached with it; one job at a time finds out whether that has changed."""
    DISABLED = "disabled"
    """It takes no new jobs; those that it has go on."""


@dataclass(frozen=True, slots=True)
class CredentialHealth:
    """One of the operator's credentials as it is now; `wait_s` until it may take a job."""

    provider: str
    name: str
    api: str | None
    state: CredentialState
    wait_s: float


@dataclass(slots=True)
class Standing:
    """How one key of a pool stands in this process."""

    turn: float = 0.0
    """When it is due, in the pool's own time: it rises by 1 / weight with each job."""
    running: int = 0
    rests_until_ms: int = 0
    """Its provider has said that it gets too many requests."""
    full_until_ms: int = 0
    """One of its limits was reached, and is looked at again then."""

    def rest_s(self, now_ms: int) -> float:
        """Seconds until it may be tried again."""
        return max(0, self.rests_until_ms - now_ms, self.full_until_ms - now_ms) / 1000


@dataclass(frozen=True, slots=True)
class PoolKey:
    """One key that a job may run on: its credential, the adapter of its API for this job, and how it stands."""

    pinned: Pinned
    provider: Provider
    breaker: Breaker
    standing: Standing = field(default_factory=Standing)

    def wait_s(self, now_ms: int) -> float:
        """Seconds until it can take a job; 0 for now."""
        return max(self.breaker.wait_s(now_ms), self.standing.rest_s(now_ms))


class CredentialPool:
    """The keys of one provider as this process has met them."""

    def __init__(self) -> None:
        self._standings: dict[str, Standing] = {}
        self._time = 0.0

    def standing(self, name: str) -> Standing:
        """How the key of this name stands."""
        return self._standings.setdefault(name, Standing())

    def choose(self, keys: Sequence[PoolKey], now_ms: int) -> PoolKey | None:
        """The key whose turn it is among those that can take a job now; None if none can.

        A key without weight is chosen only while no other can take a job.
        """
        ready = [key for key in keys if key.wait_s(now_ms) <= 0]
        weighted = [key for key in ready if key.pinned.terms.weight > 0]
        if not weighted:
            return min(ready, key=lambda key: key.standing.running, default=None)
        return min(weighted, key=lambda key: (self._due(key), key.standing.running / key.pinned.terms.weight))

    def taken(self, key: PoolKey) -> None:
        """A job is about to be submitted with this key."""
        if key.pinned.terms.weight > 0:
            due = self._due(key)
            self._time = max(self._time, due - 1 / key.pinned.terms.weight)
            key.standing.turn = due

    def _due(self, key: PoolKey) -> float:
        # A key that was away does not catch up on the jobs that it missed.
        return max(key.standing.turn + 1 / key.pinned.terms.weight, self._time)


class JobKeys:
    """The keys that one job may run on, the one that it runs on first or now, and the choice between them."""

    def __init__(self, pool: CredentialPool, keys: Sequence[PoolKey], current: PoolKey) -> None:
        self._pool = pool
        self._keys = tuple(keys)
        self._held: PoolKey | None = None
        self.current = current

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown, of every key."""
        return tuple(key.pinned.credential.secret for key in (*self._keys, self.current))

    @property
    def has_others(self) -> bool:
        """Whether there is a key besides the one it runs on."""
        return any(key is not self.current for key in self._keys)

    def choose(self, now_ms: int) -> bool:
        """Make the key whose turn it is the current one. Returns False, and changes nothing, if none can take a job."""
        chosen = self._pool.choose(self._keys, now_ms)
        if chosen is not None:
            self.current = chosen
        return chosen is not None

    def taken(self) -> None:
        """The job is about to be submitted with the current key."""
        self._pool.taken(self.current)
        self.hold()

    def hold(self) -> None:
        """The job counts as one that runs on the current key, until `let_go`."""
        self.let_go()
        self.current.standing.running += 1
        self._held = self.current

    def let_go(self) -> None:
        """The job no longer runs in this process, or not on that key."""
        if self._held is not None:
            self._held.standing.running -= 1
            self._held = None

    def limited(self, now_ms: int, asked_s: float | None) -> None:
        """The provider gets too many requests with the current key, and has perhaps said for how long."""
        rest_s = REST_S if asked_s is None else min(asked_s, LONGEST_OPEN_S)
        standing = self.current.standing
        standing.rests_until_ms = max(standing.rests_until_ms, now_ms + round(rest_s * 1000))

    def full(self, now_ms: int, wait_s: float) -> None:
        """The current key has reached a limit of its own."""
        self.current.standing.full_until_ms = now_ms + round(wait_s * 1000)

    def wait_s(self, now_ms: int) -> float:
        """Seconds until one of the keys can take a job."""
        return min((key.wait_s(now_ms) for key in self._keys), default=0)

    def are_closed(self, now_ms: int) -> bool:
        """Whether the breaker of every key is open."""
        return all(key.breaker.wait_s(now_ms) > 0 for key in self._keys)
