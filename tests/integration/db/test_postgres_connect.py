"""Several hosts, poolers and unusable addresses: what a process does that cannot connect as it wants to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import asyncpg
import pytest

from rushes.db.migrate import read_postgres
from rushes.db.postgres import PostgresDatabase
from rushes.db.postgres_connect import POOLED, UNSUPPORTED, Address, Connector, check_sessions, is_pooled_away, place_of
from rushes.errors import DatabaseUnavailable, StartupError
from tests.fixtures.pgbouncer import needs_pgbouncer, pgbouncer
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import host_of, run_sql, shared_server, with_hosts
from tests.fixtures.time_limits import GENEROUS_S


@pytest.fixture
def url() -> Iterator[str]:
    fresh = shared_server().fresh()
    yield fresh
    shared_server().done_with(fresh)


@pytest.fixture
def silent() -> Iterator[str]:
    """The `host:port` of a server that takes connections and says nothing."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("first", ["silent", "refused", "nowhere"])
async def test_the_next_host_is_used_when_the_first_does_not_serve(url: str, silent: str, first: str) -> None:
    places = {"silent": silent, "refused": f"127.0.0.1:{free_port()}", "nowhere": "no-such-host.invalid:5432"}
    database = PostgresDatabase(with_hosts(url, places[first], host_of(url)))
    try:
        assert (await database.read("SELECT 1 AS one"))[0]["one"] == 1
        # The host that works is asked first from now on, also by connections that are made later.
        await asyncio.gather(*(database.read("SELECT pg_sleep(0.05)") for _ in range(5)))
        assert database._connector._first == 1
    finally:
        await database.close()


async def test_notes_are_heard_over_the_next_host(url: str, silent: str) -> None:
    here, there = PostgresDatabase(with_hosts(url, silent, host_of(url))), PostgresDatabase(url)
    heard: asyncio.Queue[str] = asyncio.Queue()
    here.listen("jobs", heard.put_nowait)

    async def body(transaction: object) -> None:
        there._notes.send_all([("jobs", "job_1")])

    try:
        async with asyncio.timeout(GENEROUS_S):
            while heard.empty():
                await there.write(body)
                await asyncio.sleep(0.1)
    finally:
        await here.close()
        await there.close()


async def test_the_schema_is_read_over_the_next_host(url: str, silent: str) -> None:
    assert (await read_postgres(with_hosts(url, silent, host_of(url)))).version is not None


