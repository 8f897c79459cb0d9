"""What the store of limits promises, over every database."""

from __future__ import annotations

import pytest

from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Mode
from rushes.accounts.limits import WHOLE_ACCOUNT, LimitName, LimitStore
from rushes.errors import AccountNotFound, KeyNotFound
from tests.contract.database_harness import Desk


@pytest.fixture
def limits(desk: Desk) -> LimitStore:
    return LimitStore(desk.harness.database)


async def key_of(desk: Desk, account: str) -> str:
    accounts = KeyStore(desk.harness.database)
    record, _ = await accounts.create_key(account=account, name="", mode=Mode.LIVE)
    return record.id


async def listed(limits: LimitStore) -> list[tuple[str, str, str, int]]:
    return [(one.account, one.key_id, one.name.value, one.value) for one in await limits.list()]


async def test_setting_one_limit_leaves_the_others_as_they_are(desk: Desk, limits: LimitStore) -> None:
    key_id = await key_of(desk, "alice")
    await limits.set("alice", WHOLE_ACCOUNT, {LimitName.SPEND_DAY: 5, LimitName.SPEND_EVER: 9})
    await limits.set("alice", WHOLE_ACCOUNT, {LimitName.SPEND_DAY: 0})
    await limits.set("alice", key_id, {LimitName.SPEND_DAY: 1})
    assert await listed(limits) == [
        ("alice", "", "spend_day", 0),
        ("alice", "", "spend_ever", 9),
        ("alice", key_id, "spend_day", 1),
    ]


async def test_limits_of_all_kinds_live_side_by_side(desk: Desk, limits: LimitStore) -> None:
    key_id = await key_of(desk, "alice")
    for value, name in enumerate(LimitName, start=1):
        await limits.set("alice", WHOLE_ACCOUNT, {name: value})
    (account_id,) = {one.account_id for one in await limits.list()}
    own = await limits.read(account_id)
    assert [value for _, value in own.named()] == list(range(1, len(LimitName) + 1))
    await limits.change(account_id, {LimitName.QUEUED_JOBS: 7, LimitName.SPEND_DAY: None}, key_id)
    assert await limits.read(account_id) == own
    assert (await limits.read(account_id, key_id)).named() == [(LimitName.QUEUED_JOBS, 7)]
    await limits.set(account_id, WHOLE_ACCOUNT, {LimitName.SPEND_DAY: 0})
    changed = await limits.read(account_id)
    assert (changed.spend_day, changed.queued_jobs) == (0, own.queued_jobs)


async def test_clearing_says_what_there_was(desk: Desk, limits: LimitStore) -> None:
    key_id = await key_of(desk, "alice")
    await limits.set("alice", WHOLE_ACCOUNT, {LimitName.SPEND_DAY: 5})
    assert await limits.clear("alice", key_id, list(LimitName)) == []
    assert await limits.clear("alice", WHOLE_ACCOUNT, list(LimitName)) == [LimitName.SPEND_DAY]
    assert await listed(limits) == []


async def test_an_account_or_key_that_is_not_there_is_an_error_and_sets_nothing(desk: Desk, limits: LimitStore) -> None:
    await key_of(desk, "alice")
    bobs = await key_of(desk, "bob")
    with pytest.raises(AccountNotFound, match="'carol' not found"):
        await limits.set("carol", WHOLE_ACCOUNT, {LimitName.SPEND_DAY: 5})
    with pytest.raises(KeyNotFound, match=f"no API key '{bobs}'"):
        await limits.set("alice", bobs, {LimitName.SPEND_DAY: 5})
    assert await listed(limits) == []
