"""What the store of people who sign in promises, over every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import KeyRecord, Mode
from rushes.accounts.people import PeopleStore, Person, Role
from rushes.audit.actor import ActorKind
from rushes.audit.entry import Query
from rushes.audit.store import AuditStore
from rushes.audit.verify import verify
from rushes.errors import AccountDisabled, NotAuthenticated, SignInRefused
from tests.contract.database_harness import Desk, together

ADA = Person("https://login.example.com", "ada", "studio", Role.MEMBER, "ada@example.com")


@pytest.fixture
def people(desk: Desk) -> PeopleStore:
    return PeopleStore(desk.harness.database)


@pytest.fixture
def keys(desk: Desk) -> KeyStore:
    return KeyStore(desk.harness.database)


@pytest.fixture
async def studio(desk: Desk) -> str:
    return (await AccountStore(desk.harness.database).create("studio")).id


async def test_a_person_has_one_key_however_often_they_sign_in_at_once(
    people: PeopleStore, keys: KeyStore, studio: str
) -> None:
    admitted = await together(*(people.admit(ADA) for _ in range(8)))
    assert len({one.id for one in admitted if isinstance(one, KeyRecord)}) == 1
    (key,) = await keys.keys_of(studio, most=10)
    assert (key.name, key.mode, key.scopes) == ("ada@example.com", Mode.LIVE, Role.MEMBER.scopes)
    assert (await keys.authenticate_by_id(key.id)).account_id == studio


async def test_the_role_and_the_name_follow_the_claims(people: PeopleStore, studio: str) -> None:
    first = await people.admit(ADA)
    later = await people.admit(replace(ADA, role=Role.VIEWER, name="ada@new.example.com"))
    assert (later.id, later.scopes, later.name) == (first.id, Role.VIEWER.scopes, "ada@new.example.com")
    same_subject_elsewhere = await people.admit(replace(ADA, issuer="https://other.example.com"))
    assert same_subject_elsewhere.id != first.id


async def test_a_person_who_changes_accounts_loses_the_key_of_the_old_one(
    desk: Desk, people: PeopleStore, keys: KeyStore, studio: str
) -> None:
    old = await people.admit(ADA)
    lab = await AccountStore(desk.harness.database).create("lab")
    new = await people.admit(replace(ADA, account=lab.id))
    assert new.account_id == lab.id
    with pytest.raises(NotAuthenticated):
        await keys.authenticate_by_id(old.id)


async def test_an_ended_key_keeps_the_person_out_and_a_deleted_one_does_not(
    desk: Desk, people: PeopleStore, keys: KeyStore, studio: str
) -> None:
    key = await people.admit(ADA)
    await keys.disable_key(key.id)
    with pytest.raises(SignInRefused, match="ended your access"):
        await people.admit(ADA)
    await keys.enable_key(key.id)
    assert (await people.admit(ADA)).id == key.id
    await keys.revoke_key(key.id)
    with pytest.raises(SignInRefused):
        await people.admit(ADA)
    await keys.delete_key(key.id)
    assert (await people.admit(ADA)).id != key.id
    await AccountStore(desk.harness.database).disable(studio)
    with pytest.raises(AccountDisabled):
        await people.admit(ADA)


async def test_an_unknown_account_lets_nobody_in_and_leaves_nothing_behind(desk: Desk, people: PeopleStore) -> None:
    with pytest.raises(SignInRefused, match="'studio'"):
        await people.admit(ADA)
    assert await desk.rows("SELECT * FROM people") == []
    assert await desk.rows("SELECT * FROM api_keys") == []


async def test_each_sign_in_is_recorded_as_the_persons(desk: Desk, people: PeopleStore, studio: str) -> None:
    await people.admit(ADA)
    key = await people.admit(replace(ADA, role=Role.ADMIN))
    log = AuditStore(desk.harness.database)
    second, first = (await log.list(Query(action="person.sign_in"))).entries
    assert (second.actor_kind, second.actor_id, second.actor_name) == (ActorKind.PERSON, key.id, "ada@example.com")
    assert first.before is None
    assert second.before is not None
    assert second.after is not None
    assert (second.after["role"], "admin" in second.before["scopes"]) == ("admin", False)
    assert (await verify(log)).faults == []
