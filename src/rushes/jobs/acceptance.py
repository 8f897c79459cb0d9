"""How new jobs are stored: those of one account and lane that come while others are being written share a transaction.

In the database they would wait for each other anyway, for the rows that count them. So the first one goes at once, and
what comes until it is on the disk goes together, with what they share changed once (docs/design/accepting.md).
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import dataclass

from rushes.accounts.limits import LIMITS_OF_BOTH, WHOLE_ACCOUNT, Limits, limits_among
from rushes.db.database import Database, Transaction
from rushes.domain.job import Job, State
from rushes.domain.tenant import Tenant
from rushes.errors import DatabaseUnavailable, Overloaded, UnusableInput
from rushes.jobs.admission import check_queue
from rushes.jobs.guardrail.store import record_rewrite
from rushes.jobs.new_job import NewJob
from rushes.jobs.rows import job_from
from rushes.jobs.transitions import accept, record_event

MOST_TOGETHER = 64
"""Jobs of one transaction: each makes those before it wait a little longer."""

KEEP_SEALED = "INSERT INTO byok_secrets (job_id, sealed) VALUES (:job_id, :sealed)"

# Only a file that is whole and not being removed; the reference keeps it until the job ends (media/input_store.py).
NEED_INPUT = """
INSERT INTO job_inputs (job_id, key) SELECT :job_id, key FROM inputs WHERE key = :key AND sha256 IS NOT NULL FOR UPDATE
"""


@dataclass(slots=True)
class _Waiting:
    new: NewJob
    stored: asyncio.Future[Job]


class Acceptances:
    """Stores new jobs durably. `defaults` limit accounts that have no limits of their own."""

    def __init__(self, database: Database, defaults: Limits) -> None:
        self._database = database
        self._defaults = defaults
        self._queues: dict[tuple[Tenant, str], list[_Waiting]] = {}
        """What waits, by tenant and lane; a queue is there while its jobs are being written."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def store(self, new: NewJob) -> Job:
        """Store a queued job; when this returns it survives loss of power.

        Raises UnusableInput, SpendLimitReached, PriceUnknown or QueueFull; nothing of it is stored then.
        """
        if new.stands_alone:
            return (await self._write([new]))[0]
        waiting = _Waiting(new, asyncio.get_running_loop().create_future())
        place = new.tenant, new.route.lane
        queue = self._queues.get(place)
        if queue is not None:
            queue.append(waiting)
        else:
            self._queues[place] = [waiting]
            # In a context of its own, for it speaks for many requests.
            task = asyncio.get_running_loop().create_task(self._write_queue(place), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiting.stored

    async def _write_queue(self, place: tuple[Tenant, str]) -> None:
        try:
            while self._queues[place]:
                queue = await self._gathered(place)
                together, self._queues[place] = queue[:MOST_TOGETHER], queue[MOST_TOGETHER:]
                await self._settle(together)
        finally:
            for left in self._queues.pop(place):
                left.stored.cancel()

    async def _gathered(self, place: tuple[Tenant, str]) -> list[_Waiting]:
        """What waits there once a pass of the event loop has brought no further job, or there are enough."""
        queue, before = self._queues[place], 0
        while before < len(queue) < MOST_TOGETHER:
            before = len(queue)
            await asyncio.sleep(0)
        return queue

    async def _settle(self, together: list[_Waiting]) -> None:
        try:
            jobs = await self._write([one.new for one in together])
        except Exception as error:  # noqa: BLE001 - each request gets it, whatever it is
            if len(together) == 1 or isinstance(error, (DatabaseUnavailable, Overloaded)):
                for one in together:
                    if not one.stored.done():
                        one.stored.set_exception(error)
            else:
                # One of them was refused, and the others must not suffer for it.
                await asyncio.gather(*(self._settle([one]) for one in together))
        else:
            for one, job in zip(together, jobs, strict=True):
                if not one.stored.done():
                    one.stored.set_result(job)

    async def _write(self, new: list[NewJob]) -> list[Job]:
        return await self._database.write(lambda transaction: insert(transaction, new, self._defaults))


async def insert(transaction: Transaction, new: list[NewJob], defaults: Limits) -> list[Job]:
    """Store queued jobs of one tenant and lane. Raises what `Acceptances.store` raises, for any of them."""
    limits = {}
    for one in new:
        if one.sealed_secret is not None:
            await transaction.execute(KEEP_SEALED, job_id=one.id, sealed=one.sealed_secret)
        for _, media in sorted({media.key: media for media in one.request.media}.items()):
            if not await transaction.execute(NEED_INPUT, job_id=one.id, key=media.key):
                message = f"{media.role}: the file was removed before the job began; send it again"
                raise UnusableInput(message, media.role)
        if one.key_id not in limits:
            limits[one.key_id] = await transaction.fetch(LIMITS_OF_BOTH, account_id=one.account_id, key_id=one.key_id)
    rows = await accept(transaction, new, limits)
    for one, row in zip(new, rows, strict=True):
        if one.rewrite is not None:
            await record_event(transaction, row, State.QUEUED, one.rewrite.cause)
            await record_rewrite(transaction, row, one.rewrite)
    for key_id, found in limits.items():
        of_account = limits_among(found, WHOLE_ACCOUNT).over(defaults)
        await check_queue(transaction, new[0].tenant, key_id, of_account, limits_among(found, key_id))
    return [job_from(row) for row in rows]
