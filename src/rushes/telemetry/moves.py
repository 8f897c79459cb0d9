"""Logs and counts each move of a job that this process made, and records the stages of jobs that have ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

import structlog

from rushes.domain.job import Move, State
from rushes.errors import RushesError
from rushes.jobs.events.store import Event, HistoryStore
from rushes.telemetry.metrics import Metrics
from rushes.telemetry.spans import Spans, Step

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 10_000
MOST_EVENTS: Final = 200
CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

LINES: Final = {
    State.QUEUED: "job_accepted",
    State.SUBMITTING: "job_submitting",
    State.REROUTED: "job_rerouted",
    State.RUNNING: "job_submitted",
    State.STORING: "job_storing",
    State.RECOVERING: "job_recovering",
    State.SUCCEEDED: "job_completed",
    State.FAILED: "job_failed",
    State.CANCELLED: "job_cancelled",
    State.EXPIRED: "job_expired",
}
STAGES: Final = {
    State.QUEUED: "waiting",
    State.REROUTED: "waiting",
    State.SUBMITTING: "submitting",
    State.RUNNING: "generating",
    State.STORING: "storing",
}


class Moves:
    """Counts and logs moves as they are committed; `run` records the stages of jobs that have ended."""

    def __init__(self, metrics: Metrics, spans: Spans, *, most_waiting: int = MOST_WAITING) -> None:
        self._metrics = metrics
        self._spans = spans
        self._ended: asyncio.Queue[Move] = asyncio.Queue(most_waiting)

    def moved(self, move: Move) -> None:
        """Count and log one move. Quick, and raises nothing."""
        state = move.state
        facts: dict[str, str] = {} if move.request_id is None else {"request_id": move.request_id}
        served = (move.provider, move.model)
        # A model that has just been discovered, or that only an older job names.
        self._metrics.expect([served])
        self._metrics.moves.labels(*served, move.state).inc()
        if move.credential is not None:
            self._metrics.credential_jobs.labels(move.provider, move.credential, state).inc()
        if state in (State.FAILED, State.EXPIRED):
            code = move.cause if CODE.fullmatch(move.cause) else "other"
            facts["error_code"] = code
            self._metrics.failures.labels(*served, code).inc()
        if state is State.SUCCEEDED and move.cost_usd is not None:
            self._metrics.cost.labels(*served).inc(float(Decimal(move.cost_usd)))
        log.info(LINES[state], job_id=move.job_id, provider=move.provider, model=move.model, cause=move.cause, **facts)
        if state.is_final:
            try:
                self._ended.put_nowait(move)
            except asyncio.QueueFull:
                self._metrics.dropped.inc()

    async def run(self, history: HistoryStore) -> None:
        """Record how long each stage of each ended job took. Never returns; cancel it to stop."""
        while True:
            move = await self._ended.get()
            try:
                self._record(move, await history.newest_events(move.job_id, MOST_EVENTS))
            except RushesError as error:
                self._metrics.dropped.inc()
                log.warning("stages_not_recorded", job_id=move.job_id, error_code=error.code)

    def _record(self, move: Move, events: Sequence[Event]) -> None:
        facts = {"rushes.job_id": move.job_id, "rushes.provider": move.provider, "rushes.model": move.model}
        failed = move.cause if move.state != State.SUCCEEDED and CODE.fullmatch(move.cause) else None
        spans = list(stages_of(events))
        for stage, began_ms, ended_ms in spans:
            self._observe(move, stage, ended_ms - began_ms)
            last = (stage, began_ms, ended_ms) == spans[-1]
            self._spans.record(
                move.traceparent,
                Step(stage, began_ms * 1_000_000, ended_ms * 1_000_000, facts, failed if last else None),
            )
        if events:
            self._observe(move, "total", events[-1].at - move.created_at)

    def _observe(self, move: Move, stage: str, duration_ms: int) -> None:
        self._metrics.stages.labels(move.provider, move.model, stage).observe(max(0, duration_ms) / 1000)


def stages_of(events: Sequence[Event]) -> Iterator[tuple[str, int, int]]:
    """Each stage with its begin and end in milliseconds. An event that does not change the state ends no stage."""
    moves = [event for index, event in enumerate(events) if index == 0 or events[index - 1].state is not event.state]
    for one, following in pairwise(moves):
        stage = STAGES.get(one.state)
        if stage is not None:
            yield stage, one.at, following.at
