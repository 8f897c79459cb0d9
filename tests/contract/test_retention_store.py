"""What the store of things to give up promises, over every database."""

from __future__ import annotations

import asyncio

import pytest

from rushes.domain.job import Job, State
from rushes.domain.progress import Submission
from rushes.domain.tenant import Tenant
from rushes.errors import IdempotencyMismatch, JobNotFinished, JobNotFound
from rushes.jobs.idempotency import KEPT_MS, Once, Replay
from rushes.jobs.retention import RetentionStore
from tests.contract.database_harness import Desk
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import stored_video


def once(key: str = "k", body: str = "b") -> Once:
    return Once(route="POST /x", key=key, body_hash=body, answer_of=lambda job: f"answer of {job.id}")


@pytest.fixture
def retention(desk: Desk) -> RetentionStore:
    return RetentionStore(desk.harness.database)


async def finished(desk: Desk, *, retention_s: float | None) -> Job:
    await desk.jobs.create(new_job())
    claimed, leases = await desk.claim_one(), desk.leases()
    await leases.record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await leases.record(claimed).accept("att_1", Submission({}))
    await leases.record(claimed).begin_storing()
    await leases.record(claimed).succeed([stored_video("videos/1")], "stored", retention_s=retention_s)
    return await desk.job()


async def test_of_many_requests_under_one_key_one_makes_the_job(desk: Desk) -> None:
    made = await asyncio.gather(*(desk.jobs.create_once(new_job(number), once()) for number in range(20)))
    jobs = [one for one in made if isinstance(one, Job)]
    replays = [one for one in made if isinstance(one, Replay)]
    assert (len(jobs), len(replays)) == (1, 19)
    assert {replay.answer for replay in replays} == {f"answer of {jobs[0].id}"}
    assert await desk.jobs.count(ACCOUNT) == 1


async def test_another_body_under_the_same_key_is_refused(desk: Desk) -> None:
    await desk.jobs.create_once(new_job(1), once(body="one"))
    with pytest.raises(IdempotencyMismatch):
        await desk.jobs.create_once(new_job(2), once(body="other"))
    assert await desk.jobs.count(ACCOUNT) == 1


async def test_a_key_is_free_again_after_its_day(desk: Desk, retention: RetentionStore) -> None:
    await desk.jobs.create_once(new_job(1), once())
    desk.harness.pass_time(KEPT_MS / 1000 - 1)
    assert isinstance(await desk.jobs.create_once(new_job(2), once()), Replay)
    assert await retention.forget_answers(10) == 0
    desk.harness.pass_time(1)
    assert isinstance(await desk.jobs.create_once(new_job(3), once()), Job)
    desk.harness.pass_time(KEPT_MS / 1000)
    assert await retention.forget_answers(10) == 1
    assert await desk.jobs.find_answer(ACCOUNT, once()) is None


async def test_files_are_doomed_when_their_time_comes_and_once(desk: Desk, retention: RetentionStore) -> None:
    await finished(desk, retention_s=5)
    assert await retention.expire(10) == 0
    desk.harness.pass_time(5)
    assert await retention.expire(10) == 1
    assert await retention.expire(10) == 0
    keys = await retention.files_to_delete(10)
    assert set(keys) == {"videos/1", "posters/job_1/0.jpg"}
    await retention.forget(keys)
    assert await retention.files_to_delete(10) == []


async def test_without_a_retention_files_stay(desk: Desk, retention: RetentionStore) -> None:
    await finished(desk, retention_s=None)
    desk.harness.pass_time(10**9)
    assert await retention.expire(10) == 0


async def test_a_deleted_job_dooms_its_files_and_is_not_counted(desk: Desk, retention: RetentionStore) -> None:
    job = await finished(desk, retention_s=None)
    assert job.state is State.SUCCEEDED
    await desk.jobs.delete(ACCOUNT, job.id)
    with pytest.raises(JobNotFound):
        await desk.job()
    assert await desk.jobs.count(ACCOUNT) == 0
    assert "videos/1" in await retention.files_to_delete(10)


async def test_only_a_finished_job_of_ones_own_can_be_deleted(desk: Desk) -> None:
    await desk.jobs.create(new_job())
    with pytest.raises(JobNotFinished, match="cancel it first"):
        await desk.jobs.delete(ACCOUNT, "job_1")
    with pytest.raises(JobNotFound):
        await desk.jobs.delete(Tenant("acct_2"), "job_1")
