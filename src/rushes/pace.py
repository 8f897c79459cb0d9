"""How fast the requests of one account follow each other: one begins in a pass of the event loop, and heavy ones rest.

A request that holds the event loop delays every other. So an account whose request has held it for long begins its next
one later, by a multiple of that time, as long as another account asks too. Ordinary requests never rest.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from time import perf_counter
from typing import Any, Final, TypeVar

T = TypeVar("T")

HEAVY_S: Final = 0.005
"""A step that holds the event loop for longer is heavy. Most take less than a millisecond."""
REST: Final = 2.0
"""An account rests for this many times what its heavy steps have taken, so that others get most of the time."""
LONGEST_REST_S: Final = 1.0
ASKS_TOO_S: Final = 1.0
"""For how long after its last request another account counts."""
MOST_RESTING: Final = 1_000
"""Accounts whose rests are remembered. Those that are over are forgotten first."""


class Pace:
    """The rests of accounts. Times are seconds of a clock that never goes back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rests_until: dict[str, float] = {}
        self._last: tuple[str, float] = ("", float("-inf"))
        self._last_other: tuple[str, float] = ("", float("-inf"))
        """The newest request, and the newest of another account than that."""

    def asks(self, account_id: str) -> None:
        """Note a request of this account."""
        if account_id != self._last[0]:
            self._last_other = self._last
        self._last = (account_id, self._now())

    def held(self, account_id: str, seconds: float) -> None:
        """Note that a step of a request of this account has held the event loop for so long."""
        if seconds <= HEAVY_S:
            return
        now = self._now()
        _, other_at = self._last if self._last[0] != account_id else self._last_other
        if now - other_at > ASKS_TOO_S:
            return
        if len(self._rests_until) >= MOST_RESTING:
            self._rests_until = {name: until for name, until in self._rests_until.items() if until > now}
        before = max(now, self._rests_until.get(account_id, now))
        self._rests_until[account_id] = min(before + REST * seconds, now + LONGEST_REST_S)

    def wait_s(self, account_id: str) -> float:
        """How long the account still rests; 0 if its next request may begin."""
        until = self._rests_until.get(account_id)
        if until is None:
            return 0.0
        left_s = until - self._now()
        if left_s <= 0:
            del self._rests_until[account_id]
            return 0.0
        return left_s


@types.coroutine
def metered(step: Awaitable[T], held: Callable[[float], None]) -> Generator[Any, Any, T]:
    """Await `step`, and call `held` with the seconds that each part of it between two waits takes."""
    running = step.__await__()
    value: Any = None
    error: BaseException | None = None
    while True:
        began = perf_counter()
        try:
            waits_for = running.send(value) if error is None else running.throw(error)
        except StopIteration as ended:
            result: T = ended.value
            return result
        finally:
            held(perf_counter() - began)
        value, error = None, None
        try:
            value = yield waits_for
        except BaseException as raised:  # noqa: BLE001 - handed on to the step
            error = raised
