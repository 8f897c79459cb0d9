"""What the store of console sessions promises, over every database."""

from __future__ import annotations

import asyncio

import pytest

from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Mode
from rushes.accounts.sessions import SessionStore
from rushes.stored_places import SESSIONS
from tests.contract.database_harness import Desk


@pytest.fixture
def sessions(desk: Desk) -> SessionStore:
    return SessionStore(desk.harness.database)


async def test_a_session_lasts_for_its_time(desk: Desk, sessions: SessionStore) -> None:
    token = await sessions.open("key_1", lifetime_s=60)
    found = await sessions.find(token)
    assert found is not None
    assert found.key_id == "key_1"
    assert found.expires_at == desk.harness.now_ms() + 60_000
    desk.harness.pass_time(61)
    assert await sessions.find(token) is None


async def test_a_session_that_was_ended_is_over(sessions: SessionStore) -> None:
    token, other = await sessions.open("key_1", lifetime_s=60), await sessions.open("key_1", lifetime_s=60)
    await sessions.end(token)
    await sessions.end(token)
    assert await sessions.find(token) is None
    assert await sessions.find(other) is not None


async def test_no_token_is_stored(desk: Desk, sessions: SessionStore) -> None:
    token, code = await sessions.open("key_1", lifetime_s=60), await sessions.make_link("key_1", lifetime_s=60)
    rows = [
        *await desk.harness.database.read("SELECT * FROM console_sessions"),
        *await desk.harness.database.read("SELECT * FROM sign_in_links"),
    ]
    assert len(rows) == 2
    assert token not in str(rows)
    assert code not in str(rows)


async def test_expired_sessions_go_when_the_next_is_opened(desk: Desk, sessions: SessionStore) -> None:
    await sessions.open("key_1", lifetime_s=60)
    desk.harness.pass_time(61)
    await sessions.open("key_2", lifetime_s=60)
    rows = await desk.harness.database.read("SELECT key_id FROM console_sessions")
    assert [row["key_id"] for row in rows] == ["key_2"]


async def test_the_oldest_of_too_many_sessions_of_one_key_ends(desk: Desk, sessions: SessionStore) -> None:
    others = await sessions.open("key_2", lifetime_s=3600)
    opened = []
    for _ in range(SESSIONS.share + 2):
        opened.append(await sessions.open("key_1", lifetime_s=3600))
        desk.harness.pass_time(1)
    found = [await sessions.find(token) is not None for token in opened]
    assert found == [False] * 2 + [True] * SESSIONS.share
    assert await sessions.find(others) is not None


async def test_sessions_that_are_opened_at_once_are_no_more_than_one_key_may_have(
    desk: Desk, sessions: SessionStore
) -> None:
    key, _ = await KeyStore(desk.harness.database).create_key(account="alice", name="", mode=Mode.LIVE)
    await asyncio.gather(*(sessions.open(key.id, lifetime_s=60) for _ in range(SESSIONS.share + 5)))
    rows = await desk.harness.database.read("SELECT hash FROM console_sessions WHERE key_id = :key_id", key_id=key.id)
    assert len(rows) == SESSIONS.share


async def test_of_many_who_use_a_link_at_once_one_is_signed_in(sessions: SessionStore) -> None:
    code = await sessions.make_link("key_1", lifetime_s=60)
    assert await sessions.find_link(code) == "key_1"
    used = await asyncio.gather(*(sessions.redeem_link(code, lifetime_s=60) for _ in range(8)))
    (opened,) = [one for one in used if one is not None]
    assert opened[1] == "key_1"
    assert await sessions.find(opened[0]) is not None
    assert await sessions.find_link(code) is None


async def test_a_link_expires(desk: Desk, sessions: SessionStore) -> None:
    code = await sessions.make_link("key_1", lifetime_s=60)
    desk.harness.pass_time(61)
    assert await sessions.find_link(code) is None
    assert await sessions.redeem_link(code, lifetime_s=60) is None


@pytest.mark.parametrize("token", ["", "x", "é\udcff", "\x00"])
async def test_a_token_of_nobody_is_no_session(sessions: SessionStore, token: str) -> None:
    assert await sessions.find(token) is None
    assert await sessions.redeem_link(token, lifetime_s=60) is None
