"""What the limits of each user promise, over every database: exact, for each day and minute, and bounded in rows."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from rushes.accounts import user_rate
from rushes.accounts.account_store import AccountStore
from rushes.accounts.limits import LimitName, LimitStore
from rushes.accounts.user_rate import UserRates
from rushes.domain.job import State
from rushes.errors import RateLimited, SpendLimitReached
from rushes.jobs.retention import RetentionStore
from rushes.money import usage
from rushes.money.spend_limits import SpendingStore
from rushes.money.usage import OTHERS_SHOWN, Grouping, UsageStore
from tests.contract.database_harness import Desk, together
from tests.fixtures.new_jobs import ACCOUNT, new_job

DAY_S = 86_400


async def limited(desk: Desk, **limits: int) -> None:
    changes = {LimitName(name): value for name, value in limits.items()}
    await LimitStore(desk.harness.database).change(ACCOUNT, changes)


async def admitted(desk: Desk, user: str, key_id: str = "key_1") -> bool:
    try:
        await UserRates(desk.harness.database).admit(ACCOUNT, key_id, user)
    except RateLimited:
        return False
    return True


async def rows(desk: Desk, table: str) -> int:
    found = await desk.harness.database.read(f"SELECT COUNT(*) AS n FROM {table}")
    return int(found[0]["n"])


async def test_a_minute_admits_each_user_as_often_as_the_limit_says_also_in_a_burst(desk: Desk) -> None:
    await limited(desk, user_requests_per_minute=3)
    outcomes = await together(*(admitted(desk, f"u{number % 2}") for number in range(12)))
    assert sum(map(bool, outcomes)) == 6
    assert not await admitted(desk, "u0", "key_2")
    assert await admitted(desk, "u2")
    desk.harness.pass_time(60)
    assert [await admitted(desk, "u0") for _ in range(4)] == [True, True, True, False]
    # The rows of the minute before are gone: one of the user, and one that counts users.
    assert await rows(desk, "user_windows") == 2


async def test_a_keys_limit_holds_besides_its_accounts(desk: Desk) -> None:
    await limited(desk, user_requests_per_minute=3)
    limits = LimitStore(desk.harness.database)
    await limits.change(ACCOUNT, {LimitName.USER_REQUESTS_PER_MINUTE: 1}, "key_1")
    assert [await admitted(desk, "u") for _ in range(2)] == [True, False]
    # What the key refused was not taken from the account.
    assert [await admitted(desk, "u", "key_2") for _ in range(3)] == [True, True, False]


async def test_invented_users_fill_no_table(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_rate, "MOST_USERS", 5)
    await limited(desk, user_requests_per_minute=9)
    assert sum([await admitted(desk, f"u{number}") for number in range(12)]) == 5
    assert await rows(desk, "user_windows") == 6
    with pytest.raises(RateLimited, match="More than 5 different users"):
        await UserRates(desk.harness.database).admit(ACCOUNT, "key_1", "new")
    assert await admitted(desk, "u0")


async def test_nothing_is_written_without_such_a_limit(desk: Desk) -> None:
    await limited(desk, requests_per_minute=1)
    assert await admitted(desk, "u")
    assert await rows(desk, "user_windows") == 0


async def test_a_users_day_is_kept_in_the_jobs_own_transaction(desk: Desk) -> None:
    await limited(desk, user_spend_day=5_000_000)
    outcomes = await together(
        *(desk.jobs.create(new_job(number, user="u1", cost_usd=Decimal(2))) for number in range(6))
    )
    assert sum(isinstance(outcome, SpendLimitReached) for outcome in outcomes) == 4
    with pytest.raises(SpendLimitReached, match=r"spend limit per day and user \(user_spend_day, account's\) of 5.00"):
        await desk.jobs.create(new_job(7, user="u1", cost_usd=Decimal(2)))
    await desk.jobs.create(new_job(8, user="u2", cost_usd=Decimal(2)))
    await desk.jobs.create(new_job(9, cost_usd=Decimal(9)))
    spending = SpendingStore(desk.harness.database)
    (limit,) = await spending.limits_of(ACCOUNT, "key_1", desk.harness.now_ms(), user="u1")
    assert (limit.left_usd, limit.reserved_usd, limit.name) == (Decimal(1), Decimal(4), "user_spend_day")
    assert await spending.limits_of(ACCOUNT, "key_1", desk.harness.now_ms()) == ()
    # What is free again may be spent again.
    mine, _ = await desk.jobs.get_several(ACCOUNT, [f"job_{n}" for n in range(6)])
    assert (await desk.jobs.cancel(ACCOUNT, mine.id)).state is State.CANCELLED
    await desk.jobs.create(new_job(10, user="u1", cost_usd=Decimal(3)))
    desk.harness.pass_time(DAY_S)
    await desk.jobs.create(new_job(11, user="u1", cost_usd=Decimal(5)))


async def test_a_keys_day_of_a_user_is_its_own(desk: Desk) -> None:
    limits = LimitStore(desk.harness.database)
    await limits.change(ACCOUNT, {LimitName.USER_SPEND_DAY: 2_000_000}, "key_1")
    await desk.jobs.create(new_job(1, user="u", key_id="key_2", cost_usd=Decimal(9)))
    await desk.jobs.create(new_job(2, user="u", key_id="key_1", cost_usd=Decimal(2)))
    with pytest.raises(SpendLimitReached):
        await desk.jobs.create(new_job(3, user="u", key_id="key_1", cost_usd=Decimal(1)))


async def test_users_beyond_the_bound_are_summed_together_and_refused_where_each_is_limited(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_TAGS", 2)
    for number in range(5):
        await desk.jobs.create(new_job(number, user=f"u{number}", cost_usd=Decimal(1)))
    await desk.jobs.create(new_job(5, user="u0", cost_usd=Decimal(1)))
    for number in (1, 4):
        await desk.jobs.cancel(ACCOUNT, f"job_{number}")
    store, day = UsageStore(desk.harness.database), desk.harness.now_ms() // 86_400_000
    found = await store.read_span(ACCOUNT, usage.EPOCH + timedelta(day), usage.EPOCH + timedelta(day), Grouping.USER)
    assert {name: (used.jobs, used.failed) for name, used in found} == {
        OTHERS_SHOWN: (3, 1), "u0": (2, 0), "u1": (1, 1),
    }  # fmt: skip
    assert await rows(desk, "user_balances") == 4
    await limited(desk, user_spend_day=99_000_000)
    with pytest.raises(RateLimited, match="different users were accepted today"):
        await desk.jobs.create(new_job(6, user="u9", cost_usd=Decimal(1)))
    await desk.jobs.create(new_job(7, user="u1", cost_usd=Decimal(1)))
    desk.harness.pass_time(4 * DAY_S)
    assert await RetentionStore(desk.harness.database).forget_users(3) == 3
    assert await RetentionStore(desk.harness.database).forget_users(3) == 1
    await desk.jobs.cancel(ACCOUNT, "job_0")


async def test_the_operator_reads_usage_by_user(desk: Desk) -> None:
    account = await AccountStore(desk.harness.database).create("studio")
    for number, user in enumerate(("u1", "u2", "u1")):
        await desk.jobs.create(new_job(number, account_id=account.id, user=user))
    await desk.jobs.create(new_job(3, account_id=account.id))
    store, day = UsageStore(desk.harness.database), desk.harness.now_ms() // 86_400_000
    found = await store.read_user_days(since_day=day, until_day=day, account="studio")
    assert [(one.account, one.day, one.user, one.usage.jobs) for one in found] == [
        ("studio", day, "u1", 2), ("studio", day, "u2", 1),
    ]  # fmt: skip
    assert await store.read_user_days(since_day=day, until_day=day, account="other") == []
    assert await store.read_user_days(since_day=day + 1, until_day=day + 1) == []
    assert await store.read_user_days(since_day=day, until_day=day, of_test_keys=True) == []
