"""Which video another request goes on from, and what the provider's adapter is given of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rushes.domain.output import StoredVideo
from rushes.errors import FileExpired, JobNotFinished, UnsupportedOption
from rushes.jobs.previous import source_of
from rushes.jobs.rows import outputs_to_json
from tests.fixtures.scripted_provider import stored_video
from tests.unit.api.native.test_schemas import job

VIDEOS: tuple[StoredVideo, ...] = tuple(
    replace(stored_video(f"outputs/{index}"), key=f"k{index}") for index in range(3)
)


def call(handle: str, *videos: StoredVideo) -> dict[str, Any]:
    return {"n": len(videos), "handle": json.dumps({"id": handle}), "outputs": outputs_to_json(videos)}


def test_a_video_of_several_calls_is_found_at_its_own() -> None:
    attempts = [call("first", VIDEOS[0], VIDEOS[1]), call("second", VIDEOS[2])]
    found = source_of(job(outputs=VIDEOS, files_expire_at=None), attempts, 2, now_ms=0)
    assert found.stored is VIDEOS[2]
    assert (found.previous.handle, found.previous.handle_index) == ({"id": "second"}, 0)
    assert found.expected().duration_s == VIDEOS[2].duration_s


def test_the_only_call_has_made_every_video() -> None:
    attempts = [{"n": 3, "handle": json.dumps({"id": "all"}), "outputs": None}]
    previous = source_of(job(outputs=VIDEOS, files_expire_at=None), attempts, 1, now_ms=0).previous
    assert (previous.handle, previous.handle_index) == ({"id": "all"}, 1)


def test_a_job_without_videos_an_unknown_index_and_a_lost_file_are_refused() -> None:
    with pytest.raises(JobNotFinished, match="has no video"):
        source_of(job(outputs=()), [], 0, now_ms=0)
    with pytest.raises(UnsupportedOption, match="it has 3, counted from 0"):
        source_of(job(outputs=VIDEOS, files_expire_at=None), [], 3, now_ms=0)
    with pytest.raises(FileExpired):
        source_of(job(outputs=VIDEOS, files_expire_at=1), [], 0, now_ms=2)
