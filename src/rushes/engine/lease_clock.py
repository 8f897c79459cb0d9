"""How long a worker may act on its leases, from the time of its last heartbeat.

A process can be frozen for any time between two of its instructions. The database's fence keeps it from changing a job
that another worker has taken over, but nothing fences a call to a provider. So a worker asks here right before that
call.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rushes.clock import SteadyClock

SUBMIT_SHARE = 2 / 3
"""How much of a lease may be over when a provider is called, so that the request is sent within the rest."""
LAST_ANSWER_S = 8.0
"""How long a worker that stops still waits for the answer to a submit; process managers kill after about ten."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by both clocks."""

    wall_ms: int
    steady_ms: int


class LeaseClock:
    """One worker's leases in time, renewed by heartbeats.

    `alone` says that no other worker can take them; then they hold whatever the clocks say.
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
        self._epoch = 0
        self._is_lost = False
        self._stop_waiting = asyncio.Event()

    def now(self) -> Moment:
        """This moment; taken before a heartbeat is sent, it is never later than the database's."""
        return Moment(self._clock.now_ms(), self._clock.steady_ms())

    def renew(self, sent: Moment) -> None:
        """The database has recorded a heartbeat that was sent then."""
        self._renewed = sent

    @property
    def left_s(self) -> float:
        """Seconds until the leases expire; by the clock that says less, for each can stand still or jump."""
        now = self.now()
        gone_ms = max(now.wall_ms - self._renewed.wall_ms, now.steady_ms - self._renewed.steady_ms)
        return (self._lease_ms - gone_ms) / 1000

    @property
    def is_lost(self) -> bool:
        """Whether the leases have expired, or may have; jobs that were claimed under them may not be submitted."""
        return self._is_lost

    def lose(self) -> None:
        """The leases have expired, and every epoch so far is over."""
        self._is_lost = True
        self._epoch += 1

    def regain(self) -> None:
        """All leases were given back, and a new heartbeat is recorded: new claims are valid."""
        self._is_lost = False

    def epoch(self) -> LeaseEpoch:
        """The epoch of what is claimed from now on, until the leases expire."""
        return LeaseEpoch(self, self._epoch)

    def may_submit(self, epoch: int) -> bool:
        """Whether a provider may be called for a job that was claimed in this epoch."""
        if self.alone:
            return True
        enough_ms = self._lease_ms * (1 - SUBMIT_SHARE)
        return not self._is_lost and epoch == self._epoch and self.left_s * 1000 > enough_ms

    def stop_waiting(self) -> None:
        """Wait for no more answers: the process has to end now."""
        self._stop_waiting.set()

    async def last_answers(self) -> None:
        """Return when a worker that stops has waited long enough for answers to submits under way."""
        ends = {
            asyncio.ensure_future(self._clock.sleep(self._last_answer_s)),
            asyncio.ensure_future(self._stop_waiting.wait()),
        }
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()


@dataclass(frozen=True, slots=True)
class LeaseEpoch:
    """The time in which one claim is valid."""

    clock: LeaseClock
    number: int

    @property
    def is_current(self) -> bool:
        """Whether the leases have not expired since it began."""
        return self.clock.epoch() == self

    @property
    def may_submit(self) -> bool:
        """Whether a provider may be called, now, for a job that was claimed in this epoch."""
        return self.clock.may_submit(self.number)
