"""What the settings of accounts and keys promise, over every database."""

from __future__ import annotations

import pytest

from rushes.accounts.account_settings import NO_SETTINGS, AccountSettings, AccountSettingStore, InForce, SettingName
from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Mode
from rushes.accounts.model_access import ModelAccess
from rushes.errors import AccountNotFound, KeyNotFound
from tests.contract.database_harness import Desk


@pytest.fixture
def settings(desk: Desk) -> AccountSettingStore:
    return AccountSettingStore(desk.harness.database)


@pytest.fixture
def keys(desk: Desk) -> KeyStore:
    return KeyStore(desk.harness.database)


async def test_what_is_set_is_read_and_the_rest_stays(settings: AccountSettingStore, keys: KeyStore) -> None:
    record, _ = await keys.create_key(account="studio", name="", mode=Mode.LIVE)
    account = record.account_id
    assert await settings.in_force(account, record.id) == InForce()
    await settings.change(account, {SettingName.MODELS: ["google/*"], SettingName.RETENTION_S: 60.5})
    whole = await settings.change(account, {SettingName.FALLBACK_MODELS: [], SettingName.ON_RETIRED: "refuse"})
    assert whole == AccountSettings(("google/*",), None, (), "refuse", 60.5)
    await settings.change(account, {SettingName.MODELS: ["veo-*"]}, record.id)
    found = await settings.in_force(account, record.id)
    assert found == InForce(ModelAccess(("google/*",), ("veo-*",)), whole)
    cleared = await settings.change(account, dict.fromkeys(SettingName))
    assert cleared == await settings.read(account) == NO_SETTINGS
    assert (await settings.in_force(account, record.id)).access == ModelAccess(None, ("veo-*",))


async def test_an_unknown_account_or_key_is_an_error_and_sets_nothing(
    desk: Desk, settings: AccountSettingStore, keys: KeyStore
) -> None:
    record, _ = await keys.create_key(account="studio", name="", mode=Mode.LIVE)
    other = await AccountStore(desk.harness.database).create("other")
    with pytest.raises(AccountNotFound):
        await settings.change("acct_none", {SettingName.MODELS: ["*"]})
    with pytest.raises(KeyNotFound):
        await settings.change(other.id, {SettingName.MODELS: ["*"]}, record.id)
    assert await settings.read(other.id, record.id) == NO_SETTINGS


async def test_a_key_is_made_with_its_models_and_forgets_them_with_itself(
    settings: AccountSettingStore, keys: KeyStore
) -> None:
    record, _ = await keys.create_key(account="studio", name="", mode=Mode.LIVE, models=("veo-*",))
    assert record.models == (await keys.get_key(record.id)).models == ("veo-*",)
    assert [one.models for one in await keys.list_keys()] == [("veo-*",)]
    await keys.delete_key(record.id)
    assert await settings.read(record.account_id, record.id) == NO_SETTINGS
