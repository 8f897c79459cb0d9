"""Workers whose storage, network or clock is in trouble, beside ones that are well; and jobs that cannot go on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from rushes.domain.job import Job, State
from rushes.domain.progress import Working
from rushes.engine.breaker import FAILURES_TO_OPEN, Breaker, Outcome
from rushes.engine.hand_over import FAILED_POLLS, STORAGE_BOUND_S, UNREACHABLE_BOUND_S
from rushes.engine.job_resources import JobResources
from rushes.engine.storage_health import FAILURES_TO_FAIL, StorageHealth
from rushes.engine.worker import STORAGE_CHECK_S, Worker, WorkerLimits
from rushes.errors import ProviderAuth, ProviderUnavailable, StorageUnavailable, UnexpectedResponse
from rushes.operations.job_list import JobListStore, JobQuery
from tests.fixtures.clocks import ManualClock
from tests.fixtures.engine import LEASE_S, Engine
from tests.fixtures.new_jobs import clip_model
from tests.fixtures.scripted_provider import DONE, FakeOutputStore, ScriptedProvider, stored_video

UNREACHABLE = ProviderUnavailable("no route to the provider")
FULL = StorageUnavailable("The media storage is full.")


class SkewedClock:
    """A host's clock that is wrong by some time; its steady clock is right."""

    def __init__(self, clock: ManualClock, ahead_s: float) -> None:
        self._clock = clock
        self._ahead_ms = round(ahead_s * 1000)

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._ahead_ms

    def steady_ms(self) -> int:
        return self._clock.steady_ms()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Site:
    """One worker with a storage, a network and a clock of its own, beside others on the engine's database."""

    def __init__(self, engine: Engine, worker_id: str, *, ahead_s: float = 0) -> None:
        self.outputs = FakeOutputStore()
        self.provider = ScriptedProvider()
        self.breaker = Breaker()
        self.health = StorageHealth()
        self.stores = True
        self.clocks_ahead_s: list[float] = []
        self._engine = engine
        self._clock = SkewedClock(engine.clock, ahead_s)
        self.worker = Worker(
            engine.leases(worker_id),
            self._resources_for,
            self._clock,
            WorkerLimits(lease_s=LEASE_S),
            storage_health=self.health,
            check_storage=self._check_storage,
            heartbeat_recorded=self.clocks_ahead_s.append,
        )
        engine.workers.append(self.worker)

    async def _resources_for(self, job: Job) -> JobResources:
        return replace(
            self._engine.resources(),
            provider=self.provider,
            outputs=self.outputs,
            breaker=self.breaker,
            storage_health=self.health,
            clock=self._clock,
        )

    async def _check_storage(self) -> None:
        if not self.stores:
            raise FULL

    def lose_storage(self) -> None:
        self.stores = False
        self.outputs.troubles = [FULL] * 1000

    def mend_storage(self) -> None:
        self.stores = True
        self.outputs.troubles = []

    def open_breaker(self) -> None:
        for _ in range(FAILURES_TO_OPEN):
            call = self.breaker.begin(self._clock.steady_ms())
            assert call is not None
            self.breaker.end(call, Outcome.UNREACHED, self._clock.steady_ms())


async def job_states(engine: Engine) -> dict[str, str]:
    return {row["id"]: row["state"] for row in await engine.rows("SELECT id, state FROM jobs")}


# A storage that only one worker has lost.


async def test_a_worker_that_cannot_store_gives_its_videos_to_one_that_can(engine: Engine) -> None:
    bad, good = Site(engine, "worker_1"), Site(engine, "worker_2")
    bad.lose_storage()
    await bad.worker.start(alone=False)
    for number in range(5):
        await engine.create(number)
    await engine.clock.run_for(10)
    assert bad.health.is_down
    assert not bad.worker.can_store
    await good.worker.start(alone=False)
    await engine.clock.run_for(STORAGE_BOUND_S + 90)
    assert set((await job_states(engine)).values()) == {"succeeded"}
    assert len(good.outputs.kept) == 5
    assert len(bad.provider.asked("submit") + good.provider.asked("submit")) == 5


async def test_a_worker_that_cannot_store_claims_nothing_until_its_storage_is_back(engine: Engine) -> None:
    bad = Site(engine, "worker_1")
    bad.lose_storage()
    await bad.worker.start(alone=True)
    for number in range(FAILURES_TO_FAIL):
        await engine.create(number)
    await engine.clock.run_until(lambda: bad.health.is_down)
    await engine.create("new")
    await engine.clock.run_for(120)
    assert (await job_states(engine))["job_new"] == "queued"
    bad.mend_storage()
    await engine.clock.run_for(STORAGE_CHECK_S + 120)
    assert set((await job_states(engine)).values()) == {"succeeded"}


