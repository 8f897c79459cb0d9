from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rushes.domain.job import MOVES, Job, State, Status
from rushes.domain.request import VideoRequest

ORDER = [Status.PENDING, Status.IN_PROGRESS, Status.COMPLETED]
FINAL = {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED}

JOB = Job(
    seq=1,
    id="job_1",
    account_id="acct_1",
    key_id="key_1",
    state=State.QUEUED,
    provider="scripted",
    model="clip",
    served_provider="scripted",
    served_model="clip",
    request=VideoRequest(prompt="A dog"),
    response_format="url",
    cost_usd=Decimal(1),
    usual_s=100,
    warnings=(),
    available_at=0,
    deadline_at=1_200_000,
    progress=None,
    problem=None,
    outputs=(),
    provider_video_id=None,
    created_at=0,
    started_at=None,
    completed_at=None,
    cancelled_at=None,
)


def paths(state: State = State.QUEUED, *, fallbacks: int = 1) -> list[list[State]]:
    """Every legal life from `state` on, of a job with so many fallbacks."""
    if state.is_final:
        return [[state]]
    left = fallbacks - (state is State.REROUTED)
    ways = [following for following in MOVES[state] if following is not State.REROUTED or left > 0]
    return [[state, *rest] for following in ways for rest in paths(following, fallbacks=left)]


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)


def test_nothing_leaves_a_final_state() -> None:
    assert {state for state in State if state.is_final} == FINAL


def test_every_life_ends() -> None:
    assert {path[-1] for path in paths()} == FINAL


def test_status_never_goes_back_along_any_legal_life() -> None:
    for path in paths():
        places = [ORDER.index(state.status) if state.status in ORDER else len(ORDER) for state in path]
        assert places == sorted(places)


def test_status_never_changes_once_it_is_final() -> None:
    for path in paths():
        assert [state.status for state in path[:-1] if state.status in {Status.COMPLETED, Status.FAILED}] == []


def test_only_a_pending_job_can_be_cancelled() -> None:
    assert [state for state in State if State.CANCELLED in MOVES[state]] == [State.QUEUED]


def test_a_job_whose_videos_exist_no_longer_expires() -> None:
    assert State.EXPIRED not in MOVES[State.STORING]


@given(
    usual_s=st.floats(0, 10_000),
    times=st.lists(st.integers(0, 10_000_000), min_size=2).map(sorted),
    started_at=st.integers(0, 1_000_000),
    end=st.sampled_from([None, State.FAILED, State.EXPIRED, State.SUCCEEDED]),
)
def test_estimated_progress_never_falls_and_is_whole_only_for_a_completed_job(
    usual_s: float, times: list[int], started_at: int, end: State | None
) -> None:
    running = replace(JOB, state=State.RUNNING, started_at=started_at, usual_s=usual_s)
    percents = [running.percent(now_ms) for now_ms in times]
    if end is not None:
        ended = replace(running, state=end, completed_at=times[-1])
        percents += [ended.percent(times[-1]), ended.percent(times[-1] + 1_000_000)]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 100 for percent in percents)
    assert (100 in percents) == (end is State.SUCCEEDED)


@given(st.integers(0, 95), st.integers(0, 10_000_000))
def test_reported_progress_goes_before_the_estimate(reported: int, now_ms: int) -> None:
    assert replace(JOB, state=State.RUNNING, started_at=0, progress=reported).percent(now_ms) == reported


def test_a_job_that_never_started_has_no_progress() -> None:
    assert replace(JOB, state=State.CANCELLED, completed_at=5).percent(1_000_000) == 0


def test_what_ran_is_named_with_its_provider_where_that_is_another() -> None:
    assert JOB.served_name == "clip"
    assert replace(JOB, served_provider="animatic", served_model="storyboard").served_name == "animatic/storyboard"
