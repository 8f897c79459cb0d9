"""Giving a job back so that another worker goes on with it, because this one cannot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

STORAGE_BOUND_S = 30.0
"""How long a worker whose storage fails keeps a video that it could not store."""
UNREACHABLE_BOUND_S = 60.0
"""How long a worker that cannot reach a provider keeps a generation that another worker may reach."""
FAILED_POLLS = 5
"""How many polls in a row must have failed besides."""
LONGEST_PAUSE_S = 120.0
"""How long at most a worker claims no job of the lane that it has given one back of."""


class HandedOver(Exception):
    """The job is given back; this worker takes no other of its lane for `pause_s` seconds."""

    def __init__(self, why: str, pause_s: float) -> None:
        super().__init__(why)
        self.pause_s = min(pause_s, LONGEST_PAUSE_S)


async def no_other_worker() -> bool:
    """There is no other worker: what this one cannot do has to wait."""
    return False


class HandOver:
    """Decides whether a job is given back. `is_there_another` asks the database for another worker that is alive."""

    def __init__(self, is_there_another: Callable[[], Awaitable[bool]] = no_other_worker) -> None:
        self._is_there_another = is_there_another

    async def unsubmitted(self, wait_s: float) -> None:
        """The breaker lets no submit through for `wait_s` seconds. Raises HandedOver."""
        if await self._is_there_another():
            raise HandedOver("this worker cannot reach the provider", wait_s)

    async def unreachable(self, failures: int, failing_s: float) -> None:
        """The provider could not be reached for so many polls, and so long. Raises HandedOver."""
        if failures >= FAILED_POLLS and failing_s >= UNREACHABLE_BOUND_S and await self._is_there_another():
            raise HandedOver("this worker cannot reach the provider", failing_s)

    async def unstored(self, failing_s: float) -> None:
        """This worker's storage has failed for so long. Raises HandedOver."""
        if failing_s >= STORAGE_BOUND_S and await self._is_there_another():
            raise HandedOver("this worker cannot store videos", failing_s)
