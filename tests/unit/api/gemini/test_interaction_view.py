"""Jobs as interactions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from rushes.api.gemini.interaction_view import interaction_view
from rushes.api.gemini.shapes import InteractionView
from rushes.domain.job import Problem, State
from rushes.domain.output import StoredVideo
from tests.unit.api.native.test_schemas import job

BASE = "https://video.example.com"
FILM = StoredVideo("videos/1.mp4", 2_000, "0" * 64, "video/mp4", 1280, 704, 7.96)
ID = "job_0123456789abcdefghjkmnpq"
FINISHED: dict[str, Any] = {"id": ID, "state": State.SUCCEEDED, "outputs": (FILM,), "completed_at": 2_000}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.QUEUED, "in_progress"), (State.RUNNING, "in_progress"), (State.SUCCEEDED, "completed"),
        (State.FAILED, "failed"), (State.EXPIRED, "failed"), (State.CANCELLED, "cancelled"),
    ],
)  # fmt: skip
def test_every_state_has_a_word_that_googles_examples_wait_by(state: State, status: str) -> None:
    assert interaction_view(job(state=state), BASE, 0)["status"] == status


def test_a_finished_one_has_its_video_by_address_and_inside_if_that_was_asked_for() -> None:
    [step] = interaction_view(job(**FINISHED), BASE, 0)["steps"]
    uri = f"{BASE}/v1beta/files/{ID.removeprefix('job_')}0:download?alt=media"
    assert step == {"type": "model_output", "content": [{"type": "video", "mime_type": "video/mp4", "uri": uri}]}
    [step] = interaction_view(job(**FINISHED), BASE, 0, slot_of=lambda index: f"<{index}>")["steps"]
    assert step["content"][0]["data"] == "<0>"


def test_a_failed_one_says_why_as_a_fault_and_as_text() -> None:
    view = interaction_view(job(state=State.FAILED, problem=Problem("content_filtered", "No")), BASE, 0)
    assert view["errors"] == [{"code": "content_filtered", "message": "No"}]
    assert view["steps"][0]["content"] == [{"type": "text", "text": "No"}]
    assert view["steps"][0]["error"]["code"] == 3


def test_the_prompt_is_shown_to_those_who_ask_for_the_input() -> None:
    view = interaction_view(job(**FINISHED), BASE, 0, shows_input=True)
    assert [step["type"] for step in view["steps"]] == ["user_input", "model_output"]
    assert view["steps"][0]["content"] == [{"type": "text", "text": "a mole"}]
    assert TypeAdapter(InteractionView).validate_python(view, strict=True) == view
