"""Any history of jobs, limits, deaths and operators, against a model: every cent adds up, and no cap is passed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Mode
from rushes.accounts.limits import WHOLE_ACCOUNT, LimitName, LimitStore
from rushes.domain.fallbacks import Fallbacks
from rushes.domain.job import Job, Problem, State
from rushes.domain.progress import Submission
from rushes.domain.request import VideoRequest
from rushes.domain.tenant import Tenant
from rushes.engine.job_record import Claim
from rushes.errors import NotRecoverable, PriceUnknown, SpendLimitReached
from rushes.jobs.idempotency import Once, Replay
from rushes.operations.recovery import RecoveryStore
from rushes.operations.settlement import SettlementStore
from tests.contract.database_harness import HARNESSES, Desk
from tests.fixtures.new_jobs import fallback, new_job
from tests.fixtures.scripted_provider import stored_video

T = TypeVar("T")

MICROUSD = 1_000_000
SPENDING = [name for name in LimitName if name.is_money]
PRICES = [None, 0, 100_000, 333_333, 1_000_000]
"""Of one video, in millionths of a dollar; None is not known."""
FATES = ["stored", "provider_rejected", "submission_unknown", "output_lost", "expired"]
UNCERTAIN = {"submission_unknown", "output_lost", "expired"}
LASTING_S = 3600
ENDED = {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED}


class PowerCut(Exception):
    """The transaction does not get to its end."""


class Life:
    """The model of one job and its money."""

    def __init__(
        self,
        place: tuple[str, str],
        n: int,
        price: int | None,
        spares: Sequence[int | None],
        at: int,
        user: str | None = None,
    ) -> None:
        self.account_id, self.key_id = place
        self.user = user
        self.n = n
        self.price = price
        self.spares = list(spares)
        self.at = at
        self.reserved = max((one * n for one in (price, *spares) if one is not None), default=0)
        self.spent: int | None = None
        self.state = State.QUEUED
        self.fates: list[str] = []
        self.held_when_deleted: int | None = None

    @property
    def deleted(self) -> bool:
        return self.held_when_deleted is not None

    @property
    def is_free(self) -> bool:
        return self.price == 0 and self.reserved == 0

    @property
    def held(self) -> int:
        return self.reserved + (self.spent or 0)

    def held_under(self, limit: LimitName) -> int:
        """A deleted job has no user any more, so nothing that happens to it later changes what its user has held."""
        if limit is LimitName.USER_SPEND_DAY and self.held_when_deleted is not None:
            return self.held_when_deleted
        return self.held

    def periods(self) -> dict[LimitName, tuple[str | None, ...]]:
        return {limit: (period,) for limit, period in periods_of(self.at).items()} | {
            LimitName.USER_SPEND_DAY: (periods_of(self.at)[LimitName.SPEND_DAY], self.user)
        }

    def end(self, state: State) -> None:
        was, self.state = self.state, state
        before = self.held
        if self.is_free or (was is State.RECOVERING and (state is State.FAILED or self.spent)):
            return
        delivered = self.fates.count("stored")
        uncertain = sum(fate in UNCERTAIN for fate in self.fates)
        if self.price is None:
            self.reserved, self.spent = 0, None if delivered or uncertain else 0
        else:
            self.reserved, self.spent = self.price * uncertain, self.price * delivered
        # What a job costs can only fall by itself, or a cap that was kept at the start would not be kept at the end.
        assert was is State.RECOVERING or self.held <= before


class MoneyMachine(RuleBasedStateMachine):
    """Does one thing after another to the store and to the model, and compares the two after each."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="rushes-money-"))
        self.runner = asyncio.Runner()
        self.desk = Desk(self.wait_for(self.open()))
        self.lives: dict[str, Life] = {}
        self.claims: dict[str, Claim] = {}
        self.limits: dict[tuple[str, str, LimitName], int] = {}
        self.answers: dict[str, str] = {}
        self.places: list[tuple[str, str]] = []
        self.names: dict[str, str] = {}

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        # Runner.run sets and resets a signal handler each time, which took a sixth of the whole.
        return self.runner.get_loop().run_until_complete(coroutine)

    async def open(self) -> Any:
        return HARNESSES[0](self.directory)

    def teardown(self) -> None:
        self.wait_for(self.desk.harness.close())
        self.runner.close()
        shutil.rmtree(self.directory)

    @initialize()
    def people_come(self) -> None:
        for name in ("alice", "alice", "bob"):
            record, key = self.wait_for(
                KeyStore(self.desk.harness.database).create_key(account=name, name="", mode=Mode.LIVE)
            )
            caller = self.wait_for(KeyStore(self.desk.harness.database).authenticate(key))
            self.places.append((caller.account_id, record.id))
            self.names[caller.account_id] = name
        # Begin in the middle of things, so that few steps lead far.
        for place, fates in enumerate(
            [["submission_unknown", "provider_rejected"], ["output_lost", "submission_unknown"], ["expired", "expired"]]
        ):
            self.create(place, 2, [MICROUSD], None, "on", "anna")
            job_id = f"job_{len(self.lives)}"
            self.intend_all(job_id, "")
            self.wait_for(self.carry_to_end(job_id, self.lives[job_id], fates))

    # Operators set limits.

    @rule(place=st.integers(0, 2), whole=st.booleans(), name=st.sampled_from(SPENDING), usd=st.integers(0, 6))
    def set_limit(self, place: int, whole: bool, name: LimitName, usd: int) -> None:
        account_id, key_id = self.places[place]
        key_id = WHOLE_ACCOUNT if whole else key_id
        self.wait_for(self.limit_store.set(self.names[account_id], key_id, {name: usd * MICROUSD}))
        self.limits[account_id, key_id, name] = usd * MICROUSD

    @precondition(lambda self: self.limits)
    @rule(data=st.data())
    def clear_limit(self, data: st.DataObject) -> None:
        account_id, key_id, name = data.draw(st.sampled_from(sorted(self.limits)))
        assert self.wait_for(self.limit_store.clear(self.names[account_id], key_id, [name])) == [name]
        del self.limits[account_id, key_id, name]

    # Callers.

    @rule(
        place=st.integers(0, 2),
        n=st.integers(1, 4),
        prices=st.lists(st.sampled_from(PRICES), min_size=1, max_size=3),
        user=st.sampled_from([None, "anna", "ben"]),
        once=st.sampled_from([None, None, "order-1", "order-2"]),
        power=st.sampled_from(["on", "on", "on", "cut"]),
    )
    def create(
        self, place: int, n: int, prices: list[int | None], once: str | None, power: str, user: str | None
    ) -> None:
        where = self.places[place]
        job_id = f"job_{len(self.lives) + 1}"
        life = Life(where, n, prices[0], prices[1:], self.desk.harness.now_ms(), user)
        costs = [None if price is None else Decimal(price * n) / MICROUSD for price in prices]
        new = new_job(
            len(self.lives) + 1,
            account_id=where[0],
            key_id=where[1],
            request=VideoRequest("a dog", n=n),
            cost_usd=costs[0],
            fallbacks=Fallbacks(tuple(fallback(name=f"spare/{i}", cost_usd=one) for i, one in enumerate(costs[1:]))),
            deadline_s=LASTING_S,
            user=user,
        )
        repeated = None if once is None else f"{where[0]} {once}"
        try:
            made = self.wait_for(self.store_job(new, repeated, cut=power == "cut"))
        except PowerCut:
            return
        except (SpendLimitReached, PriceUnknown) as refusal:
            assert self.refusal_of(life) is type(refusal)  # noqa: PT017 - one of several outcomes, compared with the model
            return
        if isinstance(made, Replay):
            assert repeated is not None
            assert made.answer == self.answers[repeated]
            return
        assert self.refusal_of(life) is None
        self.lives[job_id] = life
        if repeated is not None:
            self.answers[repeated] = job_id

    async def store_job(self, new: Any, once: str | None, *, cut: bool) -> Job | Replay:
        if once is None and not cut:
            return await self.desk.jobs.create(new)

        def fail(_: Job) -> NoReturn:
            raise PowerCut

        key = once if once is not None else f"cut {new.id}"
        answer_of = fail if cut else lambda job: job.id
        return await self.desk.jobs.create_once(new, Once("POST /x", key, "same", answer_of))

    def refusal_of(self, life: Life) -> type[Exception] | None:
        """What the model says of another job like this one."""
        in_force = {
            (key_id, name): value
            for (account_id, key_id, name), value in self.limits.items()
            if account_id == life.account_id
            and key_id in (WHOLE_ACCOUNT, life.key_id)
            and (name is not LimitName.USER_SPEND_DAY or life.user is not None)
        }
        if in_force and None in (life.price, *life.spares):
            return PriceUnknown
        for (key_id, name), value in in_force.items():
            if life.reserved and self.held_in(life, key_id, name) + life.reserved > value:
                return SpendLimitReached
        return None

    def held_in(self, life: Life, key_id: str, name: LimitName) -> int:
        return sum(
            one.held_under(name)
            for one in self.lives.values()
            if one.account_id == life.account_id
            and key_id in (WHOLE_ACCOUNT, one.key_id)
            and one.periods()[name] == life.periods()[name]
        )

    @precondition(lambda self: self.having(State.QUEUED))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id, life = self.pick(data, State.QUEUED)
        self.wait_for(self.desk.jobs.cancel(Tenant(life.account_id), job_id))
        life.end(State.CANCELLED)
        self.claims.pop(job_id, None)

    @precondition(lambda self: self.having(*ENDED))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job_id, life = self.pick(data, *ENDED)
        self.wait_for(self.desk.jobs.delete(Tenant(life.account_id), job_id))
        life.held_when_deleted = life.held

    # Workers.

    @precondition(lambda self: self.having(State.QUEUED))
    @rule(data=st.data())
    def submit(self, data: st.DataObject) -> None:
        job_id, _ = self.pick(data, State.QUEUED)
        self.intend_all(job_id, "")

    def intend_all(self, job_id: str, mark: str) -> None:
        one, life = self.claimed(job_id), self.lives[job_id]
        for part in range(life.n):
            self.wait_for(self.desk.leases().record(one).intend(attempt_id=f"{job_id}_{mark}{part}", part=part, n=1))
        life.state = State.SUBMITTING

    @precondition(lambda self: any(life.spares for life in self.having(State.QUEUED, State.SUBMITTING).values()))
    @rule(data=st.data())
    def fall_back(self, data: st.DataObject) -> None:
        job_id, life = self.pick(data, State.QUEUED, State.SUBMITTING)
        if not life.spares:
            return
        one = self.claimed(job_id)
        self.wait_for(self.desk.leases().record(one).fall_back("it is away", self.desk.harness.now_ms()))
        life.price = life.spares.pop(0)
        life.state = State.QUEUED if life.state is State.QUEUED else State.REROUTED
        del self.claims[job_id]

    @precondition(lambda self: self.having(State.REROUTED))
    @rule(data=st.data())
    def submit_to_fallback(self, data: st.DataObject) -> None:
        job_id, _ = self.pick(data, State.REROUTED)
        self.intend_all(job_id, "f")

    @precondition(lambda self: self.having(State.SUBMITTING))
    @rule(data=st.data(), fates=st.lists(st.sampled_from(FATES), min_size=4, max_size=4))
    def finish(self, data: st.DataObject, fates: list[str]) -> None:
        job_id, life = self.pick(data, State.SUBMITTING)
        self.wait_for(self.carry_to_end(job_id, life, fates[: life.n]))

    async def carry_to_end(self, job_id: str, life: Life, fates: list[str]) -> None:
        one = await self.claim(job_id)
        leases = self.desk.leases()
        rows = await self.desk.rows(f"SELECT id FROM attempts WHERE job_id = '{job_id}' ORDER BY part")
        for row, fate in zip(rows, fates, strict=True):
            await leases.record(one).accept(str(row["id"]), Submission({"name": "x"}))
            if fate != "stored":
                await leases.record(one).fail_attempt(str(row["id"]), Problem(fate, "It broke"))
        if "stored" in fates:
            await leases.record(one).begin_storing()
            for row, fate in zip(rows, fates, strict=True):
                if fate == "stored":
                    await leases.record(one).keep(str(row["id"]), [stored_video()])
        life.fates = fates
        await self.finish_job(one, life)

    async def finish_job(self, one: Claim, life: Life) -> None:
        delivered = life.fates.count("stored")
        if delivered:
            await self.desk.leases().record(one).succeed([stored_video()] * delivered, "stored")
            life.end(State.SUCCEEDED)
        else:
            await self.desk.leases().record(one).fail(State.FAILED, Problem("provider_rejected", "It broke"))
            life.end(State.FAILED)
        del self.claims[one.job.id]

    @rule(hours=st.sampled_from([1, 12, 24 * 20]))
    def time_passes(self, hours: int) -> None:
        """Also over the ends of days and months; what waits unclaimed beyond its deadline expires."""
        self.desk.harness.pass_time(hours * 3600)
        self.wait_for(self.desk.leases().expire_overdue(1000))
        for job_id, life in self.having(State.QUEUED, State.REROUTED).items():
            if job_id not in self.claims:
                life.end(State.EXPIRED)

    @rule()
    def crash(self) -> None:
        """The process dies; the next one finds every lease free."""
        self.wait_for(self.desk.harness.restart())
        self.wait_for(self.desk.leases().release_dead(all_workers=True))
        self.claims.clear()

    # Operators.

    @precondition(lambda self: self.having(State.FAILED))
    @rule(data=st.data(), found=st.booleans(), word=st.sampled_from(["reconcile", "recover"]))
    def take_up_again(self, data: st.DataObject, found: bool, word: str) -> None:
        job_id, life = self.pick(data, State.FAILED)
        fate = "submission_unknown" if word == "reconcile" else "output_lost"
        try:
            if word == "reconcile":
                self.wait_for(self.recovery.reconcile(job_id, {"name": "y"}, "video-17"))
            else:
                self.wait_for(self.recovery.recover(job_id))
        except NotRecoverable:
            assert fate not in life.fates
            return
        life.state = State.RECOVERING
        one = self.claimed(job_id)
        revived = [attempt.id for attempt in one.attempts if attempt.state == "accepted"]
        places = [part for part, was in enumerate(life.fates) if was == fate][: len(revived)]
        for attempt_id, part in zip(revived, places, strict=False):
            if found:
                self.wait_for(self.desk.leases().record(one).keep(attempt_id, [stored_video()]))
                life.fates[part] = "stored"
            else:
                self.wait_for(self.desk.leases().record(one).fail_attempt(attempt_id, Problem(fate, "It broke")))
        self.wait_for(self.finish_job(one, life))

    @precondition(lambda self: self.having(State.FAILED))
    @rule(data=st.data())
    def write_off(self, data: st.DataObject) -> None:
        job_id, life = self.pick(data, State.FAILED)
        lost, unknown = life.fates.count("output_lost"), life.fates.count("submission_unknown")
        try:
            self.wait_for(self.recovery.write_off(job_id))
        except NotRecoverable:
            assert not lost + unknown
            return
        if life.reserved and life.price is not None:
            life.spent = (life.spent or 0) + life.price * lost
            life.reserved -= life.price * (lost + unknown)
        life.fates = ["provider_rejected" if f in ("output_lost", "submission_unknown") else f for f in life.fates]

    @precondition(lambda self: any(life.state in ENDED for life in self.lives.values()))
    @rule(data=st.data(), microusd=st.sampled_from([0, 50_000, 5_000_000]))
    def settle(self, data: st.DataObject, microusd: int) -> None:
        ended = {k: v for k, v in self.lives.items() if v.state in ENDED and (not v.deleted or v.reserved)}
        if not ended:
            return
        job_id = data.draw(st.sampled_from(sorted(ended)))
        self.wait_for(self.settlement.settle(job_id, Decimal(microusd) / MICROUSD))
        ended[job_id].reserved, ended[job_id].spent = 0, microusd

    @rule()
    def everything_ends(self) -> None:
        for life in list(self.having(State.QUEUED, State.REROUTED, State.SUBMITTING).items()):
            if life[1].state is State.SUBMITTING:
                self.wait_for(self.carry_to_end(*life, ["stored"] * life[1].n))
            elif life[1].state is State.QUEUED:
                self.wait_for(self.desk.jobs.cancel(Tenant(life[1].account_id), life[0]))
                life[1].end(State.CANCELLED)
                self.claims.pop(life[0], None)
            else:
                one = self.claimed(life[0])
                self.wait_for(self.desk.leases().record(one).fail(State.FAILED, Problem("provider_rejected", "No")))
                life[1].end(State.FAILED)
                del self.claims[life[0]]
        (total,) = self.wait_for(self.desk.rows("SELECT COALESCE(SUM(reserved_microusd), 0) AS usd FROM ledger"))
        (waiting,) = self.wait_for(
            self.desk.rows("SELECT COALESCE(SUM(reserved_microusd), 0) AS usd FROM unsettled_jobs")
        )
        assert total == waiting
        assert total["usd"] == sum(life.reserved for life in self.lives.values() if UNCERTAIN & set(life.fates))

    # What always holds.

    @invariant()
    def every_cent_adds_up(self) -> None:
        self.wait_for(self.desk.check_money())

    @invariant()
    def jobs_cost_what_the_model_says(self) -> None:
        rows = self.wait_for(self.desk.rows("SELECT id, state, reserved_microusd, spent_microusd FROM jobs"))
        kept = {row["id"]: (row["state"], row["reserved_microusd"], row["spent_microusd"]) for row in rows}
        assert kept == {
            job_id: (life.state.value, life.reserved, life.spent)
            for job_id, life in self.lives.items()
            if not life.deleted
        }

    @property
    def limit_store(self) -> LimitStore:
        return LimitStore(self.desk.harness.database)

    @property
    def recovery(self) -> RecoveryStore:
        return RecoveryStore(self.desk.harness.database)

    @property
    def settlement(self) -> SettlementStore:
        return SettlementStore(self.desk.harness.database)

    def having(self, *states: State) -> dict[str, Life]:
        return {k: life for k, life in self.lives.items() if life.state in states and not life.deleted}

    def pick(self, data: st.DataObject, *states: State) -> tuple[str, Life]:
        job_id = data.draw(st.sampled_from(sorted(self.having(*states))))
        return job_id, self.lives[job_id]

    def claimed(self, job_id: str) -> Claim:
        return self.wait_for(self.claim(job_id))

    async def claim(self, job_id: str) -> Claim:
        if job_id not in self.claims:
            self.claims |= await self.desk.claim(most=1000)
        return self.claims[job_id]


def periods_of(at_ms: int) -> dict[LimitName, str]:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    return {LimitName.SPEND_DAY: moment[:10], LimitName.SPEND_MONTH: moment[:7], LimitName.SPEND_EVER: ""}


TestMoneyMachine = MoneyMachine.TestCase
TestMoneyMachine.settings = settings(
    max_examples=35,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
