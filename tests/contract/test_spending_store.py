"""What the store of spending promises about keys, over every database."""

from __future__ import annotations

from decimal import Decimal

from rushes.accounts.limits import WHOLE_ACCOUNT
from rushes.money.spend_limits import SpendingStore
from tests.contract.database_harness import Desk
from tests.fixtures.new_jobs import ACCOUNT, new_job


async def test_each_key_has_what_its_own_jobs_reserve_this_month(desk: Desk) -> None:
    for number, key_id in enumerate(("key_1", "key_1", "key_2")):
        await desk.jobs.create(new_job(number, key_id=key_id, cost_usd=Decimal("1.5")))
    await desk.jobs.create(new_job(9, account_id="acct_other", key_id="key_3", cost_usd=Decimal(7)))
    spending = SpendingStore(desk.harness.database)
    asked = [WHOLE_ACCOUNT, "key_1", "key_2", "key_3", "key_4"]
    found = await spending.of_keys(ACCOUNT, asked, desk.harness.now_ms())
    assert {key_id: balance.reserved_microusd for key_id, balance in found.items()} == {
        WHOLE_ACCOUNT: 4_500_000, "key_1": 3_000_000, "key_2": 1_500_000,
    }  # fmt: skip
    assert await spending.of_keys(ACCOUNT, [], desk.harness.now_ms()) == {}
    next_month = desk.harness.now_ms() + 40 * 86_400_000
    assert await spending.of_keys(ACCOUNT, asked, next_month) == {}


async def test_several_jobs_are_read_in_the_order_of_the_list(desk: Desk) -> None:
    for number in range(3):
        await desk.jobs.create(new_job(number))
    await desk.jobs.create(new_job(9, account_id="acct_other"))
    found = await desk.jobs.get_several(ACCOUNT, ["job_0", "job_2", "job_9", "job_none", "job_0"])
    assert [job.id for job in found] == ["job_2", "job_0"]
    assert await desk.jobs.get_several(ACCOUNT, []) == []
    assert await desk.jobs.counts(ACCOUNT) == {"pending": 3}
