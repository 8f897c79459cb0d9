"""What callers watch, on every kind of database."""

from __future__ import annotations

import pytest

from rushes.domain.job import AttemptState, State
from rushes.domain.progress import Submission
from rushes.domain.tenant import Tenant
from rushes.errors import JobNotFound
from rushes.jobs.events.store import REVISIONS_AT_ONCE, HistoryStore
from tests.contract.database_harness import Desk
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import stored_video
from tests.fixtures.service import until


def history_of(desk: Desk) -> HistoryStore:
    return HistoryStore(desk.harness.database)


async def moved(desk: Desk) -> None:
    """Two jobs, one of which is submitted."""
    await desk.jobs.create(new_job(1))
    claimed = await desk.claim_one()
    await desk.jobs.create(new_job(2))
    await desk.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)


async def test_a_look_is_the_job_and_its_own_last_event(desk: Desk) -> None:
    await moved(desk)
    history = history_of(desk)
    look = await history.read(ACCOUNT, "job_1")
    events = await history.newest_events("job_1", 10)
    assert look.job == await desk.job("job_1")
    assert look.last_event == events[-1].seq
    assert [event.state for event in events] == [State.QUEUED, State.SUBMITTING]
    assert events[-1].at == desk.harness.now_ms()


async def test_anothers_job_is_not_to_be_looked_at(desk: Desk) -> None:
    await moved(desk)
    with pytest.raises(JobNotFound):
        await history_of(desk).read(Tenant("acct_2"), "job_1")


async def test_events_come_in_pages(desk: Desk) -> None:
    await moved(desk)
    history = history_of(desk)
    first, second = await history.events("job_1", after=0, until=10**9, most=10)
    assert await history.events("job_1", after=0, until=10**9, most=1) == [first]
    assert await history.events("job_1", after=first.seq, until=second.seq, most=10) == [second]
    assert await history.events("job_1", after=first.seq, until=second.seq - 1, most=10) == []
    assert await history.newest_events("job_1", 1) == [second]


async def test_attempts_are_told_without_their_handles(desk: Desk) -> None:
    await moved(desk)
    (attempt,) = await history_of(desk).attempts("job_1")
    assert (attempt.id, attempt.n, attempt.state, attempt.problem) == ("att_1", 1, AttemptState.INTENT, None)
    assert not hasattr(attempt, "handle")


async def test_a_mark_changes_with_every_move_and_report_and_with_nothing_else(desk: Desk) -> None:
    history = history_of(desk)
    await desk.jobs.create(new_job(1, reports_progress=True))
    seen = [await history.revisions(["job_1"])]
    claimed = await desk.claim_one()
    assert await history.revisions(["job_1"]) == seen[-1]
    leases = desk.leases()
    for step in (
        leases.record(claimed).intend(attempt_id="att_1", part=0, n=1),
        leases.record(claimed).report(40),
        leases.record(claimed).accept("att_1", Submission({})),
        leases.record(claimed).begin_storing(),
        leases.record(claimed).succeed([stored_video()], "stored"),
    ):
        await step
        marks = await history.revisions(["job_1"])
        assert marks not in seen
        assert await history.revisions(["job_1"]) == marks
        seen.append(marks)


@pytest.mark.parametrize("count", [1, 2, 3, REVISIONS_AT_ONCE, REVISIONS_AT_ONCE + 1])
async def test_any_number_of_jobs_can_be_marked(desk: Desk, count: int) -> None:
    await desk.jobs.create(new_job(0))
    await desk.jobs.create(new_job(count - 1 or "other"))
    marks = await history_of(desk).revisions([f"job_{number}" for number in range(count)])
    assert marks.keys() == {"job_0", f"job_{count - 1}"}


async def test_listeners_hear_of_each_job_that_changes(desk: Desk) -> None:
    heard: list[str] = []
    stop = history_of(desk).listen(heard.append)
    await moved(desk)
    # A server's notes take their way.
    await until(lambda: len(heard) >= 3)
    stop()
    await desk.jobs.cancel(ACCOUNT, "job_2")
    assert heard == ["job_1", "job_2", "job_1"]