async def test_a_worker_alone_keeps_what_it_could_not_store(engine: Engine) -> None:
    bad = Site(engine, "worker_1")
    bad.lose_storage()
    await bad.worker.start(alone=False)
    await engine.create()
    await engine.clock.run_for(10 * STORAGE_BOUND_S)
    (row,) = await engine.rows("SELECT state, worker_id, trouble_code FROM jobs")
    assert (row["state"], row["worker_id"], row["trouble_code"]) == ("storing", "worker_1", "storage_unavailable")


def test_a_single_failure_does_not_stop_a_worker() -> None:
    health = StorageHealth()
    for _ in range(FAILURES_TO_FAIL - 1):
        health.failed(0)
    assert not health.is_down
    health.stored()
    health.failed(1000)
    assert not health.is_down
    assert health.down_s(99_000) == 0


def test_the_time_without_storage_begins_with_its_first_failure() -> None:
    health = StorageHealth()
    for moment_ms in (1000, 2000, 3000):
        health.failed(moment_ms)
    assert health.down_s(31_000) == 30


# A provider that only one worker cannot reach.


@pytest.mark.parametrize("failing", ["before", "meanwhile"])
async def test_jobs_that_one_worker_cannot_submit_are_submitted_by_another(engine: Engine, failing: str) -> None:
    bad, good = Site(engine, "worker_1"), Site(engine, "worker_2")
    if failing == "before":
        bad.open_breaker()
    bad.provider.submits = [UNREACHABLE]
    await bad.worker.start(alone=False)
    await good.worker.start(alone=False)
    good.outputs.troubles = []
    for number in range(8):
        await engine.create(number)
    await engine.clock.run_for(90)
    assert set((await job_states(engine)).values()) == {"succeeded"}


async def test_a_job_that_nobody_can_submit_waits_and_is_submitted_when_the_provider_is_back(engine: Engine) -> None:
    bad, other = Site(engine, "worker_1"), Site(engine, "worker_2")
    for site in (bad, other):
        site.provider.submits = [UNREACHABLE]
        site.open_breaker()
        await site.worker.start(alone=False)
    await engine.create()
    await engine.clock.run_for(60)
    assert (await engine.job()).status.value in ("pending", "in_progress")
    for site in (bad, other):
        site.provider.submits = []
    await engine.clock.run_for(300)
    assert (await engine.job()).state is State.SUCCEEDED
    assert len(await engine.attempts()) == 1


async def test_a_generation_that_one_worker_cannot_poll_is_polled_by_another(engine: Engine) -> None:
    bad, good = Site(engine, "worker_1"), Site(engine, "worker_2")
    bad.provider.polls = [UNREACHABLE]
    await bad.worker.start(alone=False)
    await engine.create()
    await engine.clock.run_until(lambda: len(bad.provider.asked("poll")) >= FAILED_POLLS)
    await good.worker.start(alone=False)
    await engine.clock.run_for(3 * UNREACHABLE_BOUND_S)
    assert (await engine.job()).state is State.SUCCEEDED
    assert good.provider.asked("poll")
    assert not good.provider.asked("submit")


# A clock that is wrong.


@pytest.mark.parametrize("ahead_s", [5 * 3600, -5 * 3600])
async def test_running_jobs_outlive_the_takeover_by_a_worker_whose_clock_is_wrong(
    engine: Engine, ahead_s: float
) -> None:
    first = Site(engine, "worker_1")
    first.provider.polls = [Working()]
    await first.worker.start(alone=False)
    for number in range(10):
        await engine.create(number)
    await engine.clock.run_for(60)
    await engine.clock.run(first.worker.stop())
    second = Site(engine, "worker_2", ahead_s=ahead_s)
    second.provider.polls = [Working(), Working(), DONE]
    await second.worker.start(alone=False)
    await engine.clock.run_for(200)
    second.provider.polls = [DONE]
    await engine.clock.run_for(200)
    assert set((await job_states(engine)).values()) == {"succeeded"}


async def test_a_difference_of_the_clocks_is_measured_and_warned_of_once(engine: Engine) -> None:
    with capture_logs() as lines:
        site = Site(engine, "worker_1", ahead_s=7200)
        await site.worker.start(alone=False)
        await engine.clock.run_for(60)
    assert len(site.clocks_ahead_s) > 5
    assert all(abs(ahead_s - 7200) < 2 for ahead_s in site.clocks_ahead_s)
    warnings = [line for line in lines if line["event"] == "clock_differs_from_the_database"]
    assert [line["ahead_s"] for line in warnings] == [7200]


async def test_a_clock_that_is_right_is_not_warned_of(engine: Engine) -> None:
    with capture_logs() as lines:
        site = Site(engine, "worker_1")
        await site.worker.start(alone=False)
        await engine.clock.run_for(60)
    assert all(abs(ahead_s) < 2 for ahead_s in site.clocks_ahead_s)
    assert not [line for line in lines if line["event"] == "clock_differs_from_the_database"]


