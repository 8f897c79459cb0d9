"""Who has a job: a worker claims jobs with a fresh lease token, keeps one heartbeat row alive, gives back what it has.

When that row runs out, its leases are anyone's; the next claim stamps a new token, and whatever the old worker still
records (job_record.py) finds no row. In which order a transaction locks is in jobs/transitions.py.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence

from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.domain.job import State
from rushes.engine.fair_share import RoomFor, any_number, share_out
from rushes.engine.job_record import Claimed, StepStore, attempts_of, doom_unrecorded, lock_leased
from rushes.jobs.admission import claim_within, has_ready, lock_rooms, read_rooms
from rushes.jobs.lanes import change_lane
from rushes.jobs.rows import job_from
from rushes.jobs.transitions import WORK_CHANNEL, move_where, record_event

BEAT = "UPDATE workers SET alive_until = :now + :ttl_ms WHERE id = :worker_id AND alive_until >= :now"

BEAT_ANEW = """
INSERT INTO workers (id, alive_until) VALUES (:worker_id, :now + :ttl_ms)
ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
"""

FORGET_WORKER = "DELETE FROM workers WHERE id = :worker_id"

DEAD_WORKERS = "SELECT id FROM workers WHERE alive_until < :now AND id <> :worker_id FOR UPDATE SKIP LOCKED"
"""Never ourselves: who asks is alive, however long it was frozen or the clock has jumped since its last heartbeat."""

ALL_WORKERS = "SELECT id FROM workers FOR UPDATE"

# Key share: it keeps out whoever would release our leases, and lets the heartbeat pass while a claim waits for a lane.
ALIVE = "SELECT id FROM workers WHERE id = :worker_id AND alive_until >= :now FOR KEY SHARE"

LOCK_WORKER = "SELECT id FROM workers WHERE id = :worker_id FOR UPDATE"

LEASED_JOBS = "SELECT id, state, lane, lease, request FROM jobs WHERE worker_id = :worker_id ORDER BY seq FOR UPDATE"

LEASED_IN_VAIN = """
SELECT id, state, lane, lease, request FROM jobs WHERE worker_id = :worker_id AND lease = :lease ORDER BY seq FOR UPDATE
"""

_UNLEASE = """
UPDATE jobs SET lease = NULL, worker_id = NULL,
                in_slot = CASE WHEN state IN ('queued', 'rerouted') THEN 0 ELSE in_slot END
"""

UNLEASE = _UNLEASE + "WHERE worker_id = :worker_id"

UNLEASE_IN_VAIN = _UNLEASE + "WHERE worker_id = :worker_id AND lease = :lease"

UNLEASE_ONE = _UNLEASE + "WHERE id = :id AND lease = :lease"

_IS_UNOWNED = "lease IS NULL AND state IN ('submitting', 'running', 'storing', 'recovering')"

# What is limited and locked is chosen in a WITH of its own: left inside an IN, Postgres may choose once for every row.
CLAIM_UNOWNED = f"""
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs WHERE {_IS_UNOWNED}
    ORDER BY seq LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lease = :lease, worker_id = :worker_id WHERE seq IN (SELECT seq FROM chosen) RETURNING *
"""  # noqa: S608 - fixed texts only

_IS_OPEN = "ready > 0 AND (capacity IS NULL OR in_use < capacity)"

# Beginning behind the one that came first in the last claim, so that each comes first in its turn.
OPEN_LANES = f"""
SELECT lane FROM lanes
WHERE {_IS_OPEN} AND EXISTS (SELECT 1 FROM jobs WHERE jobs.lane = lanes.lane AND state IN ('queued', 'rerouted')
                             AND lease IS NULL AND held = 0)
ORDER BY CASE WHEN lane > :after THEN 0 ELSE 1 END, lane LIMIT :most
"""  # noqa: S608 - fixed texts only

_HOLD_IS_OVER = "state IN ('queued', 'rerouted') AND lease IS NULL AND held = 1 AND available_at <= :now"

END_HOLDS = f"""
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs WHERE {_HOLD_IS_OVER} ORDER BY available_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET held = 0 WHERE seq IN (SELECT seq FROM chosen)
"""  # noqa: S608 - likewise

OTHERS_TO_CLAIM = f"""
SELECT CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE {_HOLD_IS_OVER}) THEN 1 ELSE 0 END AS holds,
       CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE {_IS_UNOWNED}) THEN 1 ELSE 0 END AS orphans
