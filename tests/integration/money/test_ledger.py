"""What a job's end writes into the books, carried out by the real engine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rushes.domain.job import Problem, State
from rushes.errors import (
    JobNotFinished,
    JobNotFound,
    OutputLost,
    ProviderRejected,
    ProviderUnavailable,
    SubmissionUnknown,
)
from rushes.money.statement import StatementQuery, StatementStore
from rushes.money.usage import UsageStore
from rushes.operations.recovery import RecoveryStore
from rushes.operations.settlement import SettlementStore
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import ACCOUNT

COST, NOTHING, ONE = Decimal("3.20"), Decimal(0), Decimal(1)


async def lines(engine: Engine, **given: Any) -> list[tuple[str, Decimal, Decimal]]:
    """Oldest first: the kind, and the changes of what is reserved and spent."""
    found = await StatementStore(engine.database).list(ACCOUNT, StatementQuery(limit=100, **given))
    return [(line.kind.value, line.reserved_usd, line.spent_usd) for line in reversed(found)]


async def unknown(engine: Engine, **given: Any) -> None:
    """A job whose submission got no answer."""
    engine.provider.submits = [ProviderUnavailable("the line broke", accepted=None)]
    engine.provider.finds = [SubmissionUnknown("nobody can say")]
    assert (await engine.create_and_carry(**given)).problem is not None


async def lost(engine: Engine) -> None:
    """A job whose video was finished, and could not be fetched."""
    engine.provider.fetches = [OutputLost("the link has expired")]
    assert (await engine.create_and_carry()).problem is not None


async def cost(engine: Engine) -> Decimal:
    return sum((item.usage.cost_usd for item in await UsageStore(engine.database).read(ACCOUNT)), Decimal(0))


async def test_a_completed_job_is_reserved_and_settled(engine: Engine) -> None:
    job = await engine.create_and_carry()
    assert (job.reserved_microusd, job.spent_microusd) == (0, 3_200_000)
    assert await lines(engine) == [("reserve", COST, NOTHING), ("settle", -COST, COST)]
    assert await cost(engine) == COST


async def test_a_rejected_job_is_released(engine: Engine) -> None:
    engine.provider.submits = [ProviderRejected("no")]
    job = await engine.create_and_carry()
    assert (job.reserved_microusd, job.spent_microusd) == (0, 0)
    assert await lines(engine) == [("reserve", COST, NOTHING), ("release", -COST, NOTHING)]


async def test_a_free_job_has_no_lines(engine: Engine) -> None:
    await engine.create_and_carry(cost_usd=Decimal(0))
    assert await lines(engine) == []


async def test_a_job_that_a_provider_had_accepted_and_that_was_given_up_stays_reserved(engine: Engine) -> None:
    await engine.create()
    claimed = await engine.claim()
    await engine.leases().record(claimed).intend(attempt_id="att_1", part=0, n=1)
    await engine.leases().record(claimed).fail(State.FAILED, Problem("no_credentials", "The key is gone"))
    assert (await engine.job()).reserved_microusd == 3_200_000


async def test_nobody_knows_until_the_operator_says_what_it_cost(engine: Engine) -> None:
    await unknown(engine)
    settlement = SettlementStore(engine.database)
    (waiting,) = await settlement.unsettled()
    assert (waiting.owner.job_id, waiting.reserved_usd, waiting.cause) == ("job_1", COST, "submission_unknown")
    await settlement.settle("job_1", Decimal("1.20"))
    assert await settlement.unsettled() == []
    assert await lines(engine) == [("reserve", COST, NOTHING), ("settle", -COST, Decimal("1.20"))]
    assert await cost(engine) == Decimal("1.20")
    assert (await engine.job()).spent_microusd == 1_200_000
    await settlement.settle("job_1", Decimal(0))
    assert (await lines(engine))[2:] == [("adjust", NOTHING, Decimal("-1.20"))]
    assert await cost(engine) == 0


async def test_a_job_is_settled_after_its_owner_has_deleted_it(engine: Engine) -> None:
    await unknown(engine)
    await engine.jobs.delete(ACCOUNT, "job_1")
    settlement = SettlementStore(engine.database)
    await settlement.settle("job_1", Decimal(1))
    assert await lines(engine, job_id="job_1") == [("reserve", COST, NOTHING), ("settle", -COST, ONE)]
    with pytest.raises(JobNotFound):
        await settlement.settle("job_1", Decimal(1))


async def test_only_an_ended_job_can_be_settled(engine: Engine) -> None:
    await engine.create()
    with pytest.raises(JobNotFinished, match="'job_1' is queued"):
        await SettlementStore(engine.database).settle("job_1", Decimal(1))


async def test_settling_a_completed_job_without_a_price_makes_it_priced(engine: Engine) -> None:
    job = await engine.create_and_carry(cost_usd=None)
    assert (job.spent_microusd, await lines(engine)) == (None, [])
    await SettlementStore(engine.database).settle("job_1", Decimal("0.50"))
    (item,) = await UsageStore(engine.database).read(ACCOUNT)
    assert (item.usage.unpriced, item.usage.cost_usd) == (0, Decimal("0.50"))
    assert await lines(engine) == [("settle", NOTHING, Decimal("0.50"))]


async def test_writing_off_pays_for_what_was_lost(engine: Engine) -> None:
    await lost(engine)
    await RecoveryStore(engine.database).write_off("job_1")
    assert await lines(engine) == [("reserve", COST, NOTHING), ("settle", -COST, COST)]


async def test_writing_off_frees_what_was_never_known_to_be_accepted(engine: Engine) -> None:
    await unknown(engine)
    await RecoveryStore(engine.database).write_off("job_1")
    assert await lines(engine) == [("reserve", COST, NOTHING), ("release", -COST, NOTHING)]


@pytest.mark.parametrize(("billed", "kept"), [(None, COST), (Decimal(0), COST), (Decimal("1.20"), Decimal("1.20"))])
async def test_a_video_found_after_all_costs_its_price_unless_a_bill_has_said_what(
    engine: Engine, billed: Decimal | None, kept: Decimal
) -> None:
    await unknown(engine)
    if billed is not None:
        await SettlementStore(engine.database).settle("job_1", billed)
    await RecoveryStore(engine.database).reconcile("job_1", {"name": "x"}, "video-17")
    assert (await engine.carry(await engine.claim("worker_2"))).state is State.SUCCEEDED
    assert await cost(engine) == kept
    assert (await engine.job()).reserved_microusd == 0


async def test_lines_are_found_by_kind_and_time(engine: Engine) -> None:
    await engine.create_and_carry(number=1)
    middle = engine.clock.now_ms() + 1000
    engine.clock.advance(2)
    await engine.create_and_carry(number=2)
    assert len(await lines(engine, kind="settle")) == 2
    assert len(await lines(engine, after_ms=middle)) == len(await lines(engine, before_ms=middle)) == 2
    assert await lines(engine, after_ms=middle + 10**9) == []
    assert await lines(engine, job_id="job_2", before_ms=middle) == []
