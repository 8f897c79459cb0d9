"""What the audit log promises, over every database."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Mode
from rushes.accounts.limits import LimitName, LimitStore
from rushes.audit.actor import Actor, ActorKind, act_as
from rushes.audit.cleaner import DAY_MS, AuditCleaner
from rushes.audit.entry import Query
from rushes.audit.store import AuditStore, Place
from rushes.audit.verify import verify
from rushes.db.database import Transaction
from rushes.domain.tenant import Tenant
from rushes.errors import AccountNameTaken, AuditBroken, KeyNotFound
from rushes.webhooks.store import Change, WebhookStore
from tests.contract.database_harness import Desk, together
from tests.fixtures.clocks import ManualClock

ADD_BY_HAND = """
INSERT INTO audit_log (seq, at, action, actor_kind, actor_id, subject_id, is_test, hash)
VALUES (6, 1, 'key.revoke', 'key', 'key_bob', 'key_1', 0, 'x')
"""

ALICE = Actor(ActorKind.KEY, "key_alice", "acct_alice", address="192.0.2.7", request_id="req_1")


@pytest.fixture
def log(desk: Desk) -> AuditStore:
    return AuditStore(desk.harness.database)


@pytest.fixture
def accounts(desk: Desk) -> AccountStore:
    return AccountStore(desk.harness.database)


@pytest.fixture(autouse=True)
def act() -> None:
    act_as(ALICE)


async def change(desk: Desk, sql: str) -> None:
    """What somebody with a database client does."""

    async def body(transaction: Transaction) -> None:
        await transaction.execute(sql)

    await desk.harness.database.write(body)


async def test_an_act_says_who_what_before_after_and_from_where(log: AuditStore, accounts: AccountStore) -> None:
    made = await accounts.create("studio")
    await accounts.rename(made.id, "Studio")
    renamed, created = (await log.list(Query())).entries
    assert (created.action, created.before, created.after) == (
        "account.create",
        None,
        {"name": "studio", "disabled": False},
    )
    assert (renamed.action, renamed.before, renamed.after) == (
        "account.rename",
        {"name": "studio", "disabled": False},
        {"name": "Studio", "disabled": False},
    )
    for entry in (renamed, created):
        assert (entry.actor_kind, entry.actor_id, entry.actor_account_id) == ("key", "key_alice", "acct_alice")
        assert (entry.address, entry.request_id) == ("192.0.2.7", "req_1")
        assert (entry.account_id, entry.subject_id) == (made.id, made.id)


async def test_an_act_that_fails_leaves_no_entry(log: AuditStore, accounts: AccountStore, desk: Desk) -> None:
    first, second = await accounts.create("first"), await accounts.create("second")
    with pytest.raises(AccountNameTaken):
        await accounts.rename(second.id, first.name)
    with pytest.raises(KeyNotFound):
        await KeyStore(desk.harness.database).revoke_key("key_none")
    assert [entry.action for entry in (await log.list(Query())).entries] == ["account.create"] * 2


async def test_no_secret_is_in_an_entry(desk: Desk, log: AuditStore) -> None:
    keys, webhooks = KeyStore(desk.harness.database), WebhookStore(desk.harness.database)
    record, key = await keys.create_key(account="studio", name="ci", mode=Mode.LIVE)
    tenant = Tenant(record.account_id)
    change = Change("https://example.com/hook?token=hush#hush", None, None, enabled=True)
    await webhooks.create("whe_1", tenant, change, "sealed-secret")
    await webhooks.rotate(tenant, "whe_1", "sealed-again")
    await webhooks.rotate_secret(tenant, "sealed-tenant")
    await keys.delete_key(record.id)
    text = str(await desk.rows("SELECT * FROM audit_log"))
    for secret in (key, key[-8:], "hush", "sealed"):
        assert secret not in text
    actions = [entry.action for entry in (await log.list(Query())).entries][::-1]
    assert actions == [
        "account.create",
        "key.create",
        "webhook.create",
        "webhook.rotate_secret",
        "signing_secret.rotate",
        "key.delete",
    ]


async def test_the_chain_holds_while_many_write_at_once(desk: Desk, log: AuditStore, accounts: AccountStore) -> None:
    made = await accounts.create("studio")
    limits = LimitStore(desk.harness.database)
    acts: list[Coroutine[Any, Any, object]] = [
        limits.change(made.id, {LimitName.QUEUED_JOBS: n + 1}) for n in range(25)
    ]
    acts += [accounts.create(f"account {n}") for n in range(25)]
    assert not [one for one in await together(*acts) if isinstance(one, BaseException)]
    found = await verify(log)
    assert (found.entries, found.head.seq, found.faults) == (51, 51, [])
    # Each change begins where the one before it ended.
    of_limits = (await log.list(Query(action="limits.set"))).entries[::-1]
    assert [entry.before for entry in of_limits[1:]] == [entry.after for entry in of_limits[:-1]]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE audit_log SET after_json = '{}' WHERE seq = 3", "entry 3 was changed"),
        ("UPDATE audit_log SET actor_id = 'key_bob' WHERE seq = 3", "entry 3 was changed"),
        ("UPDATE audit_log SET at = at - 1 WHERE seq = 1", "entry 1 was changed"),
        ("UPDATE audit_log SET address = NULL WHERE seq = 5", "entry 5 was changed"),
        ("DELETE FROM audit_log WHERE seq = 2", "entry 2 is missing before entry 3"),
        ("DELETE FROM audit_log WHERE seq <= 2", "entries 1 to 2 are missing before entry 3"),
        ("DELETE FROM audit_log WHERE seq >= 4", "entries 4 to 5 are missing at the end"),
        ("DELETE FROM audit_log", "entries 1 to 5 are missing at the end"),
        ("UPDATE audit_head SET hash = 'x' WHERE name = 'head'", "the newest entry, 5, is not the one"),
        (
            ADD_BY_HAND,
            "entry 6 was added behind the newest, 5",
        ),
        (
            "INSERT INTO audit_head (name, seq, at, hash) VALUES ('checkpoint', 2, 1, 'x')",
            "no entry attests that everything up to entry 2 was cut",
        ),
    ],
)
async def test_what_is_changed_by_hand_is_found(
    desk: Desk, log: AuditStore, accounts: AccountStore, sql: str, said: str
) -> None:
    for number in range(5):
        await accounts.create(f"account {number}")
    assert (await verify(log)).faults == []
    await change(desk, sql)
    faults = (await verify(log)).faults
    assert any(said in fault for fault in faults), faults


async def test_a_log_whose_end_was_replaced_does_not_go_through_what_was_noted_before(
    desk: Desk, log: AuditStore, accounts: AccountStore
) -> None:
    for number in range(3):
        await accounts.create(f"account {number}")
    noted = (await verify(log)).head
    second = (await log.list(Query())).entries[1]
    await change(desk, "DELETE FROM audit_log WHERE seq = 3")
    await change(desk, f"UPDATE audit_head SET seq = 2, hash = '{second.hash}' WHERE name = 'head'")
    await accounts.create("another past")
    assert (await verify(log)).faults == []
    assert "entry 3 does not have the hash that was expected" in (await verify(log, noted)).faults
    assert (await verify(log, Place(second.seq, second.hash))).faults == []


async def test_retention_cuts_a_verified_beginning_and_the_rest_still_verifies(
    desk: Desk, log: AuditStore, accounts: AccountStore
) -> None:
    clock = ManualClock()
    cleaner = AuditCleaner(log, clock, keep_s=10 * 86_400)
    for day in range(20):
        await accounts.create(f"account {day}")
        desk.harness.pass_time(86_400)
        clock.advance(86_400)
    noted = (await log.list(Query(action="account.create"))).entries[3]
    for _ in range(2):
        await cleaner.clean()
        found = await verify(log, Place(noted.seq, noted.hash))
        assert found.faults == []
        kept = (await log.list(Query(action="account."))).entries
        assert len(kept) == 20 - found.checkpoint.seq
        assert all(entry.at >= clock.now_ms() - 11 * DAY_MS for entry in kept)
    (cut,) = (await log.list(Query(action="audit.cut"))).entries
    assert cut.after == {"entries": found.checkpoint.seq, "up_to": found.checkpoint.seq, "hash": found.checkpoint.hash}
    # What was cut cannot be vouched for any more.
    assert "older than what retention has kept" in (await verify(log, Place(1, "x"))).faults[0]


async def test_retention_cuts_nothing_of_a_log_that_does_not_hold(
    desk: Desk, log: AuditStore, accounts: AccountStore
) -> None:
    for day in range(5):
        await accounts.create(f"account {day}")
    await change(desk, "UPDATE audit_log SET subject_id = 'x' WHERE seq = 2")
    with pytest.raises(AuditBroken, match="entry 2"):
        await log.cut(desk.harness.now_ms() + 1)
    assert len(await desk.rows("SELECT * FROM audit_log")) == 5


async def test_pages_and_filters_find_each_entry_once(desk: Desk, log: AuditStore, accounts: AccountStore) -> None:
    keys = KeyStore(desk.harness.database)
    made = [await accounts.create(f"account {number}") for number in range(4)]
    act_as(Actor(ActorKind.KEY, "key_bob", "acct_bob", is_test=True))
    between = desk.harness.now_ms()
    desk.harness.pass_time(10)
    for account in made:
        await keys.create_key_for(account.id, name="", mode=Mode.TEST, lifetime_s=None, scopes=frozenset())
    found: list[int] = []
    place = None
    while True:
        page = await log.list(Query(limit=3, before_seq=place))
        found += [entry.seq for entry in page.entries]
        if page.next_seq is None:
            break
        place = page.next_seq
    assert found == list(range(8, 0, -1))

    async def seqs(**conditions: object) -> list[int]:
        return [entry.seq async for entry in log.all(Query(limit=2, **conditions))]  # type: ignore[arg-type]

    assert await seqs(account_id=made[0].id) == [5, 1]
    assert await seqs(actor_id="key_bob") == [8, 7, 6, 5]
    assert await seqs(action="account.") == [4, 3, 2, 1]
    assert await seqs(action="key.create", account_id=made[3].id) == [8]
    assert await seqs(is_test=True) == [8, 7, 6, 5]
    assert await seqs(after_ms=between + 1) == [8, 7, 6, 5]
    assert await seqs(before_ms=between + 1) == [4, 3, 2, 1]
    assert await seqs(subject_id="nothing") == []
