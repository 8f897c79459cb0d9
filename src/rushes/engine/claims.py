"""Claims: a worker takes jobs with a fresh lease token, keeps one heartbeat row alive, and gives leases back.

When that row expires, any other worker may take its leases. The next claim stamps a new token, and what the old worker
still records (job_record.py) finds no row. The order in which a transaction locks is in `jobs/transitions.py`.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from rushes.clock import SteadyClock, SystemClock
from rushes.db.database import Database, Row, Transaction, fetch_one, fetch_row
from rushes.domain.job import Attempt, State
from rushes.engine.fair_share import RoomFor, any_number, share_out
from rushes.engine.job_record import Claim, JobRecord, attempts_of, delete_unrecorded_files, lock_leased
from rushes.errors import DatabaseUnavailable
from rushes.jobs.admission import CLAIMED_COLUMNS, claim_within, has_ready, lock_rooms, read_rooms
from rushes.jobs.lanes import change_lane
from rushes.jobs.rows import SHORT_REQUEST, job_from
from rushes.jobs.transitions import WORK_CHANNEL, move_where, record_event

BEAT = """
UPDATE workers SET alive_until = :now + :ttl_ms WHERE id = :worker_id AND alive_until >= :now RETURNING alive_until
"""

BEAT_ANEW = """
INSERT INTO workers (id, alive_until) VALUES (:worker_id, :now + :ttl_ms)
ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
RETURNING alive_until
"""

OTHER_WORKER = "SELECT id FROM workers WHERE id <> :worker_id AND alive_until >= :now LIMIT 1"

FORGET_WORKER = "DELETE FROM workers WHERE id = :worker_id"

DEAD_WORKERS = "SELECT id FROM workers WHERE alive_until < :now AND id <> :worker_id FOR UPDATE SKIP LOCKED"
"""Never the asking worker: it is alive, however long it was frozen or the clock has jumped since its heartbeat."""

ALL_WORKERS = "SELECT id FROM workers FOR UPDATE"

# Key share: no other worker can release these leases meanwhile, and a heartbeat passes while a claim waits for a lane.
ALIVE = "SELECT id, :now AS now FROM workers WHERE id = :worker_id AND alive_until >= :now FOR KEY SHARE"

LOCK_WORKER = "SELECT id FROM workers WHERE id = :worker_id FOR UPDATE"

LEASED_JOBS = f"""
SELECT id, state, lane, lease, {SHORT_REQUEST} FROM jobs WHERE worker_id = :worker_id ORDER BY seq FOR UPDATE
"""  # noqa: S608 - fixed texts only

LEASED_UNUSED = f"""
SELECT id, state, lane, lease, {SHORT_REQUEST} FROM jobs WHERE worker_id = :worker_id AND lease = :lease
ORDER BY seq FOR UPDATE
"""  # noqa: S608 - fixed texts only

_UNLEASE = """
UPDATE jobs SET lease = NULL, worker_id = NULL,
                in_slot = CASE WHEN state IN ('queued', 'rerouted') THEN 0 ELSE in_slot END
"""

UNLEASE = _UNLEASE + "WHERE worker_id = :worker_id"

UNLEASE_UNUSED = _UNLEASE + "WHERE worker_id = :worker_id AND lease = :lease"

UNLEASE_ONE = _UNLEASE + "WHERE id = :id AND lease = :lease"

_IS_UNOWNED = "lease IS NULL AND state IN ('submitting', 'running', 'storing', 'recovering')"

# What is limited and locked is chosen in a WITH of its own: left inside an IN, Postgres may choose once for every row.
CLAIM_UNOWNED = f"""
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs WHERE {_IS_UNOWNED}{{others}}
    ORDER BY seq LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lease = :lease, worker_id = :worker_id WHERE seq IN (SELECT seq FROM chosen)
RETURNING {CLAIMED_COLUMNS}
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
       CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE {_IS_UNOWNED}{{others}}) THEN 1 ELSE 0 END AS orphans
