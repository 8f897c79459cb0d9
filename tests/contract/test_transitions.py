"""Legal moves are made and illegal ones are refused, on every kind of database."""

from __future__ import annotations

import itertools

import pytest

from rushes.db.database import Row, Transaction, fetch_row
from rushes.domain.job import MOVES, State
from rushes.jobs.rows import LOCK_ANY_JOB
from rushes.jobs.transitions import IllegalMove, move, move_where
from tests.contract.database_harness import Desk
from tests.fixtures.new_jobs import new_job

LEGAL = [(was, to) for was, ends in MOVES.items() for to in sorted(ends)]
ILLEGAL = [pair for pair in itertools.product(State, State) if pair not in LEGAL]


def way_to(state: State) -> list[State]:
    """The shortest chain of legal moves from `queued` to a state."""
    ways = {State.QUEUED: [State.QUEUED]}
    for was in (queue := [State.QUEUED]):
        for to in sorted(MOVES[was]):
            if to not in ways:
                ways[to] = [*ways[was], to]
                queue.append(to)
    return ways[state]


async def moved(desk: Desk, to: State) -> None:
    """Move the job on, as its row is now."""

    async def body(transaction: Transaction) -> None:
        row: Row = await fetch_row(transaction, LOCK_ANY_JOB, id="job_1")
        await move(transaction, row, to, "for a test")

    await desk.harness.database.write(body)


async def job_in(desk: Desk, state: State) -> None:
    await desk.jobs.create(new_job())
    for to in way_to(state)[1:]:
        await moved(desk, to)


@pytest.mark.parametrize(("was", "to"), LEGAL, ids=lambda state: state.value)
async def test_a_legal_move_sets_what_belongs_to_the_new_state(desk: Desk, was: State, to: State) -> None:
    await job_in(desk, was)
    await moved(desk, to)
    (row,) = await desk.rows("SELECT * FROM jobs")
    assert (row["state"], row["status"]) == (to.value, to.status.value)
    if to.is_final:
        assert (row["lease"], row["worker_id"], row["in_slot"]) == (None, None, 0)
        assert row["completed_at"] is not None
    assert (row["cancelled_at"] is not None) == (to is State.CANCELLED)
    (event,) = await desk.rows("SELECT state, cause FROM job_events ORDER BY seq DESC LIMIT 1")
    assert event == {"state": to.value, "cause": "for a test"}
    counts = await desk.rows("SELECT status, jobs FROM job_counts WHERE jobs <> 0")
    assert counts == [{"status": to.status.value, "jobs": 1}]


async def test_every_illegal_move_is_refused_and_changes_nothing(desk: Desk) -> None:
    for was in State:
        await desk.jobs.create(new_job())
        for to in way_to(was)[1:]:
            await moved(desk, to)
        before = await desk.everything()
        for to in (to for one, to in ILLEGAL if one is was):
            with pytest.raises(IllegalMove, match=f"cannot move from {was} to {to}"):
                await moved(desk, to)
            assert await desk.everything() == before
        for table in ("job_events", "attempts", "unsettled_jobs", "jobs"):
            await desk.harness.database.write(lambda transaction, sql=f"DELETE FROM {table}": transaction.execute(sql))  # type: ignore[misc]


@pytest.mark.parametrize(("was", "to"), ILLEGAL, ids=lambda state: state.value)
async def test_an_illegal_bulk_move_is_refused(desk: Desk, was: State, to: State) -> None:
    async def body(transaction: Transaction) -> None:
        await move_where(transaction, "1 = 1", to, "for a test", was=(was,), most=10, order="seq")

    with pytest.raises(IllegalMove):
        await desk.harness.database.write(body)


async def test_a_row_that_is_out_of_date_moves_nothing(desk: Desk) -> None:
    await job_in(desk, State.SUBMITTING)

    async def body(transaction: Transaction) -> None:
        row = await fetch_row(transaction, LOCK_ANY_JOB, id="job_1")
        await move(transaction, {**row, "state": State.QUEUED}, State.CANCELLED, "for a test")

    before = await desk.everything()
    with pytest.raises(IllegalMove, match="is no longer queued"):
        await desk.harness.database.write(body)
    assert await desk.everything() == before


async def test_a_bulk_move_takes_the_jobs_of_its_condition_and_no_others(desk: Desk) -> None:
    for number, lane in enumerate(["a", "a", "b", "c"], 1):
        await desk.jobs.create(new_job(number, lane=lane))

    async def body(transaction: Transaction) -> list[str]:
        moved = await move_where(
            transaction, "lane IN ('a', 'b')", State.EXPIRED, "expired", was=(State.QUEUED,), most=2, order="seq"
        )
        return [row["id"] for row in moved]

    assert sorted(await desk.harness.database.write(body)) == ["job_1", "job_2"]
    assert sorted(await desk.harness.database.write(body)) == ["job_3"]
    assert [row["state"] for row in await desk.rows("SELECT state FROM jobs ORDER BY seq")] == [
        "expired", "expired", "expired", "queued",
    ]  # fmt: skip
    await desk.check_books()