"""  # noqa: S608 - likewise

# Waited for: every job that is accepted locks its lane for a moment, so a busy lane would be passed over for ever.
LOCK_OPEN_LANE = f"SELECT capacity - in_use AS free FROM lanes WHERE lane = :lane AND {_IS_OPEN} FOR UPDATE"  # noqa: S608 - likewise

CLAIM_QUEUED = """
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs
    WHERE lane = :lane AND state IN ('queued', 'rerouted') AND lease IS NULL AND held = 0
    ORDER BY turn, seq LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lease = :lease, worker_id = :worker_id, in_slot = 1 WHERE seq IN (SELECT seq FROM chosen) RETURNING *
"""

TAKE_FROM_LANE = """
UPDATE lanes SET ready = ready - :taken, in_use = in_use + :taken,
                 turn = CASE WHEN turn < :turn THEN :turn ELSE turn END
WHERE lane = :lane
"""

FIRST_HELD = """
SELECT MIN(available_at) AS at FROM jobs WHERE state IN ('queued', 'rerouted') AND lease IS NULL AND held = 1
"""

IDLE_LANES = "SELECT lane FROM lanes WHERE ready = 0 AND in_use = 0 ORDER BY lane LIMIT :most"

FORGET_LANES = f"""
WITH chosen AS MATERIALIZED ({IDLE_LANES} FOR UPDATE SKIP LOCKED)
DELETE FROM lanes WHERE lane IN (SELECT lane FROM chosen) RETURNING lane
"""  # noqa: S608 - fixed texts only

MOST_LANES = 256
"""Of how many lanes one claim takes notice; the next one begins behind them."""
MOST_HOLDS = 500
"""How many holds one claim ends."""

ABORTING = "SELECT id FROM jobs WHERE worker_id = :worker_id AND abort_requested_at IS NOT NULL AND lease IS NOT NULL"

OVERDUE = "state IN ('queued', 'rerouted') AND lease IS NULL AND deadline_at <= :now"

ANY_OVERDUE = f"SELECT seq FROM jobs WHERE {OVERDUE} LIMIT 1"  # noqa: S608 - fixed texts only


class LeaseStore(StepStore):
    """What one worker does with jobs. Methods that take a Claimed raise LeaseLost if it is no longer ours."""

    def __init__(
        self,
        database: Database,
        worker_id: str,
        *,
        pulse: Database | None = None,
        jobs_in_flight: int | None = None,
    ) -> None:
        """`pulse` is a way to the same database that is kept free for the heartbeat; `jobs_in_flight` is how many jobs
        an account may have in flight that has no such limit of its own.
        """
        super().__init__(database)
        self._pulse = pulse or database
        self._worker_id = worker_id
        self._doubtful: set[str] = set()
        self._jobs_in_flight = jobs_in_flight
        self._after = ""

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call `heard` with WORK_CHANNEL's notes, until what this returns is called."""
        return self._database.listen(WORK_CHANNEL, heard)

    async def beat(self, ttl_s: float) -> bool:
        """Stay alive for another `ttl_s`, and say whether we were until now: if not, our leases may be another's."""

        async def body(transaction: Transaction) -> bool:
            ttl_ms = int(ttl_s * 1000)
            if await transaction.execute(BEAT, worker_id=self._worker_id, ttl_ms=ttl_ms):
                return True
            await transaction.execute(BEAT_ANEW, worker_id=self._worker_id, ttl_ms=ttl_ms)
            return False

        return await self._pulse.write(body)

    async def release_dead(self, *, all_workers: bool = False) -> int:
        """Take the leases from others that stopped beating; from every worker if the caller knows that none runs."""

        async def body(transaction: Transaction) -> int:
            if all_workers:
                workers = await transaction.fetch(ALL_WORKERS)
            else:
                workers = await transaction.fetch(DEAD_WORKERS, worker_id=self._worker_id)
            return await _release(transaction, sorted(worker["id"] for worker in workers))

        return await self._database.write(body)

    async def leave(self) -> None:
        """Give every lease back, so that another worker can go on at once; for a worker that stops in good order."""

        async def body(transaction: Transaction) -> None:
            # A claim that was given up may still be under way, and holds this row until it is done.
            await transaction.fetch(LOCK_WORKER, worker_id=self._worker_id)
            await _release(transaction, [self._worker_id])

        await self._database.write(body)

    async def claim(
        self, most: int, room_for: RoomFor = any_number, *, orphans: int | None = None
    ) -> Sequence[Claimed]:
        """Up to `most` jobs that nobody works on: first those already begun, then queued ones whose lane has room.

        Of those begun there are `orphans` at most, if that is said. Lanes get equal shares of what there is, as far as
        `room_for` lets them, and of a lane its accounts take turns.
        None while our heartbeat has run out: a lease without one would never be taken from us, should we die. A claim
        whose answer was lost may have been made all the same; the next one gives back what nobody here knows of.
        """
        orphans = most if orphans is None else min(most, orphans)
        await self._give_back_doubtful()
        if not await self._can_claim_any(room_for, orphans):
            # A worker looks whenever a job of its own has ended; mostly in vain, and that should cost no write.
            return []
        lease = f"{self._worker_id}.{secrets.token_hex(8)}"
        self._doubtful.add(lease)
        after = self._after

        async def body(transaction: Transaction) -> tuple[list[Claimed], str]:
            if await fetch_one(transaction, ALIVE, worker_id=self._worker_id) is None:
                return [], after
            ours = {"lease": lease, "worker_id": self._worker_id}
            rows = await transaction.fetch(CLAIM_UNOWNED, most=orphans, **ours)
            claimed = [await _claimed(transaction, row, lease) for row in rows]
            await transaction.execute(END_HOLDS, most=MOST_HOLDS)
            rooms = await lock_rooms(transaction, self._jobs_in_flight)
            found = [row["lane"] for row in await transaction.fetch(OPEN_LANES, after=after, most=MOST_LANES)]
            welcome = [lane for lane in found if room_for(lane) > 0]
            chosen = welcome[: most - len(claimed)]
            room = await _lock_lanes(transaction, chosen, room_for, most)

            async def take(lane: str, most: int) -> list[Row]:
                if rooms is None:
                    return list(await transaction.fetch(CLAIM_QUEUED, lane=lane, most=most, **ours))
                return await claim_within(transaction, rooms, lane=lane, most=most, **ours)

            taken = await share_out(most - len(claimed), room, take)
            for lane, jobs in sorted(taken.items()):
                turn = max(job["turn"] for job in jobs)
                await transaction.execute(TAKE_FROM_LANE, lane=lane, taken=len(jobs), turn=turn)
            for jobs in taken.values():
                jobs.sort(key=lambda job: (job["turn"], job["seq"]))
                claimed.extend(Claimed(job_from(job), lease, job["lane"], ()) for job in jobs)
            return claimed, _last_to_come_first(after, found, welcome, chosen)

        claimed, self._after = await self._database.write(body)
        self._doubtful.discard(lease)
        return claimed

    async def _can_claim_any(self, room_for: RoomFor, orphans: int) -> bool:
        lanes = await self._database.read(OPEN_LANES, after=self._after, most=MOST_LANES)
        if any(room_for(row["lane"]) > 0 for row in lanes):
            return True
        if len(lanes) == MOST_LANES:
            # There may be one with room behind them.
            self._after = lanes[-1]["lane"]
        (others,) = await self._database.read(OTHERS_TO_CLAIM)
        return bool(others["holds"] or (orphans > 0 and others["orphans"]))

    async def _give_back_doubtful(self) -> None:
        """By itself, not in a claim: of all these leases the jobs are locked first, and then their lanes."""
        doubtful = frozenset(self._doubtful)
        if not doubtful:
            return

        async def body(transaction: Transaction) -> None:
            # A claim that was given up may still be under way, and holds this row until it is done.
            await transaction.fetch(LOCK_WORKER, worker_id=self._worker_id)
            jobs: list[Row] = []
            for lease in sorted(doubtful):
                jobs.extend(await transaction.fetch(LEASED_IN_VAIN, worker_id=self._worker_id, lease=lease))
            await _put_down(transaction, jobs)
            for lease in sorted(doubtful):
                await transaction.execute(UNLEASE_IN_VAIN, worker_id=self._worker_id, lease=lease)

        await self._database.write(body)
        self._doubtful -= doubtful

    async def to_abort(self) -> Sequence[str]:
        """Which of our jobs an operator wants to end."""
        return [row["id"] for row in await self._database.read(ABORTING, worker_id=self._worker_id)]

    def disown(self, claimed: Sequence[Claimed]) -> None:
        """Claimed, and not begun: the next claim gives back what of it is still ours."""
        self._doubtful.update(one.lease for one in claimed)

    async def expire_overdue(self, most: int) -> int:
        """End up to `most` jobs that waited in the queue beyond their deadline, and say how many they were."""
        if not await self._database.read(ANY_OVERDUE):
            return 0

        async def body(transaction: Transaction) -> int:
            error = "The job was not started within its time limit, because others were before it; nothing was charged"
            ended = await move_where(
                transaction,
                OVERDUE,
                State.EXPIRED,
                "expired",
                was=(State.QUEUED, State.REROUTED),
                most=most,
                order="deadline_at",
                error_code="expired",
                error=error,
            )
            return len(ended)

        return await self._database.write(body)

    async def next_available_at(self, room_for: RoomFor = any_number) -> int | None:
        """When the next queued job may be claimed, in milliseconds; 0 for at once, None if none waits.

        A job that is held back counts whether or not its lane will have room then.
        """
        found = await self._database.read(OPEN_LANES, after=self._after, most=MOST_LANES)
        lanes = [row["lane"] for row in found if room_for(row["lane"]) > 0]
        rooms = await read_rooms(self._database.read, self._jobs_in_flight) if lanes else None
        for lane in lanes:
            if rooms is None or await has_ready(self._database.read, rooms, lane):
                return 0
        (held,) = await self._database.read(FIRST_HELD)
        at: int | None = held["at"]
        return at

    async def forget_idle_lanes(self, most: int) -> int:
        """Forget up to `most` lanes without jobs: callers' own keys have lanes too. Says how many they were."""
        if not await self._database.read(IDLE_LANES, most=1):
            return 0
        return len(await self._database.write(lambda transaction: transaction.fetch(FORGET_LANES, most=most)))

    async def put_back(self, claimed: Claimed) -> None:
        """Give one job's lease back, for the next claim to go on with."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
            if State(row["state"]).waits_in_lane:
                await change_lane(transaction, row["lane"], ready=1, in_use=-1)
            await doom_unrecorded(transaction, row)
            await transaction.execute(UNLEASE_ONE, id=row["id"], lease=claimed.lease)

        await self._database.write(body)


async def _lock_lanes(transaction: Transaction, lanes: Sequence[str], room_for: RoomFor, most: int) -> dict[str, int]:
    """How many jobs each of these lanes has room for, here and in itself; in their order, and locked by their names."""
    opened = {lane: await fetch_one(transaction, LOCK_OPEN_LANE, lane=lane) for lane in sorted(lanes)}
    room: dict[str, int] = {}
    for lane in lanes:
        row = opened[lane]
        if row is not None:
            room[lane] = min(room_for(lane), most if row["free"] is None else row["free"])
    return room


def _last_to_come_first(after: str, found: Sequence[str], welcome: Sequence[str], chosen: Sequence[str]) -> str:
    """The lane behind which the next claim begins, so that each comes first in its turn."""
    if len(chosen) < len(welcome):
        # The rest of them got no part of this claim.
        return chosen[-1] if chosen else after
    if len(found) == MOST_LANES:
        # There may be more behind them.
        return found[-1]
    return found[0] if found else after


async def _put_down(transaction: Transaction, jobs: Sequence[Row]) -> None:
    waiting = Counter(job["lane"] for job in jobs if State(job["state"]).waits_in_lane)
    for lane, count in sorted(waiting.items()):
        await change_lane(transaction, lane, ready=count, in_use=-count)
    for job in jobs:
        await doom_unrecorded(transaction, job)


async def _release(transaction: Transaction, worker_ids: Sequence[str]) -> int:
    """Take every lease of these workers, whose rows are locked, so that none of them is just claiming."""
    jobs: list[Row] = []
    for worker_id in worker_ids:
        jobs.extend(await transaction.fetch(LEASED_JOBS, worker_id=worker_id))
    await _put_down(transaction, jobs)
    for job in jobs:
        if not (state := State(job["state"])).waits_in_lane:
            await record_event(transaction, job, state, "its worker stopped; another goes on with it")
    for worker_id in worker_ids:
        await transaction.execute(UNLEASE, worker_id=worker_id)
        await transaction.execute(FORGET_WORKER, worker_id=worker_id)
    if jobs:
        transaction.notify(WORK_CHANNEL, "")
    return len(jobs)


async def _claimed(transaction: Transaction, row: Row, lease: str) -> Claimed:
    return Claimed(job_from(row), lease, row["lane"], await attempts_of(transaction, row["id"]))
