"""What the store of the guardrail's answers promises, over every database."""

from __future__ import annotations

import pytest

from rushes.accounts.account_store import AccountStore
from rushes.domain.tenant import tenant_of
from rushes.jobs.guardrail.store import Asking, Blocked, GuardStore
from rushes.jobs.idempotency import KEPT_MS
from rushes.jobs.retention import RetentionStore
from tests.contract.database_harness import Desk, together

DAY_S = 86_400


@pytest.fixture
def store(desk: Desk) -> GuardStore:
    return GuardStore(desk.harness.database)


def blocked(number: int) -> Blocked:
    return Blocked(f"grd_{number}", "key_1", None, "google/veo", "u", "no", None)


async def test_of_requests_at_once_one_asks(store: GuardStore) -> None:
    tenant = tenant_of("acct_1", is_test=False)
    outcomes = await together(*(store.begin(tenant, "route", "key", "hash") for _ in range(8)))
    assert sorted(map(bool, outcomes)) == [False] * 7 + [True]
    found = await store.find(tenant, "route", "key")
    assert found is not None
    assert (found.action, found.body_hash) == (None, "hash")
    assert await store.find(tenant_of("acct_1", is_test=True), "route", "key") is None


async def test_an_answer_lasts_as_long_as_its_key_and_then_another_may_ask(desk: Desk, store: GuardStore) -> None:
    tenant = tenant_of("acct_1", is_test=False)
    assert await store.begin(tenant, "route", "key", "hash")
    await store.keep("acct_1", tenant, ("route", "key"), Asking("rewrite", "why", "other"), None)
    desk.harness.pass_time(KEPT_MS / 1000 - 1)
    found = await store.find(tenant, "route", "key")
    assert found is not None
    assert (found.action, found.reason, found.prompt) == ("rewrite", "why", "other")
    assert not await store.begin(tenant, "route", "key", "new")
    desk.harness.pass_time(2)
    assert await store.find(tenant, "route", "key") is None
    assert await store.begin(tenant, "route", "key", "new")
    found = await store.find(tenant, "route", "key")
    assert found is not None
    assert (found.action, found.prompt, found.body_hash) == (None, None, "new")


async def test_records_are_listed_newest_first_counted_by_day_and_dropped_in_time(
    desk: Desk, store: GuardStore
) -> None:
    account = await AccountStore(desk.harness.database).create("studio")
    live, test = tenant_of(account.id, is_test=False), tenant_of(account.id, is_test=True)
    for number in range(5):
        tenant = test if number == 4 else live
        await store.keep(account.id, tenant, None, Asking("block", "no"), blocked(number))
        desk.harness.pass_time(DAY_S)
    found = await store.list(most=3)
    assert [one.id for one in found] == ["grd_4", "grd_3", "grd_2"]
    rest = await store.list(before=(found[-1].created_at, found[-1].id), most=3)
    assert [one.id for one in rest] == ["grd_1", "grd_0"]
    assert [one.id for one in await store.list(most=9, is_test=True)] == ["grd_4"]
    assert await store.list(most=9, account_id="acct_other") == []
    assert await store.blocked_since(live, 0) == 4
    assert await store.blocked_since(live, desk.harness.now_ms() - 3 * DAY_S * 1000) == 2
    assert await RetentionStore(desk.harness.database).forget_guardrail(2, 3 * DAY_S * 1000) == 2
    assert await RetentionStore(desk.harness.database).forget_guardrail(2, 3 * DAY_S * 1000) == 1
    assert [one.id for one in await store.list(most=9)] == ["grd_4", "grd_3"]
    assert await store.blocked_since(live, 0) == 4
