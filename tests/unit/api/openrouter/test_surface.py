"""Which addresses are OpenRouter's, among our own."""

from __future__ import annotations

import pytest

from rushes.api.openrouter.surface import OUR_OWN, is_ours

V = "/api/v1/videos"


@pytest.mark.parametrize(
    "path",
    [V, f"{V}/models", f"{V}/job_1", f"{V}/job_1/content", f"{V}/gen-vid-1", f"{V}/jobsx", f"{V}/modelling/content"],
)
def test_these_are_its_own(path: str) -> None:
    assert is_ours(path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1", "/v1/videos", f"{V}x", f"{V}/job_1/other", f"{V}/jobs/job_1/content", f"{V}/models/x",
        f"{V}/models/content", *(f"{V}/{word}" for word in OUR_OWN), *(f"{V}/{word}/content" for word in OUR_OWN),
    ],
)  # fmt: skip
def test_these_are_not(path: str) -> None:
    assert not is_ours(path)
