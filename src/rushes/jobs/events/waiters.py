"""Waiting for jobs to change: all waiters of this process, woken by one listener and one slow poll.

The listener gets what this process (or, over a server database, any other) commits. A note can be lost, and a command
beside an embedded service makes none, so a poll looks at all watched jobs together: its cost follows the waiters, not
the jobs stored, and without waiters it costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import structlog

from rushes.clock import Clock
from rushes.domain.tenant import Tenant, account_of
from rushes.errors import AccountBusy, Overloaded, RushesError, TooManyWatchers
from rushes.jobs.events.store import HistoryStore, JobSnapshot, Revision
from rushes.shared_places import Holding, SharedPlace

log = structlog.get_logger(__name__)

POLL_S = 2.0
"""How long a change can go unseen whose note was lost."""


class Watching:
    """All waiters of this process. They are woken only while `run` is running."""

    def __init__(self, history: HistoryStore, clock: Clock, place: SharedPlace) -> None:
        self._history = history
        self._clock = clock
        self._place = place
        self._watches: dict[str, set[Watch]] = {}
        self._revisions: Mapping[str, Revision | None] = {}
        self._closing = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether the service is stopping."""
        return self._closing.is_set()

    @property
    def watchers(self) -> int:
        """How many wait now."""
        return self._place.held

    def watch(self, tenant: Tenant, job_id: str) -> Watch:
        """A place to wait for this job, taken at once; enter it, or give it back with `leave`.

        Raises TooManyWatchers if the account has all it may, and Overloaded if the process has, or is stopping.
        """
        if self.closed:
            raise Overloaded("the service is being restarted; try again shortly", retry_after_s=1)
        try:
            holding = self._place.take(account_of(tenant))
        except AccountBusy as error:
            raise TooManyWatchers(
                f"This account already waits for jobs in {self._place.declaration.share} requests at once, "
                "the most it may; end some, or read the job now and then",
                retry_after_s=error.retry_after_s,
            ) from error
        watch = Watch(self, self._clock, tenant, job_id, holding)
        self._watches.setdefault(job_id, set()).add(watch)
        return watch

    async def until_ended(self, tenant: Tenant, job_id: str, timeout_s: float) -> JobSnapshot:
        """The job once it has ended; as it is after `timeout_s`, or when the service stops.

        Raises JobNotFound, and what `watch` raises.
        """
        with self.watch(tenant, job_id) as watch:
            end_ms = self._clock.now_ms() + round(timeout_s * 1000)
            while True:
                snapshot = await self._history.read(tenant, job_id)
                left_s = (end_ms - self._clock.now_ms()) / 1000
                if snapshot.job.status.is_final or left_s <= 0 or self.closed:
                    return snapshot
                await watch.wait(left_s)

    async def run(self) -> None:
        """Wake the waiters of each job that has changed, until this is cancelled."""
        stop_listening = self._history.listen(self._wake)
        try:
            while True:
                await self._clock.sleep(POLL_S)
                try:
                    await self._poll()
                except RushesError as error:
                    log.warning("watching_failed", error_code=error.code)
                except Exception:
                    log.exception("watching_failed")
        finally:
            stop_listening()

    def close(self) -> None:
        """End all waiting: the service is stopping."""
        self._closing.set()
        for job_id in self._watches:
            self._wake(job_id)

    async def until_closed(self) -> None:
        """Return when the service is stopping."""
        await self._closing.wait()

    def release(self, watch: Watch) -> None:
        """A place is free again, if it was not already."""
        watches = self._watches.get(watch.job_id, set())
        if watch not in watches:
            return
        watches.remove(watch)
        if not watches:
            del self._watches[watch.job_id]
        watch.holding.release()

    def _wake(self, job_id: str) -> None:
        for watch in self._watches.get(job_id, ()):
            watch.wake()

    async def _poll(self) -> None:
        job_ids = tuple(self._watches)
        found = await self._history.revisions(job_ids) if job_ids else {}
        revisions = {job_id: found.get(job_id) for job_id in job_ids}
        for job_id, revision in revisions.items():
            # One that was not read before may have changed after its watcher has read it.
            if job_id not in self._revisions or self._revisions[job_id] != revision:
                self._wake(job_id)
        self._revisions = revisions


class Watch:
    """One waiter for one job. What happens between two waits is remembered as one change, however much it is."""

    def __init__(self, watching: Watching, clock: Clock, tenant: Tenant, job_id: str, holding: Holding) -> None:
        self._watching = watching
        self._clock = clock
        self._changed = asyncio.Event()
        self._has_changed = False
        self.tenant = tenant
        self.job_id = job_id
        self.holding = holding

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the place back; again is no error."""
        self._watching.release(self)

    @property
    def closed(self) -> bool:
        """Whether waiting has become pointless, because the service stops."""
        return self._watching.closed

    async def until_closed(self) -> None:
        """Return when waiting has become pointless."""
        await self._watching.until_closed()

    def wake(self) -> None:
        """The job may have changed."""
        self._has_changed = True
        self._changed.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether the job may have changed since the last wait; False after `timeout_s`. At once if `closed`."""
        if not self._has_changed and not self.closed:
            self._changed.clear()
            timer = asyncio.ensure_future(self._clock.sleep(timeout_s))
            timer.add_done_callback(self._wake_up)
            try:
                await self._changed.wait()
            finally:
                timer.remove_done_callback(self._wake_up)
                timer.cancel()
        has_changed, self._has_changed = self._has_changed, False
        return has_changed

    def _wake_up(self, _: object) -> None:
        self._changed.set()
