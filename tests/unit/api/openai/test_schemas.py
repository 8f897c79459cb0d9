"""A job in OpenAI's shape."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_json

from rushes.api.openai.schemas import VideoView, video_view
from rushes.domain.job import Problem, State
from rushes.domain.output import StoredVideo
from rushes.domain.request import InputMedia, Role, VideoRequest
from tests.unit.api.native.test_schemas import job

FILM = StoredVideo("videos/1.mp4", 2_000, "0" * 64, "video/mp4", 1280, 704, 7.96)
ASKED = VideoRequest("a mole", aspect_ratio="16:9", resolution="720p", duration_s=8)
GIVEN_FILM = InputMedia(Role.VIDEO, "inputs/1", "video/mp4", 10, "1" * 64)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.QUEUED, "queued"), (State.SUBMITTING, "in_progress"), (State.REROUTED, "in_progress"),
        (State.RUNNING, "in_progress"), (State.STORING, "in_progress"), (State.RECOVERING, "failed"),
        (State.SUCCEEDED, "completed"), (State.FAILED, "failed"), (State.CANCELLED, "failed"),
        (State.EXPIRED, "failed"),
    ],
)  # fmt: skip
def test_every_state_has_one_of_openais_words(state: State, status: str) -> None:
    assert video_view(job(state=state), 0).status == status


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": State.SUCCEEDED, "outputs": (FILM,), "completed_at": 2_500, "files_expire_at": 9_000},
        {"state": State.RUNNING, "request": ASKED, "progress": 37, "asked_model": "sora-2"},
        {"state": State.FAILED, "problem": Problem("provider_quota", "Too many", "429"), "source_job_id": "job_0"},
    ],
)  # fmt: skip
def test_a_job_is_answered_in_the_documented_shape(changes: dict[str, Any]) -> None:
    view = video_view(job(**changes), 0)
    assert TypeAdapter(VideoView).validate_json(to_json(view), strict=True) == view


def test_times_are_whole_seconds() -> None:
    view = video_view(job(created_at=1_999, completed_at=2_999, files_expire_at=3_999), 0)
    assert (view.created_at, view.completed_at, view.expires_at) == (1, 2, 3)


def test_size_and_seconds_stay_as_asked_for() -> None:
    for changes in ({}, {"outputs": (FILM,), "state": State.SUCCEEDED}):
        view = video_view(job(request=ASKED, **changes), 0)
        assert (view.seconds, view.size) == ("8", "1280x720")


def test_what_nobody_asked_for_is_measured_once_it_is_there() -> None:
    assert (video_view(job(), 0).seconds, video_view(job(), 0).size) == (None, None)
    view = video_view(job(outputs=(FILM,), state=State.SUCCEEDED), 0)
    assert (view.seconds, view.size) == ("8", "1280x704")


def test_a_video_that_goes_on_from_another_has_the_length_of_both() -> None:
    request = VideoRequest("on", duration_s=4, media=(GIVEN_FILM,))
    assert video_view(job(request=request), 0).seconds == "4"
    assert video_view(job(request=request, outputs=(FILM,), state=State.SUCCEEDED), 0).seconds == "8"


def test_the_model_is_the_name_that_was_asked_for() -> None:
    assert video_view(job(asked_model="sora-2"), 0).model == "sora-2"
    assert video_view(job(), 0).model == "google/veo"


def test_a_filtered_video_has_openais_code_and_others_ours() -> None:
    for code, there in (("content_filtered", "moderation_blocked"), ("provider_quota", "provider_quota")):
        error = video_view(job(state=State.FAILED, problem=Problem(code, "Why")), 0).error
        assert error is not None
        assert (error.code, error.message) == (there, "Why")