@pytest.mark.parametrize("read_only_first", [True, False])
async def test_of_several_hosts_only_one_that_can_be_written_to_is_used(url: str, read_only_first: bool) -> None:
    """A replica says so itself; here a database of the same server plays it, which refuses writes."""
    other = shared_server().fresh()
    name = urlsplit(other).path.removeprefix("/")
    run_sql(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        with pytest.raises(DatabaseUnavailable, match="is a replica, or cannot be written to"):
            await Connector(with_hosts(other, host_of(other), host_of(other))).connect()
        mixed = Connector(with_hosts(url, host_of(url), host_of(url)))
        writable, read_only = mixed.address.urls[0], with_hosts(other, host_of(other), query="")
        read_only += "target_session_attrs=read-write"
        urls = (read_only, writable) if read_only_first else (writable, read_only)
        mixed.address = Address(urls, mixed.address.connect_s)
        connection = await mixed.connect()
        assert await connection.fetchval("SELECT current_database()") == urlsplit(url).path[1:]
        await connection.close()
    finally:
        run_sql(url, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        shared_server().done_with(other)


async def test_each_reason_is_one_line_that_names_no_password(url: str, silent: str) -> None:
    name = urlsplit(url).path
    port = free_port()
    reasons = {
        f"postgresql://postgres:hunter2@{silent}{name}?connect_timeout=1": "did not answer within 1 s",
        f"postgresql://postgres:hunter2@127.0.0.1:{port}{name}": f"no database server listens at '127.0.0.1:{port}",
        f"postgresql://postgres:hunter2@no-such-host.invalid{name}": "cannot be resolved",
        f"postgresql://postgres:hunter2@{host_of(url)}{name}?sslmode=require": "does not offer TLS",
        f"postgresql://postgres:hunter2@{host_of(url)}/no_such_database": "does not exist on its server",
        f"postgresql://postgres:hunter2@{host_of(url)}{name}?no_such_setting=1": "no_such_setting",
    }
    for address, reason in reasons.items():
        with pytest.raises(DatabaseUnavailable) as caught:
            await Connector(address).connect()
        assert reason in caught.value.message
        assert "hunter2" not in caught.value.message
        assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_a_parameter_that_the_driver_lacks_is_named_at_start(name: str) -> None:
    with pytest.raises(StartupError, match=f"'{name}', which rushes does not support"):
        Address.parse(f"postgresql://u:hunter2@h/d?{name}=require")


@pytest.mark.parametrize(
    ("address", "urls"),
    [
        ("postgresql://u:p@a:1,b:2/d", ("a:1/d", "b:2/d")),
        ("postgresql://u:p@/d?host=a,b&port=5,6", ("a:5/d", "b:6/d")),
        ("postgresql://u:p@/d?host=a,b&port=5", ("a:5/d", "b:5/d")),
        ("postgresql://u:p@[::1]:1,b/d", ("[::1]:1/d", "b/d")),
    ],
)
def test_every_host_of_a_list_has_a_url(address: str, urls: tuple[str, ...]) -> None:
    parsed = Address.parse(address)
    assert tuple(place_of(url) for url in parsed.urls) == urls
    assert all("target_session_attrs=read-write" in url for url in parsed.urls)


def test_a_session_attribute_that_is_given_stays() -> None:
    (first, _) = Address.parse("postgresql://a,b/d?target_session_attrs=any").urls
    assert "target_session_attrs=any" in first


@pytest.mark.parametrize(("given", "seconds"), [("connect_timeout=3", 3), ("connect_timeout=0", 60), ("", 5)])
def test_each_host_has_the_time_that_the_url_says(given: str, seconds: float) -> None:
    address = Address.parse(f"postgresql://a,b/d?{given}")
    assert address.connect_s == seconds
    assert address.longest_s == 2 * seconds + 1


@pytest.mark.parametrize("text", ["soon", "-1", "1.5"])
def test_a_connect_timeout_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(StartupError, match="connect_timeout must be whole seconds"):
        Address.parse(f"postgresql://a/d?connect_timeout={text}")


@needs_pgbouncer
async def test_a_pooler_in_session_mode_serves_reads_writes_and_notes(url: str) -> None:
    with pgbouncer(url, "session") as pooled:
        await check_sessions(pooled)
        assert (await read_postgres(pooled)).version is not None
        database, beside = PostgresDatabase(pooled), PostgresDatabase(url)
        heard: asyncio.Queue[str] = asyncio.Queue()
        database.listen("jobs", heard.put_nowait)
        try:
            rows = await database.read("SELECT current_setting('statement_timeout') AS found")
            assert rows[0]["found"] == "30s"
            async with asyncio.timeout(GENEROUS_S):
                while heard.empty():
                    beside._notes.send_all([("jobs", "job_1")])
                    await asyncio.sleep(0.1)
        finally:
            await database.close()
            await beside.close()


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_shares_sessions_is_refused_in_one_line(url: str, mode: str) -> None:
    with pgbouncer(url, mode) as pooled, pytest.raises(StartupError) as refused:
        await read_postgres(pooled)
    assert refused.value.message == POOLED


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.exceptions.InvalidSQLStatementNameError("prepared statement does not exist"),
        asyncpg.exceptions.DuplicatePreparedStatementError("prepared statement exists"),
    ],
)
def test_the_errors_of_a_shared_session_are_known(error: Exception) -> None:
    assert is_pooled_away(error)
