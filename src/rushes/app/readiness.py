"""What works in this process, by part: it answers, it accepts jobs, it stores videos, it runs jobs.

A process that answers callers is ready if it accepts jobs: without storage they wait for it. A worker is ready if
everything works that it does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from rushes.api.process_status import ACCEPTS, ANSWERS, STORES, WORKS, Condition
from rushes.app.foundation import Foundation
from rushes.app.role import Role
from rushes.db.migrate import outgrown
from rushes.engine.worker import Worker
from rushes.errors import RushesError, StorageUnavailable

LEAST_FREE_BYTES: Final = 64 * 1024**2
CHECK_S: Final = 4.0
"""How long a part may take to show that it works: less than proxies wait."""
STOPPING: Final = "the service is stopping; its unfinished jobs go on at its next start"
LEASES_EXPIRED: Final = "this worker's leases expired, since its heartbeats did not reach the database in time"
CANNOT_STORE: Final = "this worker cannot store videos, so it claims no jobs; its log names the reason"
DATABASE_SLOW: Final = "the database did not answer in time"
STORAGE_SLOW: Final = "the media storage did not answer in time"

Gauges = Mapping[tuple[str, str], float]


class Readiness:
    """One for each process; `worker` is None in one that runs no jobs."""

    def __init__(self, base: Foundation, role: Role, worker: Worker | None) -> None:
        self._base = base
        self._role = role
        self._worker = worker
        self._stopping = False

    def announce_stop(self) -> None:
        """Say from now on that the process is not ready."""
        self._stopping = True

    async def condition(self) -> Condition:
        """What works now. Parts are asked at the same time, each for a few seconds at most."""
        answers, accepts, stores = await asyncio.gather(
            _trouble_of(self._answers, DATABASE_SLOW),
            _trouble_of(self._accepts, DATABASE_SLOW),
            _trouble_of(self._stores, STORAGE_SLOW),
        )
        parts = {ANSWERS: answers, ACCEPTS: answers or accepts, STORES: stores}
        if self._worker is not None:
            parts[WORKS] = None if self._worker.has_leases else LEASES_EXPIRED
        needed = (ANSWERS, ACCEPTS) if self._role.answers else (ANSWERS, WORKS, ACCEPTS, STORES)
        trouble = next((parts[part] for part in needed if parts[part] is not None), None)
        return Condition(STOPPING if self._stopping else trouble, parts)

    async def gauges(self) -> Gauges:
        """The same as numbers for metrics, and how much room the data directory's disk has."""
        accepts, stores, free_bytes = await asyncio.gather(
            _trouble_of(self._takes_changes, DATABASE_SLOW),
            _trouble_of(self._stores, STORAGE_SLOW),
            asyncio.to_thread(self._free_bytes),
        )
        return {
            ("rushes_database_writable", "Whether the database takes changes"): accepts is None,
            ("rushes_storage_up", "Whether this process can store videos, as far as it knows"): stores is None,
            ("rushes_data_dir_free_bytes", "Free bytes on the disk of the data directory"): free_bytes,
        }

    async def _answers(self) -> None:
        too_old = await outgrown(self._base.pulse)
        if too_old is not None:
            raise RushesError(too_old)

    async def _accepts(self) -> None:
        if not self._base.shared:
            # The database is in there.
            await self._check_directory()
        await self._takes_changes()

    async def _takes_changes(self) -> None:
        await self._base.write_probe.check()

    async def _stores(self) -> None:
        await self._base.storage.check()
        await self._check_directory()
        if self._worker is not None and not self._worker.can_store:
            raise StorageUnavailable(CANNOT_STORE)

    async def _check_directory(self) -> None:
        if not os.access(self._base.directory.root, os.W_OK):
            raise StorageUnavailable("the data directory cannot be written")
        free_bytes = await asyncio.to_thread(self._free_bytes)
        if free_bytes < LEAST_FREE_BYTES:
            raise StorageUnavailable(f"the disk of the data directory has only {free_bytes // 1024**2} MiB left")

    def _free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self._base.directory.root).free
        except OSError:
            return 0


async def _trouble_of(check: Callable[[], Awaitable[None]], slow: str) -> str | None:
    try:
        async with asyncio.timeout(CHECK_S):
            await check()
    except RushesError as error:
        return error.message
    except TimeoutError:
        return slow
    return None
