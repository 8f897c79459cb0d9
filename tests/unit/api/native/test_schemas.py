"""The shapes of the native API."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_json

from rushes.api.native.schemas import job_view
from rushes.clock import SystemClock
from rushes.domain.job import Job, Problem, State
from rushes.domain.output import StoredVideo
from rushes.domain.request import VideoRequest
from rushes.media.links import LinkSigner
from rushes.views.job import JobView, accepted_options, usage
from rushes.views.signed_links import Links
from tests.fixtures.asking import request_of


def job(**changes: Any) -> Job:
    content: dict[str, Any] = {
        "seq": 1, "id": "job_1", "account_id": "acct_1", "key_id": "key_1", "state": State.QUEUED,
        "provider": "google", "model": "veo", "served_provider": "google", "served_model": "veo",
        "request": VideoRequest("a mole"), "response_format": "url", "cost_usd": Decimal("3.20"), "usual_s": 60.0,
        "warnings": (), "available_at": 0, "deadline_at": 0, "progress": None, "problem": None, "outputs": (),
        "provider_video_id": None, "created_at": 0, "started_at": None, "completed_at": None, "cancelled_at": None,
    }  # fmt: skip
    return Job(**{**content, **changes})


@pytest.mark.parametrize(
    ("changes", "cost", "estimated"),
    [
        ({"reserved_microusd": 9_000_000}, 3.2, True),
        ({"state": State.SUCCEEDED, "spent_microusd": 1_600_000}, 1.6, False),
        ({"state": State.SUCCEEDED, "spent_microusd": 1_600_000, "reserved_microusd": 800_000}, 2.4, True),
        ({"state": State.CANCELLED, "spent_microusd": 0}, 0, False),
        ({"state": State.FAILED, "spent_microusd": 0, "reserved_microusd": 3_200_000}, 3.2, True),
        ({"cost_usd": Decimal(0)}, 0, False),
        ({"cost_usd": None}, None, True),
        ({"cost_usd": None, "state": State.SUCCEEDED}, None, True),
        ({"cost_usd": None, "state": State.SUCCEEDED, "spent_microusd": 700_000}, 0.7, False),
    ],
)  # fmt: skip
def test_the_cost_says_whether_it_is_an_estimate(changes: dict[str, Any], cost: float | None, estimated: bool) -> None:
    told = usage(job(**changes))
    assert (told.cost, told.currency, told.estimated) == (cost, "USD", estimated)


def test_the_accepted_options_keep_zero_and_false_and_leave_out_what_was_not_given() -> None:
    request = VideoRequest("a mole", seed=0, generate_audio=False)
    assert accepted_options(job(request=request)) == {
        "prompt": "a mole",
        "model": "veo",
        "provider": "google",
        "n": 1,
        "response_format": "url",
        "seed": 0,
        "generate_audio": False,
        "additional_params": {},
    }


VIDEO = StoredVideo("videos/1.mp4", 2_000, "0" * 64, "video/mp4", 1280, 720, 8.0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": State.RUNNING, "started_at": 1_000, "cost_usd": None, "provider_video_id": "v1"},
        {"state": State.FAILED, "problem": Problem("provider_quota", "Too many requests", "429")},
        {"state": State.SUCCEEDED, "outputs": (VIDEO, VIDEO), "completed_at": 2_000, "warnings": ("a warning",)},
        {"state": State.SUCCEEDED, "outputs": (VIDEO,), "completed_at": 2_000, "files_expire_at": 3_000},
    ],
)
def test_a_job_is_answered_in_the_documented_shape(changes: dict[str, Any]) -> None:
    clock = SystemClock()
    services = SimpleNamespace(clock=clock, links=Links(LinkSigner([b"k"]), clock, ttl_s=60, public_url="http://x"))
    request = request_of()
    request.scope["app"] = SimpleNamespace(state=SimpleNamespace(services=services))
    view = job_view(request, job(**changes))
    shape = TypeAdapter(JobView)
    assert shape.validate_json(to_json(view), strict=True) == view
    assert json.loads(shape.dump_json(view)) == json.loads(to_json(view))
