"""The timeline: what happened, and what is waited for, in sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rushes.domain.job import MOVES, AttemptState, Job, Problem, State
from rushes.domain.progress import Submission
from rushes.jobs.events.sentences import MOST_ENTRIES, Timeline, entry_of, read_timeline, what_now
from rushes.jobs.events.store import Event, HistoryStore, JobSnapshot
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import ACCOUNT


async def timeline_of(engine: Engine) -> Timeline:
    return await read_timeline(HistoryStore(engine.database), ACCOUNT, "job_1", engine.clock.now_ms())


def messages(timeline: Timeline) -> list[str]:
    return [entry.message for entry in timeline.entries]


async def test_a_whole_life_is_told(engine: Engine) -> None:
    engine.provider.submits = [Submission({"name": "a"}, provider_video_id="vid_7")]
    await engine.create_and_carry()
    timeline = await timeline_of(engine)
    assert messages(timeline) == [
        "accepted",
        "about to be submitted to 'scripted/clip'",
        "accepted by 'scripted' as 'vid_7'",
        "finished at the provider",
        "completed: its videos are stored here",
    ]
    assert [entry.at for entry in timeline.entries] == sorted(entry.at for entry in timeline.entries)
    assert [attempt.state for attempt in timeline.attempts] == [AttemptState.STORED]
    assert timeline.now is None
    assert not timeline.earlier_left_out


async def test_another_worker_taking_over_is_told(engine: Engine) -> None:
    await engine.create()
    await engine.leases().record(await engine.claim()).intend(attempt_id="att_1", part=0, n=1)
    await engine.take_over()
    assert messages(await timeline_of(engine))[-1] == "its worker stopped; another goes on with it"


async def test_a_worker_that_stops_before_a_job_has_begun_is_nothing_to_tell(engine: Engine) -> None:
    await engine.create()
    await engine.claim()
    await engine.take_over()
    assert messages(await timeline_of(engine)) == ["accepted"]


async def test_a_long_history_is_cut_at_its_beginning_and_says_so(engine: Engine) -> None:
    await engine.create()
    await engine.leases().record(await engine.claim()).intend(attempt_id="att_1", part=0, n=1)
    for _ in range(MOST_ENTRIES):
        await engine.take_over()
    timeline = await timeline_of(engine)
    assert len(timeline.entries) == MOST_ENTRIES
    assert timeline.earlier_left_out
    assert "accepted" not in messages(timeline)


async def test_what_a_held_job_waits_for_is_told(engine: Engine) -> None:
    await engine.create(hold_s=90)
    assert (await timeline_of(engine)).now == (
        "held until 12:01:30 UTC, so that it can still be cancelled; then for 'scripted/clip'"
    )
    await engine.clock.run_for(90)
    assert (await timeline_of(engine)).now == "waiting for a free place of 'scripted/clip'"


@pytest.mark.parametrize("state", State)
async def test_a_job_waits_for_something_unless_it_has_ended(engine: Engine, state: State) -> None:
    job = replace(await engine.create(), state=state)
    assert (what_now(job, engine.clock.now_ms()) is None) == state.is_final


@pytest.mark.parametrize("state", [state for state in State if not MOVES[state] or state is State.FAILED])
async def test_the_end_says_why(engine: Engine, state: State) -> None:
    job = replace(await engine.create(), state=state, problem=Problem("content_filtered", "Say it otherwise"))
    cause = "cancelled by the caller" if state is State.CANCELLED else "content_filtered"
    message = entry_of(Event(7, 0, state, cause), JobSnapshot(job, 7)).message
    expected = {
        State.SUCCEEDED: "completed: its videos are stored here",
        State.FAILED: "failed (content_filtered): Say it otherwise",
        State.CANCELLED: "cancelled by the caller",
        State.EXPIRED: "its time ran out: Say it otherwise",
    }
    assert message == expected[state]


async def test_an_earlier_failure_does_not_borrow_the_reason_of_a_later_one(engine: Engine) -> None:
    job: Job = replace(await engine.create(), state=State.FAILED, problem=Problem("output_lost", "It is gone"))
    message = entry_of(Event(6, 0, State.FAILED, "submission_unknown"), JobSnapshot(job, 7)).message
    assert message == "failed (submission_unknown)"


async def test_the_last_trouble_of_a_job_is_part_of_what_it_waits_for(engine: Engine) -> None:
    await engine.create()
    claimed = await engine.claim()
    record = engine.leases().record(claimed)
    await record.intend(attempt_id="att_1", part=0, n=1)
    await record.trouble("provider_unavailable", "The provider cannot be reached")
    now = what_now(await engine.job(), engine.clock.now_ms())
    assert now is not None
    assert now.startswith("being submitted to 'scripted/clip'; last trouble at ")
    assert now.endswith(" UTC (provider_unavailable): The provider cannot be reached")
