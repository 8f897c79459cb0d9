"""The shapes of the native API."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_json

from rushes.api.links import Links
from rushes.api.native.schemas import (
    JobView,
    accepted_options,
    job_view,
    usage,
)
from rushes.clock import SystemClock
from rushes.jobs.job import MAYBE_CHARGED, Job, Problem, State
from rushes.media.links import LinkSigner
from rushes.video.output import StoredVideo
from rushes.video.request import VideoRequest
from tests.unit.api.asking import request_of


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
    ("state", "cost_usd", "cost", "estimated"),
    [
        (State.QUEUED, Decimal("3.20"), 3.2, True),
        (State.RUNNING, Decimal("3.20"), 3.2, True),
        (State.SUCCEEDED, Decimal("3.20"), 3.2, False),
        (State.CANCELLED, Decimal("3.20"), 0, False),
        (State.QUEUED, Decimal(0), 0, False),
        (State.QUEUED, None, None, True),
    ],
)
def test_the_cost_says_whether_it_is_an_estimate(
    state: State, cost_usd: Decimal | None, cost: float | None, estimated: bool
) -> None:
    told = usage(job(state=state, cost_usd=cost_usd))
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


def failed(code: str, *, started_at: int | None = 1) -> Job:
    return job(state=State.FAILED, problem=Problem(code, "It failed"), started_at=started_at)


@pytest.mark.parametrize("code", sorted(MAYBE_CHARGED))
def test_the_estimate_stands_where_the_provider_may_charge_for_nothing(code: str) -> None:
    view = usage(failed(code))
    assert (view.cost, view.estimated) == (3.2, True)


@pytest.mark.parametrize(
    "code", ["content_filtered", "provider_rejected", "provider_quota", "cancelled", "no_credentials"]
)
def test_a_failure_before_anything_was_made_costs_nothing(code: str) -> None:
    view = usage(failed(code))
    assert (view.cost, view.estimated) == (0, False)


def test_a_job_that_expired_in_the_queue_costs_nothing() -> None:
    assert usage(failed("expired", started_at=None)).cost == 0


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
    assert shape.dump_json(view) == to_json(view)
