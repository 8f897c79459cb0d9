"""What only a server of its own can do to us: break connections, lose commits, fill up, be changed by others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from rushes.db.database import Transaction
from rushes.db.postgres import PoolLimits, PostgresDatabase, check_url, connections_place
from rushes.db.postgres_connect import place_of
from rushes.engine.claims import ClaimStore
from rushes.errors import DatabaseUnavailable, OutcomeUnknown, Overloaded, StartupError
from rushes.jobs.store import JobStore
from rushes.shared_places import account_served
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.postgres import run_sql, shared_server
from tests.fixtures.service import until
from tests.fixtures.time_limits import GENEROUS_S

PUT = "INSERT INTO doomed_files (key) VALUES (:key)"
TOUCH = "UPDATE doomed_files SET key = key WHERE key = :key"
COUNT = "SELECT COUNT(*) AS files FROM doomed_files"
BEAT = "INSERT INTO workers (id, alive_until) VALUES ('w', :now) ON CONFLICT (id) DO UPDATE SET alive_until = :now"


@pytest.fixture
def url() -> Iterator[str]:
    fresh = shared_server().fresh()
    yield fresh
    shared_server().done_with(fresh)


@pytest.fixture
async def database(url: str) -> AsyncIterator[PostgresDatabase]:
    opened = PostgresDatabase(url)
    yield opened
    await opened.close()


async def files(database: PostgresDatabase) -> int:
    (row,) = await database.read(COUNT)
    return int(row["files"])


async def end_every_connection(url: str) -> None:
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await asyncio.to_thread(run_sql, url, sql)


async def test_parameters_of_every_kind_arrive_as_they_are(database: PostgresDatabase) -> None:
    (row,) = await database.read(
        "SELECT CAST(:text AS text) AS text, CAST(:whole AS bigint) AS whole, CAST(:part AS float) AS part, "
        "CAST(:nothing AS text) AS nothing, CAST(:text AS text) AS again, 'a:b' AS colon, '1'::text AS cast",
        text="Ein Hund 🐕",
        whole=2**60,
        part=0.1,
        nothing=None,
    )
    expected = {"text": "Ein Hund 🐕", "whole": 2**60, "part": 0.1, "nothing": None, "again": "Ein Hund 🐕"}
    assert row == {**expected, "colon": "a:b", "cast": "1"}


async def test_a_text_with_a_nul_is_kept_without_it_and_finds_nothing(database: PostgresDatabase) -> None:
    assert await database.write(lambda transaction: transaction.execute(PUT, key="a\0b")) == 1
    assert await database.read("SELECT key FROM doomed_files") == [{"key": "a\N{REPLACEMENT CHARACTER}b"}]
    assert await database.read("SELECT 1 AS found FROM jobs WHERE id = :id", id="\0") == []


async def test_time_is_the_servers_and_goes_on_within_a_transaction(database: PostgresDatabase) -> None:
    async def body(transaction: Transaction) -> list[int]:
        times = []
        for _ in range(2):
            (row,) = await transaction.fetch("SELECT :now AS a, :now AS b, pg_sleep(0.02)")
            assert row["a"] == row["b"]
            times.append(row["a"])
        return times

    first, second = await database.write(body)
    assert second >= first + 15


async def test_what_a_body_raises_undoes_what_it_wrote(database: PostgresDatabase) -> None:
    async def body(transaction: Transaction) -> None:
        await transaction.execute(PUT, key="a")
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        await database.write(body)
    assert await files(database) == 0


async def test_a_write_whose_caller_is_gone_is_done_to_its_end(database: PostgresDatabase, url: str) -> None:
    began = asyncio.Event()

    async def body(transaction: Transaction) -> None:
        await transaction.execute(PUT, key="a")
        began.set()
        await transaction.fetch("SELECT pg_sleep(0.05)")

    task = asyncio.create_task(database.write(body))
    await began.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await database.close()
    again = PostgresDatabase(url)
    assert await files(again) == 1
    await again.close()


async def test_connections_that_the_server_ended_are_replaced_unnoticed(database: PostgresDatabase, url: str) -> None:
    for _ in range(3):
        await asyncio.gather(*(database.read("SELECT pg_sleep(0.01)") for _ in range(5)))
        await end_every_connection(url)
        assert await files(database) == 0
        await end_every_connection(url)
        await database.write(lambda transaction: transaction.execute(BEAT))


async def test_a_transaction_that_loses_its_connection_before_the_commit_runs_again(
    database: PostgresDatabase, url: str
) -> None:
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.execute(PUT, key="a")
        if runs == 1:
            await end_every_connection(url)
        await transaction.execute(PUT, key="b")

    await database.write(body)
    assert (runs, await files(database)) == (2, 2)


async def test_two_transactions_that_wait_for_each_other_both_end_well(database: PostgresDatabase) -> None:
    for key in ("a", "b"):
        await database.write(lambda transaction, key=key: transaction.execute(PUT, key=key))  # type: ignore[misc]
    both = asyncio.Barrier(2)
    met = 0

    def taking(*keys: str) -> Callable[[Transaction], Awaitable[None]]:
        async def body(transaction: Transaction) -> None:
            nonlocal met
            for key in keys:
                await transaction.execute(TOUCH, key=key)
                if met < 2:
                    met += 1
                    await both.wait()

        return body

    await asyncio.gather(database.write(taking("a", "b")), database.write(taking("b", "a")))
    assert met == 2


async def test_what_a_frozen_transaction_has_locked_is_taken_from_it(url: str) -> None:
    limits = PoolLimits(lock_s=0.1, idle_s=0.2)
    frozen, other = PostgresDatabase(url, limits), PostgresDatabase(url, limits)
    locked, other_is_done = asyncio.Event(), asyncio.Event()
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.execute(BEAT)
        locked.set()
        await other_is_done.wait()
        await transaction.execute(PUT, key=f"run {runs}")

    task = asyncio.create_task(frozen.write(body))
    await locked.wait()
    await other.write(lambda transaction: transaction.execute(BEAT))
    other_is_done.set()
    await task
    assert await other.read("SELECT key FROM doomed_files") == [{"key": "run 2"}]
    await frozen.close()
    await other.close()


async def test_what_a_transaction_frozen_within_a_statement_has_locked_is_taken_from_it(url: str) -> None:
    """Where the server waits for the second half of a statement, none of its own limits holds."""
    limits = PoolLimits(lock_s=0.1, idle_s=0.2)
    frozen, other = PostgresDatabase(url, limits), PostgresDatabase(url, limits)
    locked, other_is_done = asyncio.Event(), asyncio.Event()
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.execute(TOUCH, key="a")
        await transaction._statements._connection.prepare("SELECT 1")  # type: ignore[attr-defined]
        locked.set()
        await other_is_done.wait()
        await transaction.execute(PUT, key=f"run {runs}")

    await other.write(lambda transaction: transaction.execute(PUT, key="a"))
    task = asyncio.create_task(frozen.write(body))
    await locked.wait()
    other.guard()
    async with asyncio.timeout(GENEROUS_S):
        while True:
            with suppress(DatabaseUnavailable):
                await other.write(lambda transaction: transaction.execute(TOUCH, key="a"))
                break
    other_is_done.set()
    await task
    assert await other.read("SELECT key FROM doomed_files ORDER BY key") == [{"key": "a"}, {"key": "run 2"}]
    await frozen.close()
    await other.close()


async def test_a_statement_that_takes_too_long_is_ended_and_not_begun_again(url: str) -> None:
    database = PostgresDatabase(url, PoolLimits(statement_s=0.1))
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.fetch("SELECT pg_sleep(30)")

    with pytest.raises(DatabaseUnavailable, match="took too long; nothing was changed"):
        await database.write(body)
    assert runs == 1
    await database.close()


@pytest.mark.parametrize(("most_waiting", "wait_s"), [(0, 60), (10, 0.05)])
async def test_with_every_connection_busy_the_next_is_refused(url: str, most_waiting: int, wait_s: float) -> None:
    database = PostgresDatabase(url, PoolLimits(connections=1, most_waiting=most_waiting, wait_s=wait_s))
    busy, enough = asyncio.Event(), asyncio.Event()

    async def body(transaction: Transaction) -> None:
        busy.set()
        await enough.wait()

    task = asyncio.create_task(database.write(body))
    await busy.wait()
    with pytest.raises(Overloaded):
        await database.read("SELECT 1")
    enough.set()
    await task
    assert await files(database) == 0
    await database.close()


async def test_an_account_whose_transactions_hang_leaves_connections_to_others(url: str) -> None:
    database = PostgresDatabase(url, PoolLimits(connections=10))
    share = connections_place(10).declaration.share
    enough = asyncio.Event()
    began = 0

    async def body(transaction: Transaction) -> None:
        nonlocal began
        began += 1
        await transaction.fetch("SELECT 1")
        await enough.wait()

    async def of_one_account() -> None:
        account_served.set("hostile")
        await database.write(body)

    hanging = [asyncio.create_task(of_one_account()) for _ in range(50)]
    await until(lambda: began == share)
    account_served.set("other")
    assert await database.read("SELECT 1 AS one")
    await database.write(lambda transaction: transaction.execute(BEAT))
    assert began == share
    enough.set()
    await asyncio.gather(*hanging)
    assert began == 50
    await database.close()


async def test_a_server_that_is_away_is_said_to_be_and_nothing_else(url: str) -> None:
    database = PostgresDatabase("postgresql://someone:hunter2@127.0.0.1:1/films")
    for call in (database.read("SELECT 1"), database.write(lambda transaction: transaction.execute(BEAT))):
        with pytest.raises(DatabaseUnavailable, match=r"^the database cannot be reached; nothing was changed$"):
            await call
    await database.close()
    with pytest.raises(DatabaseUnavailable, match="stopping"):
        await database.read("SELECT 1")


# A connection that breaks during the commit.


class Line:
    """A TCP line to the server that breaks when a COMMIT goes over it, before or after the server gets it."""

    def __init__(self, *, arrives: bool) -> None:
        self.arrives = arrives
        self.broken = False

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[str]:
        """The address of the line's near end."""
        target = urlsplit(url)
        assert target.port is not None
        carriers: set[asyncio.Task[Any]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection(target.hostname, target.port)
            both = (self._carry(reader, far_writer, writer), self._carry(far_reader, writer, None))
            carriers.update(asyncio.create_task(one) for one in both)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield url.replace(str(target.port), str(port))
        finally:
            server.close()
            for carrier in carriers:
                carrier.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter | None
    ) -> None:
        try:
            while data := await reader.read(65536):
                if back is not None and b"COMMIT" in data and not self.broken:
                    self.broken = True
                    back.transport.abort()
                    if not self.arrives:
                        break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_without_an_answer_is_not_repeated_and_says_so(url: str, arrives: bool) -> None:
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.execute(PUT, key="a")

    async with Line(arrives=arrives).open(url) as line:
        database = PostgresDatabase(line)
        with pytest.raises(OutcomeUnknown, match="may have been made or not"):
            await database.write(body)
        assert runs == 1
        await database.read("SELECT 1")
        await database.close()


