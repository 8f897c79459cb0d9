"""A job as a task."""

from __future__ import annotations

import pytest

from rushes.api.mcp.tasks import EXTENSION, declares_tasks, task_of
from rushes.domain.job import Problem, State
from tests.unit.api.native.test_schemas import job


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.QUEUED, "working"), (State.RUNNING, "working"), (State.SUCCEEDED, "completed"),
        (State.FAILED, "completed"), (State.CANCELLED, "cancelled"), (State.EXPIRED, "completed"),
    ],
)  # fmt: skip
def test_failed_is_for_the_protocol_so_a_failed_job_is_a_completed_task(state: State, status: str) -> None:
    problem = Problem("expired", "Too late") if state in (State.FAILED, State.EXPIRED) else None
    assert task_of(job(state=state, problem=problem), 0)["status"] == status


def test_a_task_under_way_says_when_to_ask_again_and_an_ended_one_does_not() -> None:
    under_way, ended = (task_of(job(state=state), 0) for state in (State.RUNNING, State.SUCCEEDED))
    assert under_way["pollIntervalMs"] >= 250
    assert "pollIntervalMs" not in ended
    assert under_way["ttlMs"] is None


def test_why_a_job_failed_is_in_the_message() -> None:
    task = task_of(job(state=State.FAILED, problem=Problem("content_filtered", "The prompt was refused")), 0)
    assert task["statusMessage"] == "failed (content_filtered): The prompt was refused"


@pytest.mark.parametrize("extensions", [None, [], "io", {"io.example/other": {}}])
def test_only_the_extension_itself_counts(extensions: object) -> None:
    assert not declares_tasks(extensions)
    assert declares_tasks({EXTENSION: {}})
