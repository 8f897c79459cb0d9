"""What the key store promises, over every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rushes.accounts import key_store
from rushes.accounts.account_settings import AccountSettingStore, SettingName
from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import USUAL_SCOPES, Caller, Mode, Scope, hash_key
from rushes.accounts.limits import WHOLE_ACCOUNT, LimitName, LimitStore
from rushes.errors import KeyLimitReached, KeyNotFound, NotAuthenticated
from rushes.stored_places import KEYS
from tests.contract.database_harness import Desk, together


@pytest.fixture
def keys(desk: Desk) -> KeyStore:
    return KeyStore(desk.harness.database)


async def test_a_key_speaks_for_its_account_in_its_mode(keys: KeyStore) -> None:
    for mode in Mode:
        record, key = await keys.create_key(account="alice", name="laptop", mode=mode)
        caller = await keys.authenticate(key)
        assert caller == Caller(caller.account_id, record.id, mode, has_limits=False, has_settings=False)
        assert (record.account, record.name, record.mode, record.hint) == ("alice", "laptop", mode, key[-4:])


@pytest.mark.parametrize("of", ["account", "key", "another key"])
async def test_a_key_knows_whether_a_limit_or_a_setting_is_there_to_read(desk: Desk, keys: KeyStore, of: str) -> None:
    made = [await keys.create_key(account="alice", name="", mode=Mode.LIVE) for _ in range(2)]
    (record, key), (another, _) = made
    where = {"account": WHOLE_ACCOUNT, "key": record.id, "another key": another.id}[of]
    await LimitStore(desk.harness.database).set("alice", where, {LimitName.SPEND_DAY: 1})
    caller = await keys.authenticate(key)
    assert (caller.has_limits, caller.has_settings) == (of != "another key", False)
    settings = AccountSettingStore(desk.harness.database)
    await settings.change(caller.account_id, {SettingName.MODELS: ["*"]}, where)
    assert (await keys.authenticate(key)).has_settings == (of != "another key")


async def test_keys_of_one_name_share_the_account_and_others_do_not(keys: KeyStore) -> None:
    made = [await keys.create_key(account=name, name="", mode=Mode.LIVE) for name in ("a", "b", "a")]
    first, second, third = [(await keys.authenticate(key)).account_id for _, key in made]
    assert first == third != second


async def test_keys_made_at_once_for_a_new_account_share_it(keys: KeyStore) -> None:
    made = await together(*(keys.create_key(account="a", name="", mode=Mode.LIVE) for _ in range(20)))
    callers = set()
    for one in made:
        assert isinstance(one, tuple)
        callers.add((await keys.authenticate(one[1])).account_id)
    assert len(callers) == 1


async def test_the_key_itself_is_not_kept(desk: Desk, keys: KeyStore) -> None:
    record, key = await keys.create_key(account="alice", name="laptop", mode=Mode.LIVE)
    (row,) = await desk.rows("SELECT * FROM api_keys")
    assert key not in str(row)
    assert key not in repr(record)
    assert row["hash"] == hash_key(key)


@pytest.mark.parametrize("key", ["", "rushes_live_", "nonsense", "rushes_live_" + "x" * 40, "ключ", "\x00"])
async def test_an_unknown_key_is_refused_and_not_shown(keys: KeyStore, key: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await keys.authenticate(key)
    assert not key or key not in str(refused.value)


async def test_a_revoked_key_is_refused_at_once(desk: Desk, keys: KeyStore) -> None:
    record, key = await keys.create_key(account="alice", name="", mode=Mode.LIVE)
    revoked = await keys.revoke_key(record.id)
    assert revoked.revoked_at == desk.harness.now_ms()
    with pytest.raises(NotAuthenticated):
        await keys.authenticate(key)


async def test_revoking_again_keeps_the_first_time(desk: Desk, keys: KeyStore) -> None:
    record, _ = await keys.create_key(account="alice", name="", mode=Mode.LIVE)
    first = await keys.revoke_key(record.id)
    desk.harness.pass_time(60)
    assert await keys.revoke_key(record.id) == first


async def test_revoking_an_unknown_key_says_where_to_look(keys: KeyStore) -> None:
    with pytest.raises(KeyNotFound, match=r"'key_x' not found.*rushes keys list"):
        await keys.revoke_key("key_x")


async def test_a_key_expires_when_its_life_is_over(desk: Desk, keys: KeyStore) -> None:
    record, key = await keys.create_key(account="alice", name="", mode=Mode.LIVE, lifetime_s=60)
    assert record.expires_at == desk.harness.now_ms() + 60_000
    desk.harness.pass_time(59.999)
    await keys.authenticate(key)
    desk.harness.pass_time(0.001)
    with pytest.raises(NotAuthenticated):
        await keys.authenticate(key)


async def test_a_lifetime_of_zero_is_a_lifetime(keys: KeyStore) -> None:
    _, key = await keys.create_key(account="alice", name="", mode=Mode.LIVE, lifetime_s=0)
    with pytest.raises(NotAuthenticated):
        await keys.authenticate(key)


async def test_keys_are_listed_oldest_first_with_the_revoked(desk: Desk, keys: KeyStore) -> None:
    made = []
    for name in ("first", "second", "third"):
        made.append((await keys.create_key(account="alice", name=name, mode=Mode.TEST))[0].id)
        desk.harness.pass_time(1)
    await keys.revoke_key(made[1])
    assert [record.id for record in await keys.list_keys()] == made


async def test_an_account_has_a_bounded_number_of_keys_however_they_are_made(
    keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_store, "KEYS", replace(KEYS, share=5))
    made = await together(*(keys.create_key(account="a", name="", mode=Mode.TEST) for _ in range(10)))
    assert sum(isinstance(one, KeyLimitReached) for one in made) == 5
    await keys.create_key(account="b", name="", mode=Mode.TEST)


async def test_readers_are_the_valid_keys_of_accounts_that_are_not_disabled(desk: Desk, keys: KeyStore) -> None:
    made = {
        name: await keys.create_key(account=name, name="", mode=Mode.LIVE, scopes=scopes)
        for name, scopes in (
            ("valid", USUAL_SCOPES),
            ("revoked", USUAL_SCOPES),
            ("disabled", USUAL_SCOPES),
            ("blind", frozenset({Scope.GENERATE})),
        )
    }
    ids = {name: record.id for name, (record, _) in made.items()}
    await keys.revoke_key(ids["revoked"])
    await AccountStore(desk.harness.database).disable(made["disabled"][0].account_id)
    assert await keys.readers_among([*ids.values(), "key_unknown"]) == {ids["valid"]}
    assert await keys.readers_among([ids["valid"]] * 300) == {ids["valid"]}
