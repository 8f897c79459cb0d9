"""The circuit breaker: a provider that cannot be reached is left alone for a while, then asked by one call.

    closed ──(FAILURES_TO_OPEN in a row)──► open ──(its time is over)──► half_open ──(an answer)──► closed
                                             ▲                              │
                                             └────(no answer: twice as long)┘

One breaker a provider, API and credential; it lives in the process and knows only what this process has met. Time
is passed in, as milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rushes.errors import (
    DatabaseUnavailable,
    LeaseLost,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderUnavailable,
    SubmissionUnknown,
)

FAILURES_TO_OPEN = 5
FIRST_OPEN_S = 5.0
LONGEST_OPEN_S = 300.0
PROBE_WAIT_S = 1.0
"""How long the others rest while one call finds out whether the provider is back."""
MOST_BREAKERS = 1000


class BreakerState(StrEnum):
    """Whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Outcome(StrEnum):
    """What a call says of the provider's health."""

    ANSWERED = "answered"
    """It answered, perhaps with a refusal: a used-up quota or a wrong key is not an outage."""
    UNREACHED = "unreached"
    REFUSED = "refused"
    """It refused the key, and there is another one to submit with: this one is left alone at once."""
    UNDECIDED = "undecided"
    """The call was not made, or was not waited for."""


def outcome_of(error: BaseException | None, *, has_other_keys: bool = False) -> Outcome:
    """What a submit that ended so (None: well) says of its provider, or of its key where there are others."""
    match error:
        case ProviderAuth() | ProviderCreditEmpty() if has_other_keys:
            return Outcome.REFUSED
        case ProviderUnavailable():
            return Outcome.UNREACHED
        case None:
            return Outcome.ANSWERED
        case SubmissionUnknown() | LeaseLost() | DatabaseUnavailable():
            return Outcome.UNDECIDED
        case ProviderError():
            return Outcome.ANSWERED
        case _:
            return Outcome.UNDECIDED


class Breaker:
    """Lets calls through, or says how long to wait. Every `begin` that let one through needs its `end`."""

    def __init__(self) -> None:
        self._failures = 0
        self._openings = 0
        self._opened_until_ms: int | None = None
        self._probe: int | None = None
        self._calls = 0

    @property
    def failures(self) -> int:
        """How many calls in a row did not reach the provider."""
        return self._failures

    @property
    def is_untroubled(self) -> bool:
        """Whether it holds nothing that a new breaker would not."""
        return self._failures == 0 and self._opened_until_ms is None

    def state(self, now_ms: int) -> BreakerState:
        """Whether calls are let through now; half open lets one through at a time."""
        if self._opened_until_ms is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_ms < self._opened_until_ms else BreakerState.HALF_OPEN

    def wait_s(self, now_ms: int) -> float:
        """Seconds until it is worth asking to `begin` again."""
        if self._opened_until_ms is None:
            return 0
        if now_ms < self._opened_until_ms:
            return (self._opened_until_ms - now_ms) / 1000
        return 0 if self._probe is None else PROBE_WAIT_S

    def begin(self, now_ms: int) -> int | None:
        """A number for one call that may be made now, or None if it may not."""
        if self.wait_s(now_ms) > 0:
            return None
        self._calls += 1
        if self._opened_until_ms is not None:
            self._probe = self._calls
        return self._calls

    def end(self, call: int, outcome: Outcome, now_ms: int) -> None:
        """What became of the call with this number."""
        was_probe = self._probe == call
        if was_probe:
            self._probe = None
        if outcome is Outcome.ANSWERED:
            self._failures = self._openings = 0
            self._opened_until_ms = self._probe = None
        elif outcome is not Outcome.UNDECIDED:
            self._failures += 1
            is_enough = outcome is Outcome.REFUSED or self._failures >= FAILURES_TO_OPEN
            # Calls from before the opening end one after another; only the probe says anything new.
            if was_probe or (self._opened_until_ms is None and is_enough):
                self._open(now_ms)

    def _open(self, now_ms: int) -> None:
        open_s = min(LONGEST_OPEN_S, FIRST_OPEN_S * 2.0 ** min(self._openings, 16))
        self._openings += 1
        self._opened_until_ms = now_ms + round(open_s * 1000)


@dataclass(frozen=True, slots=True)
class Circuit:
    """What a breaker stands before: one API of a provider, entered with one credential.

    `credential` is the name of one of the operator's, or the fingerprint of a caller's own.
    """

    provider: str
    api: str | None
    credential: str | None
    byok: bool = False


@dataclass(frozen=True, slots=True)
class CircuitHealth:
    """A breaker as it is now; `wait_s` until it lets a call through."""

    state: BreakerState
    failures: int
    wait_s: float


class Breakers:
    """The breakers of this process; what is untroubled is not kept, and what is kept is bounded."""

    def __init__(self) -> None:
        self._breakers: dict[Circuit, Breaker] = {}

    def of(self, circuit: Circuit) -> Breaker:
        """The breaker before this circuit."""
        breaker = self._breakers.pop(circuit, None)
        if breaker is None:
            breaker = Breaker()
            if len(self._breakers) >= MOST_BREAKERS:
                self._make_room()
        # Put in last, so that the first is the one not asked for longest.
        self._breakers[circuit] = breaker
        return breaker

    def snapshot(self, now_ms: int) -> Mapping[Circuit, CircuitHealth]:
        """Every breaker that has seen trouble since its provider last answered."""
        return {
            circuit: CircuitHealth(breaker.state(now_ms), breaker.failures, breaker.wait_s(now_ms))
            for circuit, breaker in self._breakers.items()
            if not breaker.is_untroubled
        }

    def _make_room(self) -> None:
        kept = {circuit: breaker for circuit, breaker in self._breakers.items() if not breaker.is_untroubled}
        while len(kept) >= MOST_BREAKERS:
            del kept[next(iter(kept))]
        self._breakers = kept
