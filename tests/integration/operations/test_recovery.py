"""What an operator can still do for failed jobs, and that nothing of it pays again or loses count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rushes.domain.job import Job, State, Status
from rushes.domain.progress import Failed, Handle
from rushes.errors import (
    JobNotFound,
    NotRecoverable,
    OutputLost,
    ProviderRejected,
    ProviderUnavailable,
    RushesError,
    SubmissionUnknown,
    UnsupportedOption,
)
from rushes.money.usage import Usage, UsageStore
from rushes.operations.recovery import RECOVERY_DEADLINE_MS, Recovery, RecoveryStore
from rushes.providers.base import Provider
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import ACCOUNT
from tests.fixtures.scripted_provider import ScriptedProvider

HANDLE: Handle = {"name": "found at the provider"}


@pytest.fixture
def recovery(engine: Engine) -> RecoveryStore:
    return RecoveryStore(engine.database)


async def unknown(engine: Engine, number: int = 1, **given: Any) -> Job:
    """A job whose submission got no answer, at a provider that cannot be asked."""
    engine.provider.submits = [ProviderUnavailable("the line broke", accepted=None)]
    engine.provider.finds = [SubmissionUnknown("nobody can say")]
    return await ended(engine, number, "submission_unknown", **given)


async def lost(engine: Engine, number: int = 1, **given: Any) -> Job:
    """A job whose video was finished at the provider, and could not be fetched."""
    engine.provider.fetches = [OutputLost("the link has expired")]
    return await ended(engine, number, "output_lost", **given)


async def rejected(engine: Engine, number: int = 1, **given: Any) -> Job:
    """A job that surely was not paid for."""
    engine.provider.submits = [ProviderRejected("no")]
    return await ended(engine, number, "provider_rejected", **given)


async def ended(engine: Engine, number: int, code: str, **given: Any) -> Job:
    await engine.create(number, **given)
    await engine.carry(await engine.claim())
    job = await engine.job(f"job_{number}")
    assert job.problem is not None
    assert job.problem.code == code
    engine.provider.submits = []
    engine.provider.finds = []
    engine.provider.fetches = []
    return job


async def used(engine: Engine) -> Usage:
    return sum((item.usage for item in await UsageStore(engine.database).read(ACCOUNT)), Usage())


async def counts(engine: Engine) -> dict[Status, int]:
    return {status: await engine.jobs.count(ACCOUNT, status) for status in Status}


async def snapshot(engine: Engine) -> list[Any]:
    return [await engine.rows(f"SELECT * FROM {table} ORDER BY 1") for table in ("jobs", "attempts", "job_events")]


# What waits.


async def test_jobs_that_may_have_been_paid_for_wait_oldest_first(engine: Engine, recovery: RecoveryStore) -> None:
    await unknown(engine, 1)
    await rejected(engine, 2)
    await lost(engine, 3)
    assert [job.id for job in await recovery.unsettled()] == ["job_1", "job_3"]
    assert [job.id for job in await recovery.unsettled(most=1)] == ["job_1"]


async def test_a_job_is_had_by_its_id_alone(engine: Engine, recovery: RecoveryStore) -> None:
    await unknown(engine)
    assert (await recovery.get("job_1")).id == "job_1"
    with pytest.raises(JobNotFound, match="'job_9' not found"):
        await recovery.get("job_9")


# Reconcile.


async def test_a_reconciled_job_is_still_failed_for_its_caller(engine: Engine, recovery: RecoveryStore) -> None:
    await unknown(engine)
    before = await counts(engine)
    await recovery.reconcile("job_1", HANDLE, "video-17")
    job = await engine.job()
    assert (job.state, job.status) == (State.RECOVERING, Status.FAILED)
    assert job.provider_video_id == "video-17"
    assert job.deadline_at == engine.clock.now_ms() + RECOVERY_DEADLINE_MS
    assert await counts(engine) == before
    assert await recovery.unsettled() == []


async def test_a_reconciled_job_is_polled_and_stored_and_never_submitted(
    engine: Engine, recovery: RecoveryStore
) -> None:
    await unknown(engine)
    engine.provider.calls.clear()
    await recovery.reconcile("job_1", HANDLE, "video-17")
    job = await engine.carry(await engine.claim("worker_2"))
    assert job.state is State.SUCCEEDED
    assert (job.problem, len(job.outputs)) == (None, 1)
    assert [verb for verb, _ in engine.provider.calls] == ["poll", "fetch"]
    assert engine.provider.asked("poll") == [HANDLE["name"]]
    assert await engine.states() == ["queued", "submitting", "failed", "recovering", "succeeded"]


async def test_a_recovered_job_counts_as_completed_and_no_more_as_failed(
    engine: Engine, recovery: RecoveryStore
) -> None:
    job = await unknown(engine)
    assert await used(engine) == Usage(jobs=1, failed=1)
    await recovery.reconcile("job_1", HANDLE, "video-17")
    assert await used(engine) == Usage(jobs=1, failed=1)
    await engine.carry(await engine.claim("worker_2"))
    assert job.cost_usd is not None
    assert await used(engine) == Usage(jobs=1, completed=1, cost_usd=job.cost_usd)
    assert await counts(engine) == {**dict.fromkeys(Status, 0), Status.COMPLETED: 1}


async def test_a_recovery_that_fails_counts_once_and_says_the_new_reason(
    engine: Engine, recovery: RecoveryStore
) -> None:
    await unknown(engine)
    await recovery.reconcile("job_1", HANDLE, "video-17")
    engine.provider.polls = [Failed(ProviderRejected("it broke after all"))]
    job = await engine.carry(await engine.claim("worker_2"))
    assert job.state is State.FAILED
    assert job.problem is not None
    assert job.problem.code == "provider_rejected"
    assert await used(engine) == Usage(jobs=1, failed=1)
    assert await counts(engine) == {**dict.fromkeys(Status, 0), Status.FAILED: 1}
    assert await recovery.unsettled() == []


async def test_a_recovering_job_survives_the_death_of_its_worker(engine: Engine, recovery: RecoveryStore) -> None:
    await unknown(engine)
    await recovery.reconcile("job_1", HANDLE, "video-17")
    await engine.claim("worker_2")
    claimed = await engine.take_over("worker_3")
    assert claimed.job.state is State.RECOVERING
    assert (await engine.carry(claimed)).state is State.SUCCEEDED


async def test_of_several_submissions_the_first_unknown_is_taken_up_and_the_rest_is_missing(
    engine: Engine, recovery: RecoveryStore
) -> None:
    await unknown(engine, n=2)
    await recovery.reconcile("job_1", HANDLE, "video-17")
    job = await engine.carry(await engine.claim("worker_2"))
    assert job.state is State.SUCCEEDED
    assert len(job.outputs) == 1
    assert any("submission_unknown" in warning for warning in job.warnings)
    assert engine.provider.asked("submit") == [row["id"] for row in await engine.attempts()]


@pytest.mark.parametrize("make", [rejected, lost])
async def test_only_a_submission_whose_fate_is_unknown_is_reconciled(
    engine: Engine, recovery: RecoveryStore, make: Callable[..., Any]
) -> None:
    await make(engine)
    before = await snapshot(engine)
    with pytest.raises(NotRecoverable, match="no submission whose fate is unknown"):
        await recovery.reconcile("job_1", HANDLE, "video-17")
    assert await snapshot(engine) == before


async def test_the_second_of_two_operators_is_refused(engine: Engine, recovery: RecoveryStore) -> None:
    await unknown(engine)
    await recovery.reconcile("job_1", HANDLE, "video-17")
    before = await snapshot(engine)
    with pytest.raises(NotRecoverable, match="'job_1' is recovering; only a job that has failed or expired"):
        await recovery.reconcile("job_1", {"name": "another"}, "video-18")
    assert await snapshot(engine) == before


# Recover.


async def test_a_lost_video_is_asked_for_once_more_and_kept(engine: Engine, recovery: RecoveryStore) -> None:
    await lost(engine)
    engine.provider.calls.clear()
    await recovery.recover("job_1")
    job = await engine.carry(await engine.claim("worker_2"))
    assert (job.state, job.problem, len(job.outputs)) == (State.SUCCEEDED, None, 1)
    assert [verb for verb, _ in engine.provider.calls] == ["poll", "fetch"]


async def test_a_video_that_stays_lost_can_be_tried_again(engine: Engine, recovery: RecoveryStore) -> None:
    await lost(engine)
    await recovery.recover("job_1")
    engine.provider.fetches = [OutputLost("the link has expired")]
    assert (await engine.carry(await engine.claim("worker_2"))).state is State.FAILED
    assert [job.id for job in await recovery.unsettled()] == ["job_1"]
    engine.provider.fetches = []
    await recovery.recover("job_1")
    assert (await engine.carry(await engine.claim("worker_3"))).state is State.SUCCEEDED


@pytest.mark.parametrize("make", [rejected, unknown])
async def test_only_a_video_that_was_there_is_recovered(
    engine: Engine, recovery: RecoveryStore, make: Callable[..., Any]
) -> None:
    await make(engine)
    before = await snapshot(engine)
    with pytest.raises(NotRecoverable, match="has no video at its provider that could be fetched"):
        await recovery.recover("job_1")
    assert await snapshot(engine) == before


# Write off.


@pytest.mark.parametrize("make", [unknown, lost])
async def test_what_is_written_off_waits_no_more_and_cannot_be_taken_up(
    engine: Engine, recovery: RecoveryStore, make: Callable[..., Any]
) -> None:
    job = await make(engine)
    await recovery.write_off("job_1")
    assert await recovery.unsettled() == []
    assert (await engine.job()).problem == job.problem
    for act in (recovery.recover("job_1"), recovery.reconcile("job_1", HANDLE, "v"), recovery.write_off("job_1")):
        with pytest.raises(NotRecoverable):
            await act


async def test_there_is_nothing_to_write_off_of_a_job_that_was_refused(engine: Engine, recovery: RecoveryStore) -> None:
    await rejected(engine)
    with pytest.raises(NotRecoverable, match="has nothing that could be written off"):
        await recovery.write_off("job_1")


# What cannot be taken up.


@pytest.mark.parametrize("make", [unknown, lost])
async def test_a_job_on_the_callers_own_key_is_left_to_the_caller(
    engine: Engine, recovery: RecoveryStore, make: Callable[..., Any]
) -> None:
    await make(engine, sealed_secret="v1.sealed")
    before = await snapshot(engine)
    act = recovery.recover("job_1") if make is lost else recovery.reconcile("job_1", HANDLE, "video-17")
    with pytest.raises(NotRecoverable, match="the caller's own key, which was wiped"):
        await act
    assert await snapshot(engine) == before
    assert await engine.rows("SELECT * FROM byok_secrets") == []


async def test_a_job_that_has_not_failed_is_left_alone(engine: Engine, recovery: RecoveryStore) -> None:
    await engine.create()
    await engine.carry(await engine.claim())
    await engine.create(2)
    for job_id, state in (("job_1", "succeeded"), ("job_2", "queued")):
        for act in (recovery.recover(job_id), recovery.reconcile(job_id, HANDLE, "v"), recovery.write_off(job_id)):
            with pytest.raises(NotRecoverable, match=f"'{job_id}' is {state}; only a job that has failed or expired"):
                await act


async def test_a_job_that_does_not_exist_is_not_found(recovery: RecoveryStore) -> None:
    for act in (recovery.recover("job_9"), recovery.reconcile("job_9", HANDLE, "v"), recovery.write_off("job_9")):
        with pytest.raises(JobNotFound, match="'job_9' not found"):
            await act


# With the adapters.


class Known(ScriptedProvider):
    """Finds a generation again by the provider's own id."""

    def handle_for(self, provider_video_id: str) -> Handle:
        return {"name": provider_video_id}


async def test_the_adapter_of_the_jobs_api_makes_the_handle(engine: Engine, recovery: RecoveryStore) -> None:
    await unknown(engine, api="cloud")
    adapters: dict[tuple[str, str | None], Provider] = {
        ("scripted", None): ScriptedProvider(),
        ("scripted", "cloud"): Known(),
    }
    await Recovery(recovery, adapters).reconcile("job_1", "video-17")
    (attempt,) = (await engine.claim("worker_2")).attempts
    assert attempt.handle == {"name": "video-17"}


@pytest.mark.parametrize(
    ("adapters", "error"),
    [({}, NotRecoverable), ({("scripted", "cloud"): Known()}, NotRecoverable),
     ({("scripted", None): ScriptedProvider()}, UnsupportedOption)],
)  # fmt: skip
async def test_a_job_whose_id_leads_nowhere_stays_as_it_is(
    engine: Engine, recovery: RecoveryStore, adapters: dict[tuple[str, str | None], Provider], error: type[RushesError]
) -> None:
    await unknown(engine)
    before = await snapshot(engine)
    with pytest.raises(error):
        await Recovery(recovery, adapters).reconcile("job_1", "video-17")
    assert await snapshot(engine) == before