"""  # noqa: S608 - likewise

# Waited for: every job that is accepted locks its lane for a moment, so a busy lane would always be passed over.
LOCK_OPEN_LANE = f"SELECT capacity - in_use AS free FROM lanes WHERE lane = :lane AND {_IS_OPEN} FOR UPDATE"  # noqa: S608 - likewise

CLAIM_QUEUED = f"""
WITH chosen AS MATERIALIZED (
    SELECT seq FROM jobs
    WHERE lane = :lane AND state IN ('queued', 'rerouted') AND lease IS NULL AND held = 0
    ORDER BY turn, seq LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lease = :lease, worker_id = :worker_id, in_slot = 1 WHERE seq IN (SELECT seq FROM chosen)
RETURNING {CLAIMED_COLUMNS}
"""  # noqa: S608 - fixed texts only

TAKE_FROM_LANE = """
UPDATE lanes SET ready = ready - :taken, in_use = in_use + :taken,
                 turn = CASE WHEN turn < :turn THEN :turn ELSE turn END
WHERE lane = :lane
"""

FIRST_HELD = """
SELECT MIN(available_at) - :now AS in_ms FROM jobs WHERE state IN ('queued', 'rerouted') AND lease IS NULL AND held = 1
"""

IDLE_LANES = "SELECT lane FROM lanes WHERE ready = 0 AND in_use = 0 ORDER BY lane LIMIT :most"

FORGET_LANES = f"""
WITH chosen AS MATERIALIZED ({IDLE_LANES} FOR UPDATE SKIP LOCKED)
DELETE FROM lanes WHERE lane IN (SELECT lane FROM chosen) RETURNING lane
"""  # noqa: S608 - fixed texts only

MOST_LANES = 256
"""How many lanes one claim reads; the next one begins behind them."""
MOST_HOLDS = 500
"""How many holds one claim ends."""

ABORTING = "SELECT id FROM jobs WHERE worker_id = :worker_id AND abort_requested_at IS NOT NULL AND lease IS NOT NULL"

OVERDUE = "state IN ('queued', 'rerouted') AND lease IS NULL AND deadline_at <= :now"

ANY_OVERDUE = f"SELECT seq FROM jobs WHERE {OVERDUE} LIMIT 1"  # noqa: S608 - fixed texts only


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat that the database has recorded.

    `was_alive`: the one before had not expired; if it had, other workers may have taken the leases. `now_ms` is the
    database's time.
    """

    was_alive: bool
    now_ms: int


class ClaimStore:
    """The claims of one worker."""

    def __init__(
        self,
        database: Database,
        worker_id: str,
        *,
        pulse: Database | None = None,
        clock: SteadyClock | None = None,
        jobs_in_flight: int | None = None,
    ) -> None:
        """`pulse` is a way to the same database that is kept free for the heartbeat. `clock` times the retries of what
        is recorded. `jobs_in_flight` is how many jobs an account without a limit of its own may have in flight.
        """
        self._clock = SystemClock() if clock is None else clock
        self._database = database
        self._pulse = pulse or database
        self._worker_id = worker_id
        self._unused_leases: set[str] = set()
        self._jobs_in_flight = jobs_in_flight
        self._after = ""

    def listen(self, received: Callable[[str], None]) -> Callable[[], None]:
        """Call `received` with WORK_CHANNEL's notes, until what this returns is called."""
        return self._database.listen(WORK_CHANNEL, received)

    async def beat(self, ttl_s: float) -> Heartbeat:
        """Record that this worker is alive for another `ttl_s`."""

        async def body(transaction: Transaction) -> Heartbeat:
            ttl_ms = int(ttl_s * 1000)
            row = await fetch_one(transaction, BEAT, worker_id=self._worker_id, ttl_ms=ttl_ms)
            was_alive = row is not None
            if row is None:
                row = await fetch_row(transaction, BEAT_ANEW, worker_id=self._worker_id, ttl_ms=ttl_ms)
            return Heartbeat(was_alive, row["alive_until"] - ttl_ms)

        return await self._pulse.write(body)

    async def is_there_another(self) -> bool:
        """Whether another worker is alive. If the database does not answer, False."""
        try:
            return bool(await self._database.read(OTHER_WORKER, worker_id=self._worker_id))
        except DatabaseUnavailable:
            return False

    def record(self, claim: Claim) -> JobRecord:
        """The record of a claimed job."""
        return JobRecord(self._database, claim, self._clock)

    async def release_dead(self, *, all_workers: bool = False) -> int:
        """Release the leases of workers whose heartbeat has expired; of every worker if `all_workers`."""

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
        self,
        most: int,
        room_for: RoomFor = any_number,
        *,
        orphans: int | None = None,
        except_lanes: Collection[str] = (),
    ) -> Sequence[Claim]:
        """Up to `most` jobs that no worker has: first those already begun, then queued ones whose lane has room.

        At most `orphans` of them were begun before, and none of those is of `except_lanes`. Lanes get equal shares, as
        far as `room_for` lets them, and the accounts of a lane take turns.

        Returns nothing if this worker's heartbeat has expired: no other worker could reclaim such a lease. A claim
        whose answer was lost may have been made all the same; the next claim gives back the jobs of it.
        """
        orphans = most if orphans is None else min(most, orphans)
        await self._give_back_unused()
        others, lanes = _except(except_lanes)
        if not await self._can_claim_any(room_for, orphans, others, lanes):
            # A worker asks whenever one of its jobs has ended. Mostly no job waits, and that should cost no write.
            return []
        lease = f"{self._worker_id}.{secrets.token_hex(8)}"
        self._unused_leases.add(lease)
        after = self._after

        async def body(transaction: Transaction) -> tuple[list[Claim], str]:
            alive = await fetch_one(transaction, ALIVE, worker_id=self._worker_id)
            if alive is None:
                return [], after
            now_ms = alive["now"]
            ours = {"lease": lease, "worker_id": self._worker_id}
            rows = await transaction.fetch(CLAIM_UNOWNED.format(others=others), most=orphans, **lanes, **ours)
            claimed = [await _claim_from(transaction, row, lease, now_ms) for row in rows]
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
                claimed.extend(_claim_of(job, lease, (), now_ms) for job in jobs)
            return claimed, _last_to_come_first(after, found, welcome, chosen)

        claimed, self._after = await self._database.write(body)
        self._unused_leases.discard(lease)
        steady_ms = self._clock.steady_ms()
        return [replace(one, steady_ms=steady_ms) for one in claimed]

    async def _can_claim_any(self, room_for: RoomFor, orphans: int, others: str, except_lanes: dict[str, str]) -> bool:
        lanes = await self._database.read(OPEN_LANES, after=self._after, most=MOST_LANES)
        if any(room_for(row["lane"]) > 0 for row in lanes):
            return True
        if len(lanes) == MOST_LANES:
            # There may be one with room behind them.
            self._after = lanes[-1]["lane"]
        (found,) = await self._database.read(OTHERS_TO_CLAIM.format(others=others), **except_lanes)
        return bool(found["holds"] or (orphans > 0 and found["orphans"]))

    async def _give_back_unused(self) -> None:
        """By itself, not in a claim: of all these leases the jobs are locked first, and then their lanes."""
        unused = frozenset(self._unused_leases)
        if not unused:
            return

        async def body(transaction: Transaction) -> None:
            # A claim that was given up may still be under way, and holds this row until it is done.
            await transaction.fetch(LOCK_WORKER, worker_id=self._worker_id)
            jobs: list[Row] = []
            for lease in sorted(unused):
                jobs.extend(await transaction.fetch(LEASED_UNUSED, worker_id=self._worker_id, lease=lease))
            await _free_lanes(transaction, jobs)
            for lease in sorted(unused):
                await transaction.execute(UNLEASE_UNUSED, worker_id=self._worker_id, lease=lease)

        await self._database.write(body)
        self._unused_leases -= unused

    async def to_abort(self) -> Sequence[str]:
        """The ids of this worker's jobs that an operator wants to end."""
        return [row["id"] for row in await self._database.read(ABORTING, worker_id=self._worker_id)]

    def give_back_later(self, claimed: Sequence[Claim]) -> None:
        """These claims were not begun: the next claim gives back those that this worker still holds."""
        self._unused_leases.update(one.lease for one in claimed)

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

    async def next_available_s(self, room_for: RoomFor = any_number) -> float | None:
        """Seconds until the next queued job may be claimed; 0 for at once, None if none waits.

        A job that is held back counts whether or not its lane will have room then.
        """
        found = await self._database.read(OPEN_LANES, after=self._after, most=MOST_LANES)
        lanes = [row["lane"] for row in found if room_for(row["lane"]) > 0]
        rooms = await read_rooms(self._database.read, self._jobs_in_flight) if lanes else None
        for lane in lanes:
            if rooms is None or await has_ready(self._database.read, rooms, lane):
                return 0
        (held,) = await self._database.read(FIRST_HELD)
        return None if held["in_ms"] is None else max(0, held["in_ms"]) / 1000

    async def forget_idle_lanes(self, most: int) -> int:
        """Forget up to `most` lanes without jobs: callers' own keys have lanes too. Says how many they were."""
        if not await self._database.read(IDLE_LANES, most=1):
            return 0
        return len(await self._database.write(lambda transaction: transaction.fetch(FORGET_LANES, most=most)))

    async def put_back(self, claimed: Claim) -> None:
        """Give one job's lease back, so that the next claim goes on with it. Raises LeaseLost."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, claimed)
            if State(row["state"]).waits_in_lane:
                await change_lane(transaction, row["lane"], ready=1, in_use=-1)
            await delete_unrecorded_files(transaction, row)
            await transaction.execute(UNLEASE_ONE, id=row["id"], lease=claimed.lease)
            transaction.notify(WORK_CHANNEL, "")

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


async def _free_lanes(transaction: Transaction, jobs: Sequence[Row]) -> None:
    waiting = Counter(job["lane"] for job in jobs if State(job["state"]).waits_in_lane)
    for lane, count in sorted(waiting.items()):
        await change_lane(transaction, lane, ready=count, in_use=-count)
    for job in jobs:
        await delete_unrecorded_files(transaction, job)


async def _release(transaction: Transaction, worker_ids: Sequence[str]) -> int:
    """Take every lease of these workers, whose rows are locked, so that none of them is just claiming."""
    jobs: list[Row] = []
    for worker_id in worker_ids:
        jobs.extend(await transaction.fetch(LEASED_JOBS, worker_id=worker_id))
    await _free_lanes(transaction, jobs)
    for job in jobs:
        if not (state := State(job["state"])).waits_in_lane:
            await record_event(transaction, job, state, "its worker stopped; another goes on with it")
    for worker_id in worker_ids:
        await transaction.execute(UNLEASE, worker_id=worker_id)
        await transaction.execute(FORGET_WORKER, worker_id=worker_id)
    if jobs:
        transaction.notify(WORK_CHANNEL, "")
    return len(jobs)


async def _claim_from(transaction: Transaction, row: Row, lease: str, now_ms: int) -> Claim:
    return _claim_of(row, lease, await attempts_of(transaction, row["id"]), now_ms)


def _claim_of(row: Row, lease: str, attempts: tuple[Attempt, ...], now_ms: int) -> Claim:
    return Claim(job_from(row), lease, row["lane"], attempts, now_ms, request=row["short_request"])


def _except(lanes: Collection[str]) -> tuple[str, dict[str, str]]:
    """A condition that passes over jobs of these lanes, with its parameters."""
    if not lanes:
        return "", {}
    # Filled up to a power of two with the last one, so that the database prepares few different texts.
    names = sorted(lanes)
    names += [names[-1]] * ((1 << (len(names) - 1).bit_length()) - len(names))
    parameters = {f"lane_{index}": lane for index, lane in enumerate(names)}
    return f" AND lane NOT IN ({', '.join(f':{name}' for name in parameters)})", parameters
