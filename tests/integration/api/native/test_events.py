"""One stream at a time, without a server: it ends for its reader's sake, its key's, and the service's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from rushes.accounts.account_store import AccountStore
from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Mode
from rushes.accounts.limits import LimitName, LimitStore
from rushes.accounts.revocations import Revocations
from rushes.api.native.events import EventStream, _position, follow_job
from rushes.api.waiting import ended_within
from rushes.domain.job import Status
from rushes.errors import InvalidRequest
from rushes.jobs.events.store import HistoryStore
from rushes.jobs.events.stream import QUIET_S, Position
from rushes.jobs.events.waiters import Watching
from rushes.shared_places import STREAMS, SharedPlace
from tests.fixtures.asking import request_of
from tests.fixtures.engine import Engine


class Listener:
    """One job, one key, and one who listens: reads at once unless `deaf`, and may leave."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.keys = KeyStore(engine.database)
        self.history = HistoryStore(engine.database)
        self.watching = Watching(self.history, engine.clock, SharedPlace(STREAMS))
        self.running = asyncio.ensure_future(self.watching.run())
        self.left = asyncio.Event()
        self.deaf = False
        self.sent: list[Message] = []
        self.key_id = ""
        self.caller: Any = None
        self.request: Any = None

    async def prepare(self) -> None:
        record, key = await self.keys.create_key(account="default", name="", mode=Mode.LIVE)
        self.key_id = record.id
        self.caller = await self.keys.authenticate(key)
        await self.engine.create(account_id=self.caller.account_id, hold_s=3600)
        asked = request_of(headers={"Authorization": f"Bearer {key}"})
        services = SimpleNamespace(
            keys=self.keys,
            history=self.history,
            watching=self.watching,
            clock=self.engine.clock,
            revocations=Revocations(self.keys, self.engine.clock),
        )
        app = SimpleNamespace(state=SimpleNamespace(services=services))
        self.request = Request({**asked.scope, "app": app}, self.receive)

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.deaf:
            await asyncio.get_running_loop().create_future()
        self.sent.append(message)

    async def open(self) -> asyncio.Future[None]:
        """The stream, once it has said what there is."""
        response = await follow_job(self.request, "job_1", self.caller)
        assert isinstance(response, EventStream)
        streaming = asyncio.ensure_future(response(self.request.scope, self.receive, self.send))
        await self.engine.clock.settle()
        return streaming

    @property
    def said(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_whole(self) -> bool:
        return self.sent[-1].get("more_body") is False


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    engine = Engine(tmp_path / "rushes.db")
    made = Listener(engine)
    await made.prepare()
    yield made
    made.running.cancel()
    await asyncio.wait({made.running})
    await engine.close()


async def test_silence_is_filled_with_comments_and_no_writes(listener: Listener) -> None:
    writes = listener.engine.database.writes
    streaming = await listener.open()
    await listener.engine.clock.run_for(QUIET_S * 4)
    assert listener.said.count(b": keep-alive\n\n") == 4
    assert listener.engine.database.writes == writes
    assert not streaming.done()
    listener.left.set()
    await streaming


async def test_a_revoked_key_ends_its_stream_within_a_keep_alive_period(listener: Listener) -> None:
    streaming = await listener.open()
    await listener.keys.revoke_key(listener.key_id)
    await listener.engine.clock.run_for(QUIET_S)
    assert streaming.done()
    assert listener.is_whole


async def test_a_disabled_account_ends_its_streams(listener: Listener) -> None:
    streaming = await listener.open()
    await AccountStore(listener.engine.database).disable(listener.caller.account_id)
    await listener.engine.clock.run_for(QUIET_S)
    assert streaming.done()
    assert listener.is_whole


async def test_a_limit_set_meanwhile_leaves_a_stream_alone(listener: Listener) -> None:
    streaming = await listener.open()
    limits = LimitStore(listener.engine.database)
    await limits.change(listener.caller.account_id, {LimitName.REQUESTS_PER_MINUTE: 1})
    await listener.engine.clock.run_for(QUIET_S * 4)
    assert not streaming.done()
    listener.left.set()
    await streaming


async def test_a_reader_who_leaves_frees_the_place(listener: Listener) -> None:
    streaming = await listener.open()
    assert listener.watching.watchers == 1
    listener.left.set()
    await streaming
    assert listener.watching.watchers == 0


async def test_a_stopping_service_ends_the_stream_whole(listener: Listener) -> None:
    streaming = await listener.open()
    listener.watching.close()
    await streaming
    assert listener.is_whole


async def test_a_stopping_service_does_not_wait_for_a_deaf_reader(listener: Listener) -> None:
    listener.deaf = True
    streaming = await listener.open()
    listener.watching.close()
    await streaming
    assert listener.watching.watchers == 0
    assert listener.sent == []


async def test_a_caller_who_leaves_is_not_waited_for(listener: Listener) -> None:
    waiting = asyncio.ensure_future(ended_within(listener.request, listener.caller, "job_1", 60))
    await listener.engine.clock.settle()
    assert listener.watching.watchers == 1
    listener.left.set()
    assert await waiting is None
    assert listener.watching.watchers == 0


async def test_who_waits_gets_the_job_as_it_is_when_the_service_stops(listener: Listener) -> None:
    waiting = asyncio.ensure_future(ended_within(listener.request, listener.caller, "job_1", 60))
    await listener.engine.clock.settle()
    listener.watching.close()
    job = await waiting
    assert job is not None
    assert job.status is Status.PENDING


@given(st.integers(0, 10**18 - 1), st.integers(0, 100))
def test_an_id_leads_back_to_its_position(seq: int, percent: int) -> None:
    assert _position(f"{seq}.{percent}", None) == Position(seq, percent)
    assert _position(None, f"{seq}.{percent}") == Position(seq, percent)


@given(st.text(min_size=1))
def test_any_other_id_is_refused_by_name(text: str) -> None:
    try:
        position = _position(None, text)
    except InvalidRequest as refusal:
        assert [field.field for field in refusal.fields] == ["last_event_id"]  # noqa: PT017 - most are refused, not all
    else:
        assert text.isascii()
        assert position.percent <= 100


def test_no_id_is_the_beginning() -> None:
    assert _position(None, None) == _position("", "") == Position()