@pytest.mark.parametrize("arrives", [True, False])
async def test_jobs_of_a_claim_without_an_answer_are_not_forgotten(url: str, arrives: bool) -> None:
    direct = PostgresDatabase(url)
    await JobStore(direct).create(new_job())
    async with Line(arrives=arrives).open(url) as line:
        through = PostgresDatabase(line)
        leases = ClaimStore(through, "worker_1", pulse=direct)
        await leases.beat(60)
        with pytest.raises(OutcomeUnknown):
            await leases.claim(10)
        (claimed,) = await leases.claim(10)
        await leases.record(claimed).intend(attempt_id="att_1", part=0, n=1)
        assert await leases.claim(10) == []
        assert (await JobStore(direct).get(ACCOUNT, "job_1")).state == "submitting"
        await through.close()
    await direct.close()


async def test_a_worker_that_leaves_waits_for_a_claim_that_it_has_given_up(url: str) -> None:
    database = PostgresDatabase(url)
    await JobStore(database).create(new_job())
    leases = ClaimStore(database, "worker_1")
    await leases.beat(60)
    claim = asyncio.create_task(leases.claim(10))
    while not database._writes:  # noqa: ASYNC110 - nothing tells that it has begun to write
        await asyncio.sleep(0)
    claim.cancel()
    await asyncio.gather(claim, return_exceptions=True)
    await leases.leave()
    assert await database.read("SELECT id FROM jobs WHERE worker_id IS NOT NULL") == []
    assert await database.read("SELECT ready, in_use FROM lanes") == [{"ready": 1, "in_use": 0}]
    await database.close()


