"""How long a worker may act on its leases: it is told by its own heartbeat, before anybody else can tell it.

A process can be frozen for any time between two of its instructions. The database's fence keeps it from changing a job
that has gone to another worker, but nothing fences a call to a provider; so a worker asks here right before that call.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rushes.clock import SteadyClock

SUBMIT_SHARE = 2 / 3
"""How much of a lease may have gone when a provider is called, so that some is left for the call to leave us."""
LAST_ANSWER_S = 8.0
"""How long a worker that stops still waits for the answer to a submit; process managers kill after about ten."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by both clocks."""

    wall_ms: int
    steady_ms: int


class Tenure:
    """One worker's hold on its leases, renewed by heartbeats.

    `alone` says that nobody else can take them; then they hold whatever the clocks say.
    """

    def __init__(
        self,
        clock: SteadyClock,
        *,
        lease_s: float = 15.0,
        last_answer_s: float = LAST_ANSWER_S,
        alone: bool = True,
    ) -> None:
        self._clock = clock
        self._lease_ms = lease_s * 1000
        self._last_answer_s = last_answer_s
        self.alone = alone
        self._renewed = self.now()
        self._number = 0
        self._is_lost = False
        self._hurry = asyncio.Event()

    def now(self) -> Moment:
        """This moment; taken before a heartbeat is sent, it is never later than the database's."""
        return Moment(self._clock.now_ms(), self._clock.steady_ms())

    def renew(self, sent: Moment) -> None:
        """A heartbeat that was sent then has been recorded."""
        self._renewed = sent

    @property
    def left_s(self) -> float:
        """Seconds until the leases run out; by the clock that says less, for each can stand still or jump."""
        now = self.now()
        gone_ms = max(now.wall_ms - self._renewed.wall_ms, now.steady_ms - self._renewed.steady_ms)
        return (self._lease_ms - gone_ms) / 1000

    @property
    def is_lost(self) -> bool:
        """Whether the leases have run out, or may have; what was claimed under them is not ours to submit."""
        return self._is_lost

    def lose(self) -> None:
        """The leases have run out: every term so far is over."""
        self._is_lost = True
        self._number += 1

    def regain(self) -> None:
        """All leases were given back, and a new heartbeat stands: what is claimed from now on is ours."""
        self._is_lost = False

    def term(self) -> Term:
        """What is claimed from now on, until the leases run out."""
        return Term(self, self._number)

    def may_submit(self, number: int) -> bool:
        """Whether a provider may be called for a job that was claimed in the term of this number."""
        if self.alone:
            return True
        enough_ms = self._lease_ms * (1 - SUBMIT_SHARE)
        return not self._is_lost and number == self._number and self.left_s * 1000 > enough_ms

    def hurry(self) -> None:
        """Wait for no more answers: whoever stops us is out of patience."""
        self._hurry.set()

    async def last_answers(self) -> None:
        """Return when a worker that stops has waited long enough for answers to submits under way."""
        ends = {
            asyncio.ensure_future(self._clock.sleep(self._last_answer_s)),
            asyncio.ensure_future(self._hurry.wait()),
        }
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()


@dataclass(frozen=True, slots=True)
class Term:
    """The time in which one claim holds."""

    tenure: Tenure
    number: int

    @property
    def goes_on(self) -> bool:
        """Whether the leases have not run out since it began."""
        return self.tenure.term() == self

    @property
    def may_submit(self) -> bool:
        """Whether a provider may be called, now, for what was claimed in this term."""
        return self.tenure.may_submit(self.number)
