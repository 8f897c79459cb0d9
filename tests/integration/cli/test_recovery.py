from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rushes.cli.recovery import _outcome
from rushes.domain.job import Problem, State
from rushes.jobs.store import JobStore
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import fresh_sqlite
from tests.fixtures.new_jobs import new_job

PROBLEM = Problem("aborted", "The operator aborted the job")


@pytest.mark.parametrize(
    ("state", "is_served", "words"),
    [
        (State.SUCCEEDED, True, "its video is stored"),
        (State.FAILED, True, "has ended (aborted): The operator aborted the job"),
        (State.RUNNING, True, "is being aborted; see `rushes jobs show job_1`"),
        (State.RUNNING, False, "when the service starts"),
    ],
)
async def test_aborting_says_what_became_of_the_job(tmp_path: Path, state: State, is_served: bool, words: str) -> None:
    database = fresh_sqlite(tmp_path / "rushes.db", ManualClock())
    job = await JobStore(database).create(new_job())
    await database.close()
    ended = replace(job, state=state, problem=PROBLEM if state is State.FAILED else None)
    assert words in _outcome(ended, is_served=is_served)
