"""What becomes of a move: a line, counters, and at the end the stages; proven on jobs that a worker really moves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog

from rushes.domain.job import Move, State
from rushes.jobs.events.store import Event
from rushes.telemetry.metrics import Metrics
from rushes.telemetry.moves import Moves, stages_of
from rushes.telemetry.spans import NoSpans, Step

MOVE = Move("job_1", "acct_1", "req_1", None, "scripted", "clip", None, State.QUEUED, "accepted", "3.20", 1000)


class KeptSpans(NoSpans):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, Step]] = []

    def record(self, traceparent: str | None, step: Step) -> None:
        self.told.append((traceparent, step))


class PlayedHistory:
    """The history of every job."""

    def __init__(self, *events: tuple[int, State]) -> None:
        self._events = [Event(seq, at, state, "") for seq, (at, state) in enumerate(events)]

    async def newest_events(self, job_id: str, most: int) -> Sequence[Event]:
        return self._events[:most]


def move(**changes: Any) -> Move:
    return replace(MOVE, **changes)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"provider": "scripted", "model": "clip", **labels})


async def told(moves: Moves, history: Any) -> None:
    task = asyncio.create_task(moves.run(history))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_line_names_the_job_its_request_and_what_serves_it() -> None:
    with structlog.testing.capture_logs() as lines:
        Moves(Metrics(), NoSpans()).moved(move())
    assert lines == [
        {
            "event": "job_accepted", "job_id": "job_1", "request_id": "req_1", "provider": "scripted", "model": "clip",
            "cause": "accepted", "log_level": "info",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "code"), [("content_filtered", "content_filtered"), ("aborted by the operator", "other")]
)
def test_a_failure_is_counted_by_its_code_and_never_by_words(cause: str, code: str) -> None:
    metrics = Metrics()
    Moves(metrics, NoSpans()).moved(move(state=State.FAILED, was=State.RUNNING, cause=cause))
    assert value(metrics, "rushes_job_failures_total", code=code) == 1


def test_only_a_completed_job_costs() -> None:
    metrics = Metrics()
    moves = Moves(metrics, NoSpans())
    for state in (State.QUEUED, State.SUBMITTING, State.RUNNING, State.STORING, State.SUCCEEDED):
        moves.moved(move(state=state))
    moves.moved(move(state=State.SUCCEEDED, cost_usd=None))
    assert value(metrics, "rushes_cost_usd_total") == 3.2
    assert value(metrics, "rushes_job_moves_total", state="succeeded") == 2


async def test_the_stages_of_a_job_that_has_ended_are_measured_and_traced() -> None:
    metrics, spans = Metrics(), KeptSpans()
    moves = Moves(metrics, spans)
    moves.moved(move(state=State.FAILED, was=State.RUNNING, cause="provider_rejected", traceparent="the trace"))
    await told(
        moves,
        PlayedHistory(
            (1000, State.QUEUED), (3000, State.SUBMITTING), (3500, State.RUNNING), (4000, State.RUNNING),
            (9500, State.FAILED),
        ),
    )  # fmt: skip
    assert value(metrics, "rushes_job_stage_duration_seconds_sum", stage="waiting") == 2
    assert value(metrics, "rushes_job_stage_duration_seconds_sum", stage="generating") == 6
    assert value(metrics, "rushes_job_stage_duration_seconds_sum", stage="total") == 8.5
    assert [(trace, step.name, step.error_code) for trace, step in spans.told] == [
        ("the trace", "waiting", None),
        ("the trace", "submitting", None),
        ("the trace", "generating", "provider_rejected"),
    ]


def test_a_rerouted_job_waits_twice() -> None:
    events = [Event(0, at, state, "") for at, state in (
        (0, State.QUEUED), (1, State.SUBMITTING), (2, State.REROUTED), (5, State.SUBMITTING), (6, State.RUNNING)
    )]  # fmt: skip
    assert [stage for stage, _, _ in stages_of(events)] == ["waiting", "submitting", "waiting", "submitting"]


def test_more_ends_than_can_be_told_are_counted_instead() -> None:
    metrics = Metrics()
    moves = Moves(metrics, NoSpans(), most_waiting=2)
    for _ in range(2 + 3):
        moves.moved(move(state=State.CANCELLED))
    assert metrics.registry.get_sample_value("rushes_telemetry_dropped_total") == 3
