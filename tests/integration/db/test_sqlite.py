from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.db import sqlite
from rushes.db.database import Transaction, fetch_one
from rushes.db.sqlite import LOG_KEPT_MS, SqliteDatabase, connect
from rushes.errors import DatabaseUnavailable, Overloaded
from tests.fixtures.clocks import START_MS, ManualClock

INSERT = "INSERT INTO things (name, note) VALUES (:name, :note)"
COUNT = "SELECT COUNT(*) AS things FROM things"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rushes.db"
    make_things(path)
    return path


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(path, ManualClock())
    yield database
    await database.close()


def make_things(path: Path) -> None:
    connection = connect(path)
    connection.execute("CREATE TABLE things (name TEXT PRIMARY KEY, note TEXT)")
    connection.close()


async def insert(database: SqliteDatabase, name: str, note: str = "") -> str:
    async def body(transaction: Transaction) -> str:
        await transaction.execute(INSERT, name=name, note=note)
        return name

    return await database.write(body)


async def count(database: SqliteDatabase) -> int:
    rows = await database.read(COUNT)
    return int(rows[0]["things"])


def count_in_file(path: Path) -> int:
    """What another process would see."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(COUNT).fetchone()[0])
    finally:
        connection.close()


# Writes.


async def test_writes_made_at_once_are_all_answered_and_durable(path: Path, database: SqliteDatabase) -> None:
    names = [str(number) for number in range(1000)]
    assert await asyncio.gather(*(insert(database, name) for name in names)) == names
    assert count_in_file(path) == 1000


async def test_writes_made_at_once_share_commits(database: SqliteDatabase) -> None:
    commits = 0

    def trace(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    database._writer.set_trace_callback(trace)
    await asyncio.gather(*(insert(database, str(number)) for number in range(500)))
    assert commits < 50


async def test_a_read_sees_every_write_that_was_answered(database: SqliteDatabase) -> None:
    for number in range(50):
        await insert(database, str(number))
        assert await count(database) == number + 1


async def test_a_body_that_raises_is_rolled_back_alone(path: Path, database: SqliteDatabase) -> None:
    async def half_done(transaction: Transaction) -> None:
        await transaction.execute(INSERT, name="half", note="")
        raise LookupError("changed my mind")

    calls = [insert(database, str(number)) if number % 3 else database.write(half_done) for number in range(30)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, str) == bool(number % 3)
        assert isinstance(outcome, LookupError) == (not number % 3)
    assert count_in_file(path) == 20


async def test_a_broken_constraint_belongs_to_its_caller(database: SqliteDatabase) -> None:
    calls = [insert(database, name) for name in ("a", "b", "a", "c")]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [str, str, sqlite3.IntegrityError, str]
    assert await count(database) == 3


async def test_a_wrong_statement_belongs_to_its_caller(database: SqliteDatabase) -> None:
    async def wrong(transaction: Transaction) -> None:
        await transaction.execute("SELECT nothing FROM nowhere")

    async def unbound(transaction: Transaction) -> None:
        await transaction.execute("SELECT :missing")

    calls = [insert(database, "a"), database.write(wrong), database.write(unbound), insert(database, "b")]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert outcomes[0] == "a"
    assert outcomes[3] == "b"
    assert isinstance(outcomes[1], sqlite3.OperationalError)
    assert isinstance(outcomes[2], sqlite3.ProgrammingError)


async def test_a_body_that_awaits_something_else_is_refused_and_undone(database: SqliteDatabase) -> None:
    async def waits(transaction: Transaction) -> None:
        await transaction.execute(INSERT, name="a", note="")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="await nothing but its own statements"):
        await database.write(waits)
    assert await count(database) == 0


async def test_a_caller_that_goes_away_leaves_its_write_whole(path: Path, database: SqliteDatabase) -> None:
    task = asyncio.ensure_future(insert(database, "a"))
    await asyncio.sleep(0)
    task.cancel()
    await insert(database, "b")
    assert task.cancelled()
    assert count_in_file(path) == 2


async def test_too_many_waiting_writes_are_refused(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MOST_WAITING", 10)
    outcomes = await asyncio.gather(*(insert(database, str(number)) for number in range(2000)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
    assert refused
    assert refused[0].retry_after_s == 1
    assert await count(database) == 2000 - len(refused)


async def test_now_is_the_clocks_time_unless_it_is_given(database: SqliteDatabase) -> None:
    async def body(transaction: Transaction) -> object:
        row = await fetch_one(transaction, "SELECT :now AS now")
        assert row is not None
        return row["now"]

    assert await database.write(body) == START_MS
    assert (await database.read("SELECT :now AS now"))[0]["now"] == START_MS
    assert (await database.read("SELECT :now AS now", now=5))[0]["now"] == 5


async def test_row_locks_are_left_out_where_one_writer_needs_none(database: SqliteDatabase) -> None:
    for locks in ("FOR UPDATE", "FOR UPDATE SKIP LOCKED", "FOR KEY SHARE"):
        assert await database.read(f"SELECT name FROM things {locks}") == []


async def test_a_read_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(DatabaseUnavailable):
        await database.read("DELETE FROM things")


# Closing.


async def test_a_closed_database_refuses_and_closes_again_quietly(path: Path) -> None:
    database = SqliteDatabase(path, ManualClock())
    await database.close()
    await database.close()
    with pytest.raises(DatabaseUnavailable, match="stopping"):
        await insert(database, "a")
    with pytest.raises(DatabaseUnavailable):
        await database.read(COUNT)


async def test_closing_finishes_the_writes_under_way(path: Path) -> None:
    database = SqliteDatabase(path, ManualClock())
    writes = asyncio.gather(*(insert(database, str(number)) for number in range(600)))
    await asyncio.sleep(0)
    await database.close()
    assert len(await writes) == 600
    assert count_in_file(path) == 600


async def test_the_writers_thread_ends_with_the_database(path: Path) -> None:
    database = SqliteDatabase(path, ManualClock())
    await database.close()
    assert database._thread not in threading.enumerate()


def test_what_was_answered_survives_the_death_of_the_process(path: Path) -> None:
    program = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from rushes.clock import SystemClock; from rushes.db.sqlite import SqliteDatabase\n"
        "async def main():\n"
        "    database = SqliteDatabase(Path(sys.argv[1]), SystemClock())\n"
        "    async def one(name):\n"
        "        async def body(transaction):\n"
        "            await transaction.execute('INSERT INTO things VALUES (:name, 1)', name=name)\n"
        "        await database.write(body)\n"
        "        os.write(1, b'.')\n"
        "    tasks = [asyncio.create_task(one(str(number))) for number in range(5000)]\n"
        "    await tasks[700]\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    finished = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=False)
    assert finished.returncode == -9, finished.stderr
    assert count_in_file(path) >= len(finished.stdout) >= 700


# Trouble.


async def test_a_directory_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
        SqliteDatabase(tmp_path / "nowhere" / "rushes.db", ManualClock())


@pytest.mark.parametrize("kind", ["pragma", "tmpfs"])
async def test_a_full_disk_changes_nothing_and_is_over_when_there_is_room(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if kind == "tmpfs":
        mounted = subprocess.run(  # noqa: ASYNC221 - a mount takes a millisecond
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("mounting needs more rights than we have")
        request.addfinalizer(lambda: subprocess.run(["umount", "-l", str(folder)], check=True))
    path = folder / "rushes.db"
    make_things(path)
    ballast = folder / "ballast"
    database = SqliteDatabase(path, ManualClock())
    if kind == "tmpfs":
        ballast.write_bytes(b"x" * 400_000)
    else:
        database._writer.execute("PRAGMA max_page_count = 100")
    answered = await fill(database)
    assert await count(database) == answered
    if kind == "tmpfs":
        ballast.unlink()
    else:
        database._writer.execute("PRAGMA max_page_count = 100000")
    await asyncio.gather(*(insert(database, f"after {number}") for number in range(20)))
    assert await count(database) == answered + 20
    await database.close()
    assert count_in_file(path) == answered + 20


async def fill(database: SqliteDatabase) -> int:
    """Write in groups until the disk is full, and say how many writes were answered."""
    answered = 0
    for group in range(1000):
        calls = [insert(database, f"{group} {number}", "x" * 3000) for number in range(8)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        answered += sum(isinstance(outcome, str) for outcome in outcomes)
        errors = [outcome for outcome in outcomes if not isinstance(outcome, str)]
        if errors:
            assert all(isinstance(error, DatabaseUnavailable) for error in errors)
            assert "full" in str(errors[0])
            return answered
    raise AssertionError("the disk never became full")


async def test_another_process_lock_is_waited_for(path: Path, database: SqliteDatabase) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    write = asyncio.ensure_future(insert(database, "a"))
    await asyncio.sleep(0.1)
    assert not write.done()
    assert await count(database) == 0
    other.execute("COMMIT")
    other.close()
    assert await write == "a"


async def test_another_process_lock_that_stays_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOCK_WAIT_MS", 50)
    database = SqliteDatabase(path, ManualClock())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(*(insert(database, name) for name in "abc"), return_exceptions=True)
    assert all(isinstance(outcome, DatabaseUnavailable) for outcome in outcomes)
    assert "locked by another process" in str(outcomes[0])
    other.execute("COMMIT")
    other.close()
    assert await insert(database, "a") == "a"
    await database.close()


async def test_a_message_shows_neither_statement_nor_path(path: Path, database: SqliteDatabase) -> None:
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.read("SELECT secret FROM nowhere")
    assert "secret" not in refused.value.message
    assert str(path) not in refused.value.message


async def insert_and_tell(database: SqliteDatabase, name: str, *, fail: bool = False) -> None:
    async def body(transaction: Transaction) -> None:
        await transaction.execute(INSERT, name=name, note="")
        transaction.notify("things", name)
        transaction.notify("things", name)
        if fail:
            raise ValueError(name)

    await database.write(body)


async def test_a_note_is_heard_once_it_is_true_and_once_a_transaction(database: SqliteDatabase) -> None:
    heard: list[str] = []
    database.listen("things", heard.append)
    database.listen("others", heard.append)
    await insert_and_tell(database, "a")
    assert heard == ["a"]
    assert await count(database) == 1


async def test_a_transaction_that_fails_tells_nobody(database: SqliteDatabase) -> None:
    heard: list[str] = []
    database.listen("things", heard.append)
    with pytest.raises(ValueError, match="a"):
        await insert_and_tell(database, "a", fail=True)
    assert heard == []


async def test_who_has_stopped_listening_hears_nothing_more(database: SqliteDatabase) -> None:
    heard: list[str] = []
    stop = database.listen("things", heard.append)
    await insert_and_tell(database, "a")
    stop()
    await insert_and_tell(database, "b")
    assert heard == ["a"]


async def test_the_log_does_not_grow_with_what_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LONGEST_LOG_PAGES", 50)
    database = SqliteDatabase(path, ManualClock())
    for number in range(100):
        await insert(database, f"thing {number}", note="x" * 2_000)
    log_bytes = path.with_name(f"{path.name}-wal").stat().st_size
    await database.close()
    assert log_bytes < 150 * 4_096
    assert count_in_file(path) == 100


def contents(path: Path) -> list[bytes]:
    """The database file and its log."""
    return [one.read_bytes() for one in (path, path.with_name(f"{path.name}-wal"))]


async def test_what_was_deleted_is_in_no_file_after_a_minute(path: Path) -> None:
    clock = ManualClock()
    database = SqliteDatabase(path, clock)

    async def remove(transaction: Transaction) -> None:
        await transaction.execute("DELETE FROM things WHERE name = :name", name="sealed key")

    await insert(database, "sealed key", note="ciphertext" * 1_000)
    await database.write(remove)
    assert any(b"ciphertext" in content for content in contents(path))
    clock.advance(LOG_KEPT_MS / 1000)
    # The write that comes next empties the log, and the one behind it has waited for that.
    await insert(database, "another")
    await insert(database, "a third")
    assert not any(b"ciphertext" in content for content in contents(path))
    await database.close()
