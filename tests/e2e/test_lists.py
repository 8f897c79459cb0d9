"""Lists, totals and cancelling, on jobs that stay pending."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.service import Client, Service

MADE = 7


@pytest.fixture(scope="module")
def lister(held: Service) -> str:
    """The key of an account with jobs of its own."""
    return held.key(account="lister").text


@pytest.fixture
async def client(held: Service, lister: str) -> AsyncIterator[Client]:
    """A client whose account has at least MADE jobs, of which at least two are cancelled."""
    async with Client(held, lister) as opened:
        if (await opened.jobs())["total"] == 0:
            for number in range(MADE):
                model = "animatic/storyboard" if number % 2 else "animatic/slow"
                made = await opened.create(prompt=f"number {number}", model=model)
                if number < 2:
                    (await opened.cancel(made["job_id"])).ok()
        yield opened


async def test_a_list_is_newest_first_with_whole_job_objects(client: Client) -> None:
    page = await client.jobs()
    assert page.keys() == {"jobs", "total", "limit", "skip", "next_cursor"}
    assert (page["total"], page["limit"], page["skip"], page["next_cursor"]) == (MADE, 20, 0, None)
    assert [job["prompt"] for job in page["jobs"]] == [f"number {number}" for number in reversed(range(MADE))]
    for job in page["jobs"]:
        assert job == await client.job(job["job_id"])


@pytest.mark.parametrize("limit", [1, 2, 3, MADE, 1000])
async def test_pages_by_cursor_are_together_the_whole(client: Client, limit: int) -> None:
    walked = []
    page = await client.jobs(limit=limit)
    walked += page["jobs"]
    while page["next_cursor"] is not None:
        assert len(page["jobs"]) == limit
        page = await client.jobs(limit=limit, cursor=page["next_cursor"])
        assert page["total"] == MADE
        walked += page["jobs"]
    assert walked == (await client.jobs(limit=1000))["jobs"]


@pytest.mark.parametrize("limit", [1, 3, MADE])
async def test_pages_by_skip_are_together_the_whole(client: Client, limit: int) -> None:
    walked = []
    for skip in range(0, MADE, limit):
        page = await client.jobs(limit=limit, skip=skip)
        assert (page["limit"], page["skip"], page["total"]) == (limit, skip, MADE)
        walked += page["jobs"]
    assert walked == (await client.jobs())["jobs"]


async def test_skipping_everything_is_an_empty_page(client: Client) -> None:
    page = await client.jobs(skip=1_000_000)
    assert (page["jobs"], page["total"], page["next_cursor"]) == ([], MADE, None)


@pytest.mark.parametrize(
    ("status", "count"), [("pending", MADE - 2), ("failed", 2), ("in_progress", 0), ("completed", 0)]
)
async def test_the_total_is_exact_by_status(client: Client, status: str, count: int) -> None:
    page = await client.jobs(status=status)
    assert page["total"] == count
    assert [job["status"] for job in page["jobs"]] == [status] * count


async def test_filters_hold_together_and_leave_the_total_out(client: Client) -> None:
    for query, count in (
        ({"model": "slow"}, 4),
        ({"model": "storyboard", "status": "pending"}, 2),
        ({"provider": "animatic"}, MADE),
        ({"provider": "animatic", "model": "animatic/slow"}, 4),
        ({"provider": "google"}, 0),
        ({"model": "slow", "status": "failed"}, 1),
    ):
        page = await client.jobs(**query)
        assert (len(page["jobs"]), page["total"]) == (count, None), query


async def test_created_after_and_before_bound_the_time(client: Client) -> None:
    newest = (await client.jobs(limit=1))["jobs"][0]["created_at"]
    for query, count in (
        ({"created_after": "2026-01-01T00:00:00Z"}, MADE),
        ({"created_after": "2999-01-01T00:00:00Z"}, 0),
        ({"created_before": "2026-01-01T00:00:00+01:00"}, 0),
        ({"created_before": "2999-01-01T00:00:00Z"}, MADE),
    ):
        page = await client.jobs(**query)
        assert (len(page["jobs"]), page["total"]) == (count, None), query
    before = (await client.jobs(created_before=newest))["jobs"]
    after = (await client.jobs(created_after=newest))["jobs"]
    assert after + before == (await client.jobs())["jobs"]


async def test_a_cancelled_job_is_failed_and_cost_nothing(client: Client) -> None:
    cancelled = (await client.jobs(status="failed"))["jobs"][0]
    assert cancelled["error_code"] == "cancelled"
    assert isinstance(cancelled["error"], str)
    assert cancelled["cancelled_at"] is not None
    assert (cancelled["started_at"], cancelled["result"], cancelled["usage"]["cost"]) == (None, None, 0)
    assert cancelled["progress"] < 100


async def test_cancelling_again_answers_the_same(client: Client) -> None:
    job_id = (await client.jobs(status="failed"))["jobs"][0]["job_id"]
    answers = [(await client.cancel(job_id)).ok() for _ in range(3)]
    assert answers == [{"success": True, "job_id": job_id, "status": "failed", "message": "Job cancelled"}] * 3
    assert (await client.jobs(status="failed"))["total"] == 2


@pytest.mark.parametrize(
    ("model", "status"), [("stuck", "in_progress"), ("storyboard", "completed"), ("fail", "failed")]
)
async def test_a_job_that_was_begun_cannot_be_cancelled(service: Service, model: str, status: str) -> None:
    async with Client(service, service.key().text) as opened:
        job_id = (await opened.create(model=f"animatic/{model}"))["job_id"]
        await opened.reached(job_id, status)
        problem = (await opened.cancel(job_id)).problem(409)
    assert problem["code"] == "not_cancellable"
    assert f"is {status}" in problem["detail"]


async def test_an_empty_body_or_any_other_does_not_disturb_a_cancel(held: Service) -> None:
    async with Client(held, held.key(account="canceller").text) as opened:
        job_id = (await opened.create())["job_id"]
        path = f"/api/v1/videos/jobs/{job_id}/cancel"
        assert (await opened.post(path, data=b"\xff{", headers={"Content-Type": "application/json"})).ok()["success"]
