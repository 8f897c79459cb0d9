"""What the accounts and the ends of keys promise, over every database."""

from __future__ import annotations

import pytest

from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Mode, Scope
from rushes.accounts.limits import LimitName, Limits, LimitStore
from rushes.errors import AccountDisabled, AccountNameTaken, AccountNotFound, KeyNotFound, NotAuthenticated
from tests.contract.database_harness import Desk, together

KEY = "k" * 32


@pytest.fixture
def accounts(desk: Desk) -> AccountStore:
    return AccountStore(desk.harness.database)


@pytest.fixture
def keys(desk: Desk) -> KeyStore:
    return KeyStore(desk.harness.database)


async def test_of_accounts_created_at_once_with_one_name_one_is_made(accounts: AccountStore) -> None:
    outcomes = await together(*(accounts.create("studio") for _ in range(10)))
    assert sum(isinstance(outcome, AccountNameTaken) for outcome in outcomes) == 9
    assert len(await accounts.list(most=100)) == 1


async def test_an_account_is_renamed_to_a_free_name_or_its_own(accounts: AccountStore) -> None:
    first, _ = await accounts.create("first"), await accounts.create("second")
    with pytest.raises(AccountNameTaken):
        await accounts.rename(first.id, "second")
    assert (await accounts.rename(first.id, "first")).name == "first"
    assert (await accounts.rename(first.id, "third")).id == (await accounts.get_named("third")).id
    with pytest.raises(AccountNotFound):
        await accounts.get_named("first")
    with pytest.raises(AccountNotFound):
        await accounts.rename("acct_none", "x")


async def test_a_page_begins_behind_the_last_of_the_page_before_though_all_are_of_one_moment(
    accounts: AccountStore,
) -> None:
    made = {(await accounts.create(f"account {number}")).id for number in range(7)}
    found: list[str] = []
    after = (0, "")
    while page := await accounts.list(after=after, most=3):
        found += [account.id for account in page]
        after = page[-1].created_at, page[-1].id
    assert found == sorted(made)


async def test_a_disabled_account_shuts_out_valid_keys_alone_and_keeps_the_first_time(
    desk: Desk, accounts: AccountStore, keys: KeyStore
) -> None:
    record, key = await keys.create_key(account="studio", name="", mode=Mode.TEST)
    first = await accounts.disable(record.account_id)
    desk.harness.pass_time(5)
    assert await accounts.disable(record.account_id) == first
    with pytest.raises(AccountDisabled):
        await keys.authenticate(key)
    with pytest.raises(AccountDisabled):
        await keys.authenticate_by_id(record.id)
    await keys.revoke_key(record.id)
    with pytest.raises(NotAuthenticated):
        await keys.authenticate(key)
    assert (await accounts.enable(record.account_id)).disabled_at is None


async def test_a_key_is_changed_only_by_its_account(keys: KeyStore) -> None:
    record, key = await keys.create_key(account="mine", name="", mode=Mode.TEST)
    other, _ = await keys.create_key(account="theirs", name="", mode=Mode.TEST)
    for change in (keys.revoke_key, keys.disable_key, keys.enable_key, keys.delete_key):
        with pytest.raises(KeyNotFound):
            await change(record.id, account_id=other.account_id)
    assert (await keys.authenticate(key)).key_id == record.id


async def test_a_deleted_key_leaves_no_limits_behind(desk: Desk, keys: KeyStore) -> None:
    record, key = await keys.create_key(account="mine", name="", mode=Mode.TEST)
    limits = LimitStore(desk.harness.database)
    await limits.change(record.account_id, {LimitName.QUEUED_JOBS: 1, LimitName.JOBS_IN_FLIGHT: None}, record.id)
    await limits.change(record.account_id, {LimitName.QUEUED_JOBS: 2})
    assert await limits.read(record.account_id, record.id) == Limits(queued_jobs=1)
    await keys.delete_key(record.id)
    assert await limits.read(record.account_id, record.id) == Limits()
    assert await limits.read(record.account_id) == Limits(queued_jobs=2)
    with pytest.raises(NotAuthenticated):
        await keys.authenticate(key)


async def test_a_bootstrap_key_of_many_processes_is_one_key(desk: Desk, keys: KeyStore) -> None:
    outcomes = await together(*(keys.ensure_bootstrap_key(KEY) for _ in range(8)))
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    (row,) = await desk.rows("SELECT * FROM api_keys")
    assert KEY not in str(row)
    assert (await keys.authenticate(KEY)).scopes == frozenset(Scope)


async def test_a_new_bootstrap_key_disables_the_one_before_and_no_other_key(keys: KeyStore) -> None:
    _, usual = await keys.create_key(account="default", name="", mode=Mode.LIVE)
    await keys.ensure_bootstrap_key(KEY)
    await keys.ensure_bootstrap_key("n" * 32)
    with pytest.raises(NotAuthenticated):
        await keys.authenticate(KEY)
    for key in (usual, "n" * 32):
        await keys.authenticate(key)
    # Going back does not open what was closed; an operator does.
    back = await keys.ensure_bootstrap_key(KEY)
    assert back.disabled_at is not None
    await keys.enable_key(back.id)
    await keys.authenticate(KEY)