async def test_a_job_taken_over_after_its_deadline_gets_its_providers_answer_first(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) == 1)
    engine.clock.advance(10 * 3600)
    # Its network comes up a little later than the worker does.
    engine.provider.polls = [UNREACHABLE, UNREACHABLE, DONE]
    assert (await engine.carry(await engine.take_over())).state is State.SUCCEEDED


async def test_a_job_taken_over_after_its_deadline_ends_with_the_first_answer(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) == 1)
    engine.clock.advance(10 * 3600)
    polls = len(engine.provider.asked("poll"))
    assert (await engine.carry(await engine.take_over())).state is State.EXPIRED
    assert len(engine.provider.asked("poll")) == polls + 1


async def test_a_job_taken_over_after_its_deadline_does_not_wait_long_for_an_answer(engine: Engine) -> None:
    engine.provider.polls = [Working()]
    await engine.crash_when(lambda: len(engine.provider.asked("poll")) == 1)
    engine.clock.advance(10 * 3600)
    engine.provider.polls = [UNREACHABLE]
    began_ms = engine.clock.now_ms()
    assert (await engine.carry(await engine.take_over())).state is State.EXPIRED
    assert engine.clock.now_ms() - began_ms < 200_000


# What keeps a job from going on is shown.


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UNREACHABLE, "provider_unavailable"),
        (UnexpectedResponse("HTML where JSON should be"), "unexpected_response"),
        (ProviderAuth("the key was refused"), "provider_auth"),
    ],
)
async def test_the_last_trouble_of_a_job_that_is_polled_without_success_is_shown(
    engine: Engine, error: Exception, code: str
) -> None:
    engine.provider.polls = [error]
    await engine.create()
    await engine.crash_carrying(await engine.claim(), lambda: len(engine.provider.asked("poll")) >= 4)
    trouble = (await engine.job()).trouble
    assert trouble is not None
    assert trouble.code == code
    assert trouble.at <= engine.clock.now_ms()


async def test_trouble_costs_few_writes(engine: Engine) -> None:
    engine.provider.polls = [UNREACHABLE]
    job = await engine.create_and_carry(deadline_s=1200)
    assert job.state is State.EXPIRED
    assert len(engine.provider.asked("poll")) > 15
    assert job.trouble is not None
    assert job.trouble.at >= job.deadline_at - 310_000
    events = await engine.rows("SELECT seq FROM job_events")
    assert len(events) < 10


async def test_trouble_is_forgotten_when_the_job_goes_on(engine: Engine) -> None:
    engine.provider.polls = [UNREACHABLE, UNREACHABLE, UNREACHABLE, DONE]
    job = await engine.create_and_carry()
    assert (job.state, job.trouble) == (State.SUCCEEDED, None)


async def test_an_upstream_that_delivers_no_bytes_is_given_up_at_the_deadline(engine: Engine) -> None:
    class Empty(FakeOutputStore):
        async def store(  # type: ignore[override]
            self, key: str, chunks: object, *, account_id: str, accepts_text: bool = False
        ) -> object:
            return stored_video(key, b"")

    engine.outputs = Empty()
    engine.model = clip_model(deadline_s=600)
    job = await engine.create_and_carry(deadline_s=600)
    assert job.problem is not None
    assert (job.state, job.problem.code) == (State.FAILED, "output_lost")
    assert "without any bytes" in job.problem.message
    assert job.completed_at is not None
    assert 0 <= job.completed_at - job.deadline_at < 120_000
    assert job.trouble is not None
    assert job.trouble.code == "unexpected_response"


async def test_our_own_storage_may_be_away_beyond_the_deadline(engine: Engine) -> None:
    engine.outputs.troubles = [FULL] * 40
    job = await engine.create_and_carry(deadline_s=600)
    assert job.state is State.SUCCEEDED
    assert job.completed_at is not None
    assert job.completed_at > job.deadline_at


async def test_a_video_that_could_not_be_measured_can_be_listed_by_operators(engine: Engine) -> None:
    class Unmeasured(FakeOutputStore):
        async def store(  # type: ignore[override]
            self, key: str, chunks: object, *, account_id: str, accepts_text: bool = False
        ) -> object:
            trouble = "The provider's file is cut off."
            return replace(stored_video(key), width=None, height=None, duration_s=None, trouble=trouble)

    engine.outputs = Unmeasured()
    engine.provider.polls = [UNREACHABLE, DONE]
    job = await engine.create_and_carry()
    assert job.state is State.SUCCEEDED
    assert job.trouble is not None
    assert job.trouble.code == "output_unmeasured"
    assert "cut off" in job.trouble.message
    assert [warning for warning in job.warnings if "cut off" in warning]
    found = await JobListStore(engine.database).list(JobQuery(limit=10, trouble_code="output_unmeasured"))
    assert [listed.id for listed in found.jobs] == [job.id]
