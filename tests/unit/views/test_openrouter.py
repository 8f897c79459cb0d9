"""A job as OpenRouter's clients see it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from rushes.domain.job import Problem, State
from rushes.domain.output import StoredVideo
from rushes.media.links import LinkSigner
from rushes.views.openrouter import OpenrouterVideo, openrouter_video
from rushes.views.signed_links import Links
from tests.fixtures.clocks import START_MS, ManualClock
from tests.unit.api.native.test_schemas import job

BASE = "https://video.example.com"
FILM = StoredVideo("videos/1.mp4", 2_000, "0" * 64, "video/mp4", 1280, 704, 7.96)
ID = "job_0123456789abcdefghjkmnpq"
LINKS = Links(LinkSigner([b"k" * 32]), ManualClock(), ttl_s=3600, public_url=BASE)
FINISHED: dict[str, Any] = {"id": ID, "state": State.SUCCEEDED, "outputs": (FILM, FILM), "completed_at": 2_000}


def shown(*, deleted: bool = False, **facts: Any) -> OpenrouterVideo:
    view = openrouter_video(job(**facts), LINKS, None, START_MS, deleted=deleted)
    assert TypeAdapter(OpenrouterVideo).validate_python(view, strict=True) == view
    return view


@pytest.mark.parametrize(
    ("state", "code", "status"),
    [
        (State.QUEUED, None, "pending"), (State.SUBMITTING, None, "in_progress"), (State.STORING, None, "in_progress"),
        (State.SUCCEEDED, None, "completed"), (State.FAILED, "provider_rejected", "failed"),
        (State.CANCELLED, "cancelled", "cancelled"), (State.EXPIRED, "expired", "expired"),
        # An operator has its video looked for.
        (State.RECOVERING, "expired", "expired"), (State.RECOVERING, "output_lost", "failed"),
    ],
)  # fmt: skip
def test_every_state_has_one_of_its_words(state: State, code: str | None, status: str) -> None:
    assert shown(state=state, problem=None if code is None else Problem(code, "why"))["status"] == status


def test_an_unfinished_video_has_nothing_that_is_not_known_yet() -> None:
    view = shown(id=ID)
    assert view["polling_url"] == f"{BASE}/api/v1/videos/{ID}"
    assert not view.keys() & {"error", "urls", "unsigned_urls", "usage", "generation_id", "expires_at"}


def test_a_finished_one_has_links_that_need_no_key() -> None:
    view = shown(**FINISHED)
    assert view["generation_id"] == ID
    assert [url.partition("?")[0] for url in view["urls"]] == [f"{BASE}/media/{ID}/{index}.mp4" for index in (0, 1)]
    assert view["unsigned_urls"] == view["urls"]
    assert view["expires_at"] == START_MS // 1000 + 3600
    assert "error" not in view


def test_one_that_is_no_longer_kept_or_was_deleted_has_none() -> None:
    for view in (shown(**FINISHED, files_expire_at=START_MS), shown(**FINISHED, deleted=True)):
        assert view["status"] == "completed"
        assert not view.keys() & {"urls", "unsigned_urls", "expires_at"}


def test_the_error_is_one_text_and_a_cost_that_is_not_known_is_left_out() -> None:
    view = shown(state=State.FAILED, problem=Problem("content_filtered", "No"), cost_usd=None)
    assert view["error"] == "No"
    assert view["usage"] == {"is_byok": False}
