"""An operator's decisions on jobs: reconcile, recover, settle, write off, abort. Each can be tried without effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rushes.domain.job import State
from rushes.errors import CallerError, JobNotFinished, NotAbortable, NotRecoverable
from rushes.operations.abort import AbortStore
from rushes.operations.needs_operator import Action, After, NeedsOperator, NeedsOperatorStore
from rushes.operations.recovery import Recovery
from rushes.operations.settlement import SettlementStore

MOST = 100
"""The most jobs of one selection, and of one request."""

DONE = {
    Action.RECONCILE: "goes on with the provider's '{provider_video_id}'",
    Action.RECOVER: "is fetched and stored once more",
    Action.SETTLE: "is settled at {cost_usd:f} USD",
    Action.WRITE_OFF: "is written off",
    Action.ABORT: "ends as soon as its worker reads this",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one job. `reconcile` needs the `provider_video_id`, `settle` the `cost_usd`."""

    action: Action
    job_id: str
    provider_video_id: str | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """What became of a decision. `error_code` is None if it was carried out, or could be."""

    job_id: str
    message: str
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Jobs that need an operator; all given conditions must match."""

    reason: str | None = None
    account_id: str | None = None
    provider: str | None = None
    model: str | None = None
    action: Action | None = None
    is_test: bool | None = None

    def matches(self, entry: NeedsOperator) -> bool:
        """Whether the entry is one of them."""
        return (
            self.reason in (None, entry.reason)
            and self.account_id in (None, entry.account_id)
            and self.provider in (None, entry.provider)
            and self.model in (None, entry.model)
            and self.is_test in (None, entry.is_test)
            and (self.action is None or self.action in entry.actions)
        )


class Decisions:
    """Selects jobs that need an operator, and carries out what the operator decides."""

    def __init__(
        self, needs_operator: NeedsOperatorStore, recovery: Recovery, settlement: SettlementStore, aborting: AbortStore
    ) -> None:
        self._needs_operator = needs_operator
        self._recovery = recovery
        self._settlement = settlement
        self._aborting = aborting

    async def find(self, job_id: str) -> NeedsOperator | None:
        """The entry of this job, if it needs an operator."""
        return await self._needs_operator.find(job_id)

    async def select(
        self, selection: Selection, limit: int = MOST, *, after: After | None = None
    ) -> Sequence[NeedsOperator]:
        """Up to `limit` entries of the list that match, from behind `after`, the job accepted first at the top."""
        found: list[NeedsOperator] = []
        while len(found) < limit:
            page = await self._needs_operator.list(MOST, after=after)
            found += [entry for entry in page if selection.matches(entry)]
            if len(page) < MOST:
                break
            after = page[-1].place
        return found[:limit]

    async def check(self, decision: Decision) -> DecisionResult:
        """Say what `carry_out` would do now, and change nothing."""
        try:
            await self._check(decision)
        except CallerError as error:
            return DecisionResult(decision.job_id, error.message, error.code)
        return self._result(decision)

    async def carry_out(self, decision: Decision) -> DecisionResult:
        """Do what was decided. A job that it cannot be done for is in the result; only a lost database raises."""
        try:
            match decision.action:
                case Action.RECONCILE:
                    await self._recovery.reconcile(decision.job_id, decision.provider_video_id or "")
                case Action.RECOVER:
                    await self._recovery.recover(decision.job_id)
                case Action.SETTLE:
                    await self._settlement.settle(decision.job_id, decision.cost_usd or Decimal(0))
                case Action.WRITE_OFF:
                    await self._recovery.write_off(decision.job_id)
                case Action.ABORT:
                    await self._aborting.request(decision.job_id)
        except CallerError as error:
            return DecisionResult(decision.job_id, error.message, error.code)
        return self._result(decision)

    def _result(self, decision: Decision) -> DecisionResult:
        text = DONE[decision.action].format(provider_video_id=decision.provider_video_id, cost_usd=decision.cost_usd)
        return DecisionResult(decision.job_id, f"Job '{decision.job_id}' {text}")

    async def _check(self, decision: Decision) -> None:
        job_id = decision.job_id
        entry = await self._needs_operator.find(job_id)
        if decision.action is Action.SETTLE and entry is not None and entry.is_deleted:
            return
        job = await self._aborting.get(job_id)
        match decision.action:
            case Action.ABORT:
                if job.state.is_final or job.state is State.RECOVERING:
                    raise NotAbortable(
                        f"Job '{job_id}' is {job.state.value}; only a job that has not ended can be aborted"
                    )
            case Action.SETTLE:
                if not job.state.is_final:
                    raise JobNotFinished(f"Only a job that has ended can be settled; '{job_id}' is {job.state.value}")
            case Action.RECONCILE | Action.RECOVER | Action.WRITE_OFF:
                if entry is None or decision.action not in entry.actions:
                    offered = ", ".join(entry.actions) if entry is not None else "nothing"
                    raise NotRecoverable(
                        f"Job '{job_id}' is {job.state.value}, and '{decision.action}' is not possible; "
                        f"possible is: {offered}"
                    )
                if decision.action is Action.RECONCILE:
                    self._recovery.handle_for(job, decision.provider_video_id or "")
