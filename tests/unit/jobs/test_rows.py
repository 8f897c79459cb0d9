"""Jobs that were read last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from rushes.db.database import Row
from rushes.domain.job import Job
from rushes.jobs import rows as job_rows
from rushes.jobs.rows import RecentJobs


@dataclass
class Made:
    """What stands for a job: the row that it was made from, as it was then."""

    row: dict[str, Any]


def made(row: Row) -> Job:
    return cast("Job", Made(dict(row)))


def row_of(number: int, state: str = "queued", request: str = "{}") -> dict[str, Any]:
    return {"id": f"job_{number}", "state": state, "request": request, "progress": None}


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["queued", "running", "failed"]))))
def test_a_row_always_gives_the_job_that_it_holds(rows: list[tuple[int, str]]) -> None:
    jobs = RecentJobs(made)
    for number, state in rows:
        assert cast("Made", jobs.job_of(row_of(number, state))).row == row_of(number, state)


def test_a_row_that_has_not_changed_gives_the_same_job() -> None:
    jobs = RecentJobs(made)
    first = jobs.job_of(row_of(1))
    assert jobs.job_of(row_of(1)) is first
    assert jobs.job_of(row_of(1, "running")) is not first


def test_only_so_many_are_kept_and_none_that_is_large() -> None:
    jobs = RecentJobs(made)
    for number in range(job_rows.MOST_KEPT + 10):
        jobs.job_of(row_of(number))
    jobs.job_of(row_of(-1, request="x" * (job_rows.LONGEST_KEPT_CHARS + 1)))
    assert len(jobs._kept) == job_rows.MOST_KEPT
    assert "job_-1" not in jobs._kept


def test_nothing_is_kept_of_a_job_that_is_forgotten() -> None:
    jobs = RecentJobs(made)
    jobs.job_of(row_of(1))
    jobs.forget("job_1")
    jobs.forget("job_2")
    assert jobs._kept == {}
