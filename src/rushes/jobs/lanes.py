"""Lanes: the jobs that share a model and a credential, how many of them wait and how many hold a slot.

A lane's row is locked by the transaction that changes it. Several lanes are locked in the order of their names.
"""

from __future__ import annotations

from dataclasses import dataclass

from rushes.db.database import Row, Transaction, fetch_one
from rushes.domain.job import State

# An account's next job in a lane comes one turn after its last that waits there, or after the last that was claimed
# (`lane_turn`). The lane's row is locked by then, so the account takes no turn twice.
NEXT_TURN = """
SELECT COALESCE((SELECT MAX(turn) FROM jobs WHERE lane = :lane AND account_id = :account_id
                 AND state IN ('queued', 'rerouted') AND lease IS NULL AND turn > :lane_turn), :lane_turn) + 1 AS turn
"""

ENTER_LANE = """
INSERT INTO lanes (lane, capacity, ready, in_use) VALUES (:lane, :capacity, :jobs, 0)
ON CONFLICT (lane) DO UPDATE SET ready = lanes.ready + excluded.ready, capacity = excluded.capacity
RETURNING turn
"""

CHANGE_LANE = """
UPDATE lanes SET ready = ready + :ready, in_use = in_use + :in_use WHERE lane = :lane RETURNING capacity, ready
"""


@dataclass(frozen=True, slots=True)
class Place:
    """How one job counts in its lane: 1 where it waits, or holds a slot, and 0 elsewhere."""

    ready: int
    in_use: int

    @classmethod
    def of(cls, job: Row) -> Place:
        """The place of the job in this row of `jobs`."""
        in_use = int(bool(job["in_slot"]))
        return cls(int(State(job["state"]).waits_in_lane and not in_use), in_use)


async def enter_lane(transaction: Transaction, lane: str, capacity: int | None, jobs: int = 1) -> int:
    """Count so many more waiting jobs. Returns the turn that the lane has come to."""
    (entered,) = await transaction.fetch(ENTER_LANE, lane=lane, capacity=capacity, jobs=jobs)
    turn: int = entered["turn"]
    return turn


async def change_lane(transaction: Transaction, lane: str, *, ready: int, in_use: int) -> bool:
    """Change the counters of a lane. Returns whether a slot was freed for which another job waits."""
    row = await fetch_one(transaction, CHANGE_LANE, lane=lane, ready=ready, in_use=in_use)
    return in_use < 0 and row is not None and row["capacity"] is not None and row["ready"] > 0


async def next_turn(transaction: Transaction, lane: str, account_id: str, lane_turn: int) -> int:
    """The turn of an account's next job in a lane that it has just entered."""
    (row,) = await transaction.fetch(NEXT_TURN, lane=lane, account_id=account_id, lane_turn=lane_turn)
    turn: int = row["turn"]
    return turn