async def test_a_heartbeat_passes_a_claim_that_waits_for_a_lane(url: str) -> None:
    database, pulse = PostgresDatabase(url, PoolLimits(lock_s=20)), PostgresDatabase(url, PoolLimits(lock_s=0.05))
    busy = await asyncpg.connect(url)
    await JobStore(database).create(new_job())
    leases = ClaimStore(database, "worker_1", pulse=pulse)
    await leases.beat(60)
    await busy.execute("BEGIN; SELECT * FROM lanes FOR UPDATE")
    claim = asyncio.create_task(leases.claim(10))
    while not await pulse.read("SELECT 1 FROM pg_locks WHERE NOT granted"):
        assert not claim.done()
    assert (await leases.beat(60)).was_alive
    assert not claim.done()
    await busy.execute("ROLLBACK")
    assert len(await claim) == 1
    await busy.close()
    await pulse.close()
    await database.close()


# Addresses.


@pytest.mark.parametrize(
    "address", ["postgresql://h/d", "postgres://u:p@h:5432/d?sslmode=require", "postgresql://h1:1,h2:2/d"]
)
def test_an_address_of_postgres_is_taken(address: str) -> None:
    check_url(address)


@pytest.mark.parametrize("address", ["", "hunter2", "sqlite:///x", "postgresql://h:hunter2/d", "mysql://u:hunter2@h/d"])
def test_another_address_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(StartupError) as refused:
        check_url(address)
    assert "hunter2" not in refused.value.message


def test_a_place_is_named_without_user_and_password() -> None:
    assert place_of("postgresql://u:p%40@db.example:5432/films?password=x") == "db.example:5432/films"
