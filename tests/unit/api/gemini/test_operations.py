"""Jobs as long-running operations."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from rushes.api.gemini.operations import gemini_operation, vertex_operation
from rushes.api.gemini.shapes import GeminiOperation, VertexOperation
from rushes.domain.job import Problem, State
from rushes.domain.output import StoredVideo
from tests.unit.api.native.test_schemas import job

BASE = "https://video.example.com"
FILM = StoredVideo("videos/1.mp4", 2_000, "0" * 64, "video/mp4", 1280, 704, 7.96)
ID = "job_0123456789abcdefghjkmnpq"
ENDS: list[dict[str, Any]] = [
    {"state": State.RUNNING, "progress": 37},
    {"state": State.SUCCEEDED, "outputs": (FILM, FILM), "warnings": ("One is missing",)},
    {"state": State.FAILED, "problem": Problem("content_filtered", "The filter refused it")},
    {"state": State.EXPIRED, "problem": Problem("expired", "It took too long", "504")},
]


def at_google(**changes: Any) -> GeminiOperation:
    return gemini_operation(job(id=ID, **changes), BASE, 0)


def on_vertex(**changes: Any) -> VertexOperation:
    one = job(id=ID, **changes)
    return vertex_operation(one, f"a/operations/{ID}", 0, (lambda index: f"<{index}>") if one.outputs else None)


@pytest.mark.parametrize("changes", ENDS)
def test_an_operation_has_the_documented_shape(changes: dict[str, Any]) -> None:
    for shape, operation in ((GeminiOperation, at_google(**changes)), (VertexOperation, on_vertex(**changes))):
        assert TypeAdapter(shape).validate_python(operation, strict=True) == operation


def test_one_under_way_is_not_done_and_says_how_far_it_is() -> None:
    operation = at_google(**ENDS[0])
    assert (operation["done"], operation["metadata"]["progressPercent"]) == (False, 37)
    assert not operation.keys() & {"response", "error"}
    assert operation["name"] == f"models/google/veo/operations/{ID}"
    assert at_google(asked_model="veo-3", **ENDS[0])["name"] == f"models/veo-3/operations/{ID}"


def test_a_finished_one_has_an_address_or_the_bytes_of_each_video() -> None:
    samples = at_google(**ENDS[1])["response"]["generateVideoResponse"]["generatedSamples"]
    assert [one["video"]["uri"] for one in samples] == [
        f"{BASE}/v1beta/files/{ID.removeprefix('job_')}{index}:download?alt=media" for index in range(2)
    ]
    response = on_vertex(**ENDS[1])["response"]
    assert [one["bytesBase64Encoded"] for one in response["videos"]] == ["<0>", "<1>"]
    assert at_google(**ENDS[1])["metadata"]["warnings"] == ["One is missing"]


def test_a_filtered_one_is_counted_and_explained_and_is_no_error() -> None:
    for operation in (at_google(**ENDS[2]), on_vertex(**ENDS[2])):
        assert "error" not in operation
        response: Any = operation["response"]
        filtered = response.get("generateVideoResponse", response)
        assert filtered["raiMediaFilteredCount"] == 1
        assert filtered["raiMediaFilteredReasons"] == ["The filter refused it"]
        assert not filtered.keys() & {"videos", "generatedSamples"}


@pytest.mark.parametrize(("code", "number"), [("expired", 4), ("provider_quota", 8), ("a_new_one", 13)])
def test_a_failure_is_a_status_of_google_rpc(code: str, number: int) -> None:
    failed = {"state": State.FAILED, "problem": Problem(code, "It failed", "E1")}
    for error in (at_google(**failed)["error"], on_vertex(**failed)["error"]):
        assert (error["code"], error["message"]) == (number, "It failed")
        [reason] = error["details"]
        assert (reason["reason"], reason["metadata"]) == (code.upper(), {"provider_error": "E1"})


def test_on_vertex_ai_videos_that_are_no_longer_kept_are_an_error() -> None:
    operation = vertex_operation(job(id=ID, **ENDS[1]), "a", 0, None)
    assert operation["error"]["code"] == 5
    assert "no longer kept" in operation["error"]["message"]
