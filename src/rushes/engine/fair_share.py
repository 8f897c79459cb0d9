"""How a worker's room for jobs is shared out among lanes, so that none of them fills it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

RoomFor = Callable[[str], int]
"""How many more jobs of a lane there is room for."""

OTHERS_PART = 8
"""Of what is free besides a lane's own jobs, one part in so many stays free for other lanes."""


class FairShare:
    """The room of one worker: how many jobs of each lane it runs.

    A lane gets no more once less is free than a seventh of what it has. So however many lanes hang, they leave room
    for one that does not.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[str] = Counter()

    def begin(self, lane: str) -> None:
        """A job of this lane runs from now on."""
        self._running[lane] += 1

    def end(self, lane: str) -> None:
        """A job of this lane has ended."""
        self._running[lane] -= 1
        if not self._running[lane]:
            del self._running[lane]

    @property
    def left(self) -> int:
        """How many more jobs the worker has room for, of whatever lane."""
        return self._most - self._running.total()

    def left_for(self, lane: str) -> int:
        """How many more jobs of this lane."""
        running = self._running[lane]
        own_and_free = running + self.left
        # Rounded up, so that a room of a few places is not left half empty.
        most = (own_and_free * (OTHERS_PART - 1) + OTHERS_PART - 2) // OTHERS_PART
        return max(0, most - running)

    @property
    def left_for_orphans(self) -> int:
        """How many more jobs that others had begun, of whatever lanes: what stopped their worker may stop this one."""
        return max(0, self.left - self._most // OTHERS_PART)

    def copy(self) -> FairShare:
        """A copy: a claim may read it from the database's thread."""
        copy = FairShare(self._most)
        copy._running = self._running.copy()
        return copy


def any_number(_lane: str) -> int:
    """Room for all that come."""
    return sys.maxsize


async def share_out(
    most: int, room: Mapping[str, int], take: Callable[[str, int], Awaitable[Sequence[T]]]
) -> dict[str, list[T]]:
    """Take up to `most` jobs, of each lane as many as of any other while it has them and `room` for them.

    `take` gives up to so many of a lane, and fewer only if there are no more. The lanes named first get what cannot be
    divided.
    """
    taken: dict[str, list[T]] = {}
    waiting = {lane: places for lane, places in room.items() if places > 0}
    while waiting and most > 0:
        share = max(1, most // len(waiting))
        for lane, places in list(waiting.items()):
            wanted = min(share, places, most)
            if wanted == 0:
                break
            jobs = await take(lane, wanted)
            if jobs:
                taken.setdefault(lane, []).extend(jobs)
            most -= len(jobs)
            waiting[lane] = places - len(jobs)
            if len(jobs) < wanted or not waiting[lane]:
                del waiting[lane]
    return taken
