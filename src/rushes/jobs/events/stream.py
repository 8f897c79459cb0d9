"""A job's history as it happens: every move in order, progress at most once a second, and the end.

A position in it survives a restart: it is made of what the database numbers and of progress that never falls. A slow
follower gets the latest state when it is ready; nothing is kept for it meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from rushes.clock import Clock
from rushes.domain.job import Job
from rushes.errors import JobNotFound
from rushes.jobs.events.sentences import Entry, entry_of
from rushes.jobs.events.store import HistoryStore, JobSnapshot
from rushes.jobs.events.waiters import Watch

QUIET_S = 15.0
"""How often a follower gets something, if only that nothing has happened."""
PROGRESS_S = 1.0
PAGE = 100


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a follower has come: the last event's number, and the progress shown."""

    seq: int = 0
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """A line of the history; `position.percent` is the progress known by then."""

    position: Position
    entry: Entry


@dataclass(frozen=True, slots=True)
class Progressed:
    """The progress has risen to `position.percent`."""

    position: Position
    job: Job


@dataclass(frozen=True, slots=True)
class Ended:
    """The last that happens."""

    position: Position
    job: Job


@dataclass(frozen=True, slots=True)
class Quiet:
    """QUIET_S have passed: time to see whether the follower may still follow."""


Happening = Moved | Progressed | Ended | Quiet


def has_seen_the_end(snapshot: JobSnapshot, since: Position) -> bool:
    """Whether nothing can follow this position."""
    return snapshot.job.status.is_final and since.seq == snapshot.last_event


async def follow(watch: Watch, history: HistoryStore, clock: Clock, since: Position) -> AsyncGenerator[Happening, None]:
    """What has happened to the watched job after `since`, and what happens from now on, until it ends.

    A position that the job has not reached is not one of its own, and counts as none. Ends early when the watch closes.
    Raises JobNotFound if the job is deleted.
    """
    quiet_at = clock.now_ms() + _ms(QUIET_S)
    progress_at = 0
    snapshot = await history.read(watch.tenant, watch.job_id)
    if since.seq > snapshot.last_event:
        since = Position()
    while not watch.closed:
        while since.seq < snapshot.last_event:
            events = await history.events(watch.job_id, after=since.seq, until=snapshot.last_event, most=PAGE)
            if not events:
                raise JobNotFound(f"Job '{watch.job_id}' has been deleted")
            for event in events:
                is_newest = event.seq == snapshot.last_event
                percent = snapshot.job.percent(clock.now_ms()) if is_newest else 0
                since = Position(event.seq, max(since.percent, percent))
                if is_newest and snapshot.job.status.is_final:
                    yield Ended(since, snapshot.job)
                    return
                yield Moved(since, entry_of(event, snapshot))
        if snapshot.job.status.is_final:
            return
        now_ms = clock.now_ms()
        percent = snapshot.job.percent(now_ms)
        if percent > since.percent and now_ms >= progress_at:
            since = Position(since.seq, percent)
            progress_at = now_ms + _ms(PROGRESS_S)
            yield Progressed(since, snapshot.job)
        if clock.now_ms() >= quiet_at:
            quiet_at = clock.now_ms() + _ms(QUIET_S)
            yield Quiet()
        now_ms = clock.now_ms()
        wait_ms = quiet_at - now_ms
        if snapshot.job.rises_by_itself or snapshot.job.percent(now_ms) > since.percent:
            wait_ms = min(wait_ms, _ms(PROGRESS_S))
        if await watch.wait(max(0, wait_ms) / 1000):
            snapshot = await history.read(watch.tenant, watch.job_id)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
