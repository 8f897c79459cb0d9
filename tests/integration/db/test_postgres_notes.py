"""Notes reach other processes' listeners, also after the connection has broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from rushes.db.database import Transaction
from rushes.db.postgres import PostgresDatabase
from rushes.db.postgres_notes import LONGEST_PAYLOAD, PostgresNotes
from tests.fixtures.postgres import run_sql, shared_server
from tests.fixtures.time_limits import GENEROUS_S


class Station:
    """One process's database, and what was heard on the channel `jobs`."""

    def __init__(self, url: str) -> None:
        self.database = PostgresDatabase(url)
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.stop_listening = self.database.listen("jobs", self.heard.put_nowait)

    async def next(self) -> str:
        async with asyncio.timeout(GENEROUS_S):
            return await self.heard.get()

    async def tell(self, *payloads: str, channel: str = "jobs") -> None:
        async def body(transaction: Transaction) -> None:
            for payload in payloads:
                transaction.notify(channel, payload)

        await self.database.write(body)


@pytest.fixture
def url() -> Iterator[str]:
    fresh = shared_server().fresh()
    yield fresh
    shared_server().done_with(fresh)


async def find_each_other(here: Station, there: Station) -> None:
    """Return when both hear each other, which a process that has just begun does not do at once."""
    for teller, listener in ((here, there), (there, here)):
        async with asyncio.timeout(GENEROUS_S):
            while listener.heard.empty():
                await teller.tell("are you there")
                await asyncio.sleep(0.02)
    await here.tell("last")
    await there.tell("last")
    for one in (here, there):
        for _ in range(2):
            while await one.next() != "last":
                pass


@pytest.fixture
async def stations(url: str) -> AsyncIterator[tuple[Station, Station]]:
    both = (Station(url), Station(url))
    await find_each_other(*both)
    yield both
    for one in both:
        await one.database.close()


async def test_a_note_is_heard_here_at_once_and_there_soon(stations: tuple[Station, Station]) -> None:
    here, there = stations
    await here.tell("250")
    assert here.heard.get_nowait() == "250"
    assert await there.next() == "250"
    await here.tell("x", channel="other")
    await here.tell("")
    assert await there.next() == ""
    assert here.heard.qsize() == 1


async def test_nobody_hears_of_what_was_not_committed(stations: tuple[Station, Station]) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.notify("jobs", "never")
        raise KeyError("on purpose")

    here, there = stations
    with pytest.raises(KeyError):
        await here.database.write(body)
    await here.tell("next")
    assert await there.next() == "next"
    assert here.heard.get_nowait() == "next"


async def test_equal_notes_at_once_are_sent_once(stations: tuple[Station, Station]) -> None:
    here, there = stations
    await asyncio.gather(*(here.tell("1") for _ in range(100)))
    await here.tell("last")
    heard = [await there.next()]
    while heard[-1] != "last":
        heard.append(await there.next())
    assert len(heard) < 50


async def test_who_has_stopped_listening_hears_nothing_more(stations: tuple[Station, Station]) -> None:
    here, there = stations
    again: asyncio.Queue[str] = asyncio.Queue()
    there.database.listen("jobs", again.put_nowait)
    there.stop_listening()
    await here.tell("1")
    async with asyncio.timeout(GENEROUS_S):
        assert await again.get() == "1"
    assert there.heard.empty()


async def test_after_a_break_they_hear_each_other_again(stations: tuple[Station, Station], url: str) -> None:
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rushes notes'"
    assert len(await asyncio.to_thread(run_sql, url, f"{ended} AND datname = current_database()")) == 2
    await find_each_other(*stations)


async def test_the_last_word_of_a_process_that_stops_is_still_sent(stations: tuple[Station, Station]) -> None:
    here, there = stations
    await here.tell("free")
    await here.database.close()
    assert await there.next() == "free"


async def test_a_command_that_ends_at_once_is_heard(stations: tuple[Station, Station], url: str) -> None:
    command = PostgresDatabase(url)

    async def body(transaction: Transaction) -> None:
        transaction.notify("jobs", "by a command")

    await command.write(body)
    await command.close()
    assert await stations[0].next() == "by a command"


async def test_a_payload_that_is_too_long_is_refused(stations: tuple[Station, Station]) -> None:
    with pytest.raises(ValueError, match="at most"):
        await stations[0].tell("x" * (LONGEST_PAYLOAD + 1))


class Ending:
    """A driver's connection as the notes use it, which knows nothing of itself once it has ended."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[Callable[..., None]] = asyncio.get_running_loop().create_future()
        self.has_ended = False

    def get_server_pid(self) -> int:
        if self.has_ended:
            raise AttributeError("'NoneType' object has no attribute 'get_server_pid'")
        return 7

    def add_termination_listener(self, _: object) -> None:
        pass

    async def add_listener(self, _: str, heard: Callable[..., None]) -> None:
        self.heard.set_result(heard)

    async def execute(self, *_: object) -> None:
        pass

    def terminate(self) -> None:
        self.has_ended = True


async def test_a_note_that_was_on_its_way_when_the_connection_ended_is_heard_without_trouble() -> None:
    connection = Ending()

    async def connect() -> Ending:
        return connection

    notes = PostgresNotes(connect, (OSError,))
    told: list[str] = []
    notes.listen("jobs", told.append)
    heard = await connection.heard
    await notes.close()
    heard(connection, 8, "rushes", "jobs job_1")
    heard(connection, 7, "rushes", "jobs job_2")
    assert told == ["job_1"]
