"""The JSON that is sent, and its bound."""

from __future__ import annotations

import json

from rushes.domain.job import State, Status
from rushes.webhooks.message import LARGEST_BYTES, LEFT_OUT, TYPE_OF_STATE, message, openrouter_message
from tests.fixtures.clocks import START_MS


def test_a_message_says_what_happened_when_and_to_what() -> None:
    body = message("video.completed", START_MS, {"job_id": "job_1", "prompt": "Ümläut"})
    assert json.loads(body) == {
        "type": "video.completed",
        "timestamp": "2026-04-07T12:00:00Z",
        "data": {"job_id": "job_1", "prompt": "Ümläut"},
    }


def test_options_that_are_too_large_are_left_out_and_that_is_said() -> None:
    data = {"job_id": "job_1", "warnings": ["one"], "request": {"additional_params": {"x": "y" * LARGEST_BYTES}}}
    body = message("video.completed", START_MS, data)
    assert len(body) < 1000
    assert json.loads(body)["data"] == {"job_id": "job_1", "warnings": ["one", LEFT_OUT], "request": {}}


def test_every_state_that_begins_or_ends_a_job_for_its_caller_has_a_type() -> None:
    told = {State(state) for state in TYPE_OF_STATE}
    assert told == {state for state in State if state.is_final} | {State.SUBMITTING}
    assert {TYPE_OF_STATE[state] for state in told if state.status is Status.FAILED} == {
        "video.failed",
        "video.cancelled",
    }


def test_openrouters_message_is_named_for_how_the_video_ended() -> None:
    body = openrouter_message(START_MS, {"id": "job_1", "status": "expired"})
    assert json.loads(body) == {
        "type": "video.generation.expired",
        "created_at": "2026-04-07T12:00:00Z",
        "data": {"id": "job_1", "status": "expired"},
    }
