"""By which route a request was answered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rushes.api.http.route_names import method_of, route_of


@pytest.mark.parametrize(
    ("path", "route", "template"),
    [
        ("/api/v1/videos/jobs/job_1/cancel", "/videos/jobs/{job_id}/cancel", "/api/v1/videos/jobs/{job_id}/cancel"),
        ("/v1/videos/video_1", "/videos/{video_id}", "/v1/videos/{video_id}"),
        ("/api/v1/models", "/api/v1/models", "/api/v1/models"),
        ("/media/job_1/0.mp4", "/media/{job_id}/{name}", "/media/{job_id}/{name}"),
        ("/", "/", "/"),
    ],
)
def test_a_route_is_named_as_it_is_documented(path: str, route: str, template: str) -> None:
    assert route_of({"path": path, "route": SimpleNamespace(path=route), "state": {}}) == template


def test_what_is_none_of_our_routes_is_one_word() -> None:
    assert route_of({"path": "/wp-login.php", "state": {}}) == "other"
    assert method_of({"method": "BREW"}) == "other"
    assert method_of({"method": "GET"}) == "GET"
