"""Any order of events, against a model: what callers and workers do, and the deaths and restarts between."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from rushes.domain.fallbacks import Fallbacks
from rushes.domain.job import MOVES, Problem, State
from rushes.domain.progress import Submission
from rushes.domain.tenant import Tenant
from rushes.engine.job_record import Claim
from rushes.errors import LeaseLost, NotAbortable, NotCancellable
from rushes.jobs.store import Listing
from rushes.operations.abort import AbortStore
from tests.contract.database_harness import LEASE_S, Desk, Harness, PostgresHarness, SqliteHarness
from tests.fixtures.new_jobs import fallback, new_job
from tests.fixtures.scripted_provider import stored_video

T = TypeVar("T")

LANES = {"free": None, "single": 1, "pair": 2}
WORKERS = ["worker_1", "worker_2"]
ACCOUNTS = ["acct_1", "acct_2"]
FALLBACKS = Fallbacks(
    tuple(
        fallback(lane=lane, lane_capacity=LANES[lane], reports_progress=True, deadline_s=60)
        for lane in ("pair", "single")
    )
)
BEFORE_STORING = {State.QUEUED, State.SUBMITTING, State.REROUTED, State.RUNNING}
ENDS = {"fail", "expire", "put_back", "succeed", "fall_back"}
PROBLEM = Problem("provider_rejected", "It broke")


class Life:
    """The model of one job."""

    def __init__(self, account_id: str, lane: str) -> None:
        self.account_id = account_id
        self.lane = lane
        self.history = [State.QUEUED]
        self.attempts: dict[str, str] = {}
        self.fallbacks_used = 0
        self.progress = 0
        self.to_abort = False
        self.claim: Claim | None = None
        self.worker_id: str | None = None

    @property
    def state(self) -> State:
        return self.history[-1]

    @property
    def holds_a_slot(self) -> bool:
        claimed_in_queue = self.state.waits_in_lane and self.claim is not None
        return claimed_in_queue or self.state in (State.SUBMITTING, State.RUNNING)

    def move(self, to: State) -> None:
        self.history.append(to)
        if to.is_final:
            self.release()

    def release(self) -> None:
        self.claim = self.worker_id = None


class JobStoreMachine(RuleBasedStateMachine):
    """Does one thing after another to the store and to the model, and compares the two after each."""

    claims = Bundle("claims")
    make_harness: Callable[[Path], Harness] = SqliteHarness

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="rushes-machine-"))
        self.runner = asyncio.Runner()
        self.desk = self.wait_for(self.open())
        self.lives: dict[str, Life] = {}
        self.made = 0
        self.alive: set[str] = set()

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        # Runner.run sets and resets a signal handler each time, which took a sixth of the whole.
        return self.runner.get_loop().run_until_complete(coroutine)

    async def open(self) -> Desk:
        return Desk(type(self).make_harness(self.directory))

    def teardown(self) -> None:
        self.wait_for(self.desk.harness.close())
        self.runner.close()
        shutil.rmtree(self.directory)

    @initialize(target=claims)
    def workers_start(self) -> MultipleResults[Claim]:
        """Begin in the middle of things, so that few steps lead far."""
        for worker_id in WORKERS:
            self.beat(worker_id)
        for lane in LANES:
            self.create(ACCOUNTS[0], lane)
            self.create(ACCOUNTS[1], lane)
        claimed = self.claim(WORKERS[0], 4)
        for one, steps in zip(claimed.values, (["intend", "accept"], ["intend"], []), strict=False):
            for step in steps:
                self.do(one, step)
        return claimed

    # Callers.

    @rule(account_id=st.sampled_from(ACCOUNTS), lane=st.sampled_from(list(LANES)))
    def create(self, account_id: str, lane: str) -> None:
        self.made += 1
        new = new_job(
            self.made,
            account_id=account_id,
            lane=lane,
            lane_capacity=LANES[lane],
            reports_progress=True,
            deadline_s=60,
            fallbacks=FALLBACKS,
        )
        self.wait_for(self.desk.jobs.create(new))
        self.lives[new.id] = Life(account_id, lane)

    @precondition(lambda self: self.lives)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.lives)))
        life = self.lives[job_id]
        try:
            self.wait_for(self.desk.jobs.cancel(Tenant(life.account_id), job_id))
        except NotCancellable:
            assert life.state not in (State.QUEUED, State.CANCELLED)
        else:
            if life.state is State.QUEUED:
                life.move(State.CANCELLED)
            assert life.state is State.CANCELLED

    @precondition(lambda self: self.lives)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.lives)))
        life = self.lives[job_id]
        try:
            self.wait_for(AbortStore(self.desk.harness.database).request(job_id))
        except NotAbortable:
            assert life.state.is_final
        else:
            assert not life.state.is_final
            if life.state.waits_in_lane:
                life.move(State.FAILED)
            elif not life.to_abort:
                life.to_abort = True
                life.history.append(life.state)

    # Workers.

    @rule(worker_id=st.sampled_from(WORKERS))
    def beat(self, worker_id: str) -> None:
        self.wait_for(self.desk.leases(worker_id).beat(LEASE_S))
        self.alive.add(worker_id)

    @rule(target=claims, worker_id=st.sampled_from(WORKERS), most=st.integers(1, 4))
    def claim(self, worker_id: str, most: int) -> MultipleResults[Claim]:
        claimed = list(self.wait_for(self.desk.leases(worker_id).claim(most)))
        assert len(claimed) <= most
        assert worker_id in self.alive or not claimed
        for one in claimed:
            life = self.lives[one.job.id]
            assert life.claim is None
            assert one.job.state is life.state
            assert {attempt.id: attempt.state.value for attempt in one.attempts} == life.attempts
            life.claim = one
            life.worker_id = worker_id
        unclaimed = [life for life in self.lives.values() if life.claim is None and not life.state.is_final]
        if len(claimed) < most and worker_id in self.alive:
            for life in unclaimed:
                capacity = LANES[life.lane]
                assert life.state.waits_in_lane
                assert capacity is not None
                assert sum(other.holds_a_slot for other in self.lives.values() if other.lane == life.lane) == capacity
        # A database may answer them in any order, and what is drawn next must not depend on it.
        return multiple(*sorted(claimed, key=lambda one: one.job.id))

    @rule(one=claims, steps=st.integers(1, 8), data=st.data())
    def work(self, one: Claim, steps: int, data: st.DataObject) -> None:
        for _ in range(steps):
            self.work_a_step(one, data)
            self.wait_for(self.desk.check_books())

    def work_a_step(self, one: Claim, data: st.DataObject) -> None:
        life = self.lives[one.job.id]
        names = sorted(self.steps(life))
        # Ends are drawn less often, or few lives would get far.
        onward = [name for name in names if name not in ENDS]
        self.do(one, data.draw(st.sampled_from(onward * 4 + names), label="step"))

    def do(self, one: Claim, step: str) -> None:
        life = self.lives[one.job.id]
        write, change = self.steps(life)[step]
        try:
            self.wait_for(write(one))
        except LeaseLost:
            assert life.claim is not one
        except ValueError as error:
            assert "cannot move" in str(error)  # noqa: PT017 - one of three outcomes, each compared with the model
            assert life.claim is one
            assert not self.may(life, step)
        else:
            assert life.claim is one
            assert self.may(life, step)
            change()

    def may(self, life: Life, step: str) -> bool:
        """Whether the table of moves allows what a step does to the job's state."""
        to = {"succeed": State.SUCCEEDED, "fail": State.FAILED, "expire": State.EXPIRED}.get(step)
        if step == "fall_back":
            return life.state.waits_in_lane or State.REROUTED in MOVES[life.state]
        if step == "begin_storing":
            return life.state is State.STORING or State.STORING in MOVES[life.state]
        return to is None or to in MOVES[life.state]

    def steps(self, life: Life) -> dict[str, tuple[Any, Any]]:
        """What a worker may try next, each with what it changes in the model."""
        leases = self.desk.leases(life.worker_id or WORKERS[0])
        number = len(life.attempts)
        new_id = f"att_{self.made}_{sum(len(other.attempts) for other in self.lives.values())}_{id(life) % 9973}"
        intents = [key for key, state in life.attempts.items() if state == "intent"]
        accepted = [key for key, state in life.attempts.items() if state == "accepted"]
        percent = (life.progress + 37) % 96

        def intend() -> None:
            if life.state.waits_in_lane:
                life.move(State.SUBMITTING)
            life.attempts[new_id] = "intent"

        def accept() -> None:
            life.attempts[intents[0]] = "accepted"
            if life.state is State.SUBMITTING:
                life.move(State.RUNNING)

        def begin_storing() -> None:
            if life.state is not State.STORING:
                life.move(State.STORING)

        def fall_back() -> None:
            life.move(life.state if life.state.waits_in_lane else State.REROUTED)
            life.lane = FALLBACKS.models[life.fallbacks_used].lane
            life.fallbacks_used += 1
            life.attempts.clear()
            life.release()

        steps: dict[str, tuple[Any, Any]] = {
            "report": (
                lambda one: leases.record(one).report(percent),
                lambda: setattr(life, "progress", max(life.progress, percent)),
            ),
            "begin_storing": (lambda one: leases.record(one).begin_storing(), begin_storing),
            "put_back": (leases.put_back, life.release),
            "succeed": (
                lambda one: leases.record(one).succeed([stored_video()], "stored"),
                lambda: life.move(State.SUCCEEDED),
            ),
            "fail": (lambda one: leases.record(one).fail(State.FAILED, PROBLEM), lambda: life.move(State.FAILED)),
            "expire": (lambda one: leases.record(one).fail(State.EXPIRED, PROBLEM), lambda: life.move(State.EXPIRED)),
        }
        if number < 3 and life.state in BEFORE_STORING and not intents:
            part = self.next_part(life)
            steps["intend"] = (lambda one: leases.record(one).intend(attempt_id=new_id, part=part, n=1), intend)
        if intents:
            steps["accept"] = (lambda one: leases.record(one).accept(intents[0], Submission({"name": "a"})), accept)
            steps["withdraw"] = (
                lambda one: leases.record(one).withdraw(intents[0]),
                lambda: life.attempts.pop(intents[0]),
            )
        if accepted:
            steps["keep"] = (
                lambda one: leases.record(one).keep(accepted[0], [stored_video()]),
                lambda: life.attempts.update({accepted[0]: "stored"}),
            )
        if life.fallbacks_used < len(FALLBACKS.models) and len(intents) == number:
            steps["fall_back"] = (lambda one: leases.record(one).fall_back("no credit", 0), fall_back)
        if intents or accepted:
            failed_id = (intents + accepted)[0]
            steps["fail_attempt"] = (
                lambda one: leases.record(one).fail_attempt(failed_id, PROBLEM),
                lambda: life.attempts.update({failed_id: "failed"}),
            )
        return steps

    def next_part(self, life: Life) -> int:
        # A withdrawn attempt was the last one, because no other is made while an intent is open.
        return len(life.attempts)

    # Deaths and restarts.

    @rule(worker_id=st.sampled_from(WORKERS))
    def leave(self, worker_id: str) -> None:
        self.wait_for(self.desk.leases(worker_id).leave())
        self.releases(worker_id)

    @rule(seconds=st.sampled_from([1, 8, 20, 61]), survivor=st.sampled_from(WORKERS))
    def time_passes(self, seconds: int, survivor: str) -> None:
        """One worker shows that it is alive all the time; the other dies if its heartbeat runs out."""
        self.desk.harness.pass_time(seconds)
        self.beat(survivor)
        dead = {str(row["id"]) for row in self.wait_for(self.desk.rows("SELECT id FROM workers"))}
        self.wait_for(self.desk.leases(survivor).release_dead())
        dead -= {str(row["id"]) for row in self.wait_for(self.desk.rows("SELECT id FROM workers"))}
        assert survivor not in dead
        assert seconds <= LEASE_S or dead == self.alive - {survivor}
        for worker_id in dead:
            self.releases(worker_id)

    @rule(most=st.integers(1, 3))
    def expire_overdue(self, most: int) -> None:
        self.wait_for(self.desk.leases().expire_overdue(most))
        rows = self.wait_for(self.desk.rows("SELECT id FROM jobs WHERE state = 'expired'"))
        for row in rows:
            life = self.lives[str(row["id"])]
            if life.state is not State.EXPIRED:
                assert life.state.waits_in_lane
                assert life.claim is None
                life.move(State.EXPIRED)

    @rule()
    def restart(self) -> None:
        self.wait_for(self.desk.harness.restart())
        self.wait_for(self.desk.leases().release_dead(all_workers=True))
        for worker_id in WORKERS:
            self.releases(worker_id)
        assert self.wait_for(self.desk.rows("SELECT id FROM jobs WHERE lease IS NOT NULL")) == []

    def releases(self, worker_id: str) -> None:
        """A worker's jobs are free; the history of those that it had begun says so."""
        self.alive.discard(worker_id)
        for life in self.lives.values():
            if life.worker_id == worker_id:
                if not life.state.waits_in_lane:
                    life.history.append(life.state)
                life.release()

    # What always holds. One run of the loop checks it all: a run for each would take most of the time.

    @invariant()
    def store_and_model_agree(self) -> None:
        self.wait_for(self.agreement())

    async def agreement(self) -> None:
        await self.desk.check_books()
        await self.jobs_are_as_the_model_says()
        await self.events_tell_the_exact_history()
        await self.each_worker_finds_what_it_is_to_abort()
        await self.attempts_are_as_the_model_says()

    async def jobs_are_as_the_model_says(self) -> None:
        for account_id in ACCOUNTS:
            jobs = await self.desk.jobs.list(Tenant(account_id), Listing(limit=1000))
            assert [(job.id, job.state, job.progress) for job in reversed(jobs)] == [
                (job_id, life.state, life.progress)
                for job_id, life in self.lives.items()
                if life.account_id == account_id
            ]
            assert await self.desk.jobs.count(Tenant(account_id)) == len(jobs)

    async def events_tell_the_exact_history(self) -> None:
        told: dict[str, list[str]] = {}
        for row in await self.desk.rows("SELECT job_id, state FROM job_events ORDER BY seq"):
            told.setdefault(str(row["job_id"]), []).append(str(row["state"]))
        assert told == {job_id: [state.value for state in life.history] for job_id, life in self.lives.items()}
        for history in (life.history for life in self.lives.values()):
            assert all(to in MOVES[was] or (to is was and not was.is_final) for was, to in itertools.pairwise(history))

    async def each_worker_finds_what_it_is_to_abort(self) -> None:
        for worker_id in WORKERS:
            found = await self.desk.leases(worker_id).to_abort()
            assert set(found) == {
                job_id for job_id, life in self.lives.items() if life.to_abort and life.worker_id == worker_id
            }

    async def attempts_are_as_the_model_says(self) -> None:
        rows = await self.desk.rows("SELECT id, state FROM attempts")
        kept = {str(row["id"]): str(row["state"]) for row in rows}
        assert kept == {key: state for life in self.lives.values() for key, state in life.attempts.items()}


class PostgresJobStoreMachine(JobStoreMachine):
    """The same on a real server; fewer rounds, for each step goes there and back."""

    make_harness = PostgresHarness


TestJobStoreMachine = JobStoreMachine.TestCase
TestJobStoreMachine.settings = settings(
    max_examples=60,
    stateful_step_count=40,
)

TestPostgresJobStoreMachine = PostgresJobStoreMachine.TestCase
TestPostgresJobStoreMachine.settings = settings(TestJobStoreMachine.settings, max_examples=15)
