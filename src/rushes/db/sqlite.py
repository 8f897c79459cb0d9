"""The embedded database: reads on the event loop, all writes through one thread with group commit.

A read costs microseconds, less than handing it to a thread. Writes wait for the disk, so one thread takes all that
are waiting, runs each in a savepoint and commits them together: one fsync for many callers (docs/design/sqlite.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rushes.clock import Clock
from rushes.db.database import Row, Write
from rushes.domain.job import Move
from rushes.errors import DatabaseUnavailable, Overloaded, WritesRefused

T = TypeVar("T")

LARGEST_GROUP = 256
MOST_WAITING = 10_000
LOCK_WAIT_MS = 5_000
LONGEST_LOG_PAGES = 4_000
"""How long SQLite's log grows before a commit copies it into the database file: 16 MB. At the usual thousand pages more
than one of a hundred creates would wait for that."""


LOG_KEPT_MS = 60_000
"""How long SQLite's log keeps what was written, and so what was deleted since, such as a caller's sealed key."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection set up as every one of ours is: WAL, full durability, explicit transactions."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    # What is deleted is overwritten with zeros in the file (sqlite.org/pragma.html#pragma_secure_delete).
    connection.execute("PRAGMA secure_delete = ON")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


class SqliteDatabase:
    """`Database` on one local file, for one serving process; short commands may write beside it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        try:
            self._reader = connect(path, read_only=True)
            self._writer = connect(path)
            self._reading = _Statements(self._reader, clock)
            self._writer.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_LOG_PAGES}")
        except sqlite3.Error as exc:
            raise DatabaseUnavailable(f"the database '{path}' cannot be opened: {exc}") from exc
        self._waiting: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._listeners: dict[str, list[Callable[[str], None]]] = {}
        self._closed = False
        self._log_emptied_at = clock.now_ms()
        self._thread = threading.Thread(target=self._write_groups, name="rushes-writer", daemon=True)
        self._thread.start()

    async def read(self, sql: str, **parameters: object) -> Sequence[Row]:
        try:
            return self._reading.rows(sql, parameters)
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc

    def version(self) -> int | None:
        # As exact as reading again: SQLite changes it for each commit of another connection, in whichever process, and
        # this connection never writes (sqlite.org/pragma.html#pragma_data_version).
        try:
            version: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc
        return version

    async def write(self, body: Write[T]) -> T:
        if self._closed:
            raise DatabaseUnavailable("the database is closed; the service is stopping")
        if self._waiting.qsize() >= MOST_WAITING:
            raise Overloaded("too many writes are waiting for the disk; try again shortly", retry_after_s=1)
        loop = asyncio.get_running_loop()
        pending = _Pending(body, loop.create_future(), loop)
        self._waiting.put(pending)
        answer: T = await pending.future
        return answer

    def listen(self, channel: str, received: Callable[[str], None]) -> Callable[[], None]:
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(received)
        return lambda: listeners.remove(received)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()

    def _write_groups(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            stop = False
            while len(group) < LARGEST_GROUP and not stop:
                try:
                    following = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    stop = True
                else:
                    group.append(following)
            self._write_group(group)
            if stop:
                return
            if self._clock.now_ms() - self._log_emptied_at >= LOG_KEPT_MS:
                self._empty_log()

    def _empty_log(self) -> None:
        """Copy the log into the file, and cut it, unless another connection is reading it at this moment."""
        self._log_emptied_at = self._clock.now_ms()
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute("PRAGMA busy_timeout = 0")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS}")

    def _write_group(self, group: list[_Pending]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for pending in group:
                self._run_in_savepoint(pending)
            self._writer.execute("COMMIT")
        except sqlite3.Error as exc:
            # A rollback can fail on the same disk; the transaction is then left to the next group's failure to end.
            with contextlib.suppress(sqlite3.Error):
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
            for pending in group:
                pending.error = _unavailable(exc)
        by_loop: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
        for pending in group:
            by_loop.setdefault(pending.loop, []).append(pending)
        for loop, settled in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._settle, settled)
            except RuntimeError:
                # The loop is closed, so no task waits for these answers; the writes themselves are committed.
                continue

    def _run_in_savepoint(self, pending: _Pending) -> None:
        self._writer.execute("SAVEPOINT one")
        try:
            transaction = _SqliteTransaction(self._writer, self._clock)
            pending.answer = _drive(pending.body(transaction))
            pending.notes = transaction.notes
        except BaseException as exc:
            if isinstance(exc, sqlite3.Error) and _spoils_the_group(exc):
                raise
            self._writer.execute("ROLLBACK TO one")
            pending.error = exc
        self._writer.execute("RELEASE one")

    def _settle(self, group: list[_Pending]) -> None:
        for pending in group:
            if pending.error is None:
                self._deliver(pending.notes)
            if pending.future.done():
                continue
            if pending.error is not None:
                pending.future.set_exception(pending.error)
            else:
                pending.future.set_result(pending.answer)

    def _deliver(self, notes: Mapping[tuple[str, str], None]) -> None:
        for channel, payload in notes:
            for received in tuple(self._listeners.get(channel, ())):
                received(payload)


class _Pending:
    """One transaction waiting for its turn, and afterwards its outcome."""

    __slots__ = ("answer", "body", "error", "future", "loop", "notes")

    def __init__(self, body: Write[Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.body = body
        self.future = future
        self.loop = loop
        self.answer: Any = None
        self.error: BaseException | None = None
        self.notes: Mapping[tuple[str, str], None] = {}


class _Statements:
    """Runs statements on a connection and supplies `:now`."""

    __slots__ = ("_clock", "_connection")

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def run(self, sql: str, parameters: Mapping[str, object]) -> sqlite3.Cursor:
        return self._connection.execute(_without_locks(sql), {"now": self._clock.now_ms(), **parameters})

    def rows(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Row]:
        # By name. sqlite3's own Row walks over the columns each time that one is asked for by its name.
        cursor = self.run(sql, parameters)
        found = cursor.fetchall()
        if not found:
            return found
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in found]


@functools.cache
def _without_locks(sql: str) -> str:
    return sql.replace("FOR UPDATE SKIP LOCKED", "").replace("FOR UPDATE", "").replace("FOR KEY SHARE", "")


class _SqliteTransaction:
    """`Transaction` whose awaits never suspend, so that the writer thread can run a body to its end in one go."""

    __slots__ = ("_statements", "notes")

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._statements = _Statements(connection, clock)
        self.notes: dict[tuple[str, str], None] = {}

    async def fetch(self, sql: str, **parameters: object) -> Sequence[Row]:
        return self._statements.rows(sql, parameters)

    async def execute(self, sql: str, **parameters: object) -> int:
        return self._statements.run(sql, parameters).rowcount

    def notify(self, channel: str, payload: str) -> None:
        self.notes[channel, payload] = None

    def report(self, move: Move) -> None:
        """Nothing: `db/observed.py` adds an observer."""


def _drive(body: Any) -> Any:
    coroutine: Coroutine[Any, Any, Any] = body
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a transaction may await nothing but its own statements")


def _spoils_the_group(exc: sqlite3.Error) -> bool:
    """Whether the database itself is in trouble (full, locked, broken), rather than one caller's statement wrong."""
    primary_code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return primary_code not in (0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)


def _unavailable(exc: sqlite3.Error) -> DatabaseUnavailable:
    name = getattr(exc, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return WritesRefused("the disk that holds the database is full; nothing was changed", retry_after_s=30)
    if name.startswith("SQLITE_READONLY"):
        return WritesRefused("the database is read-only; nothing was changed", retry_after_s=30)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseUnavailable("the database is locked by another process; nothing was changed", retry_after_s=1)
    return DatabaseUnavailable("the database could not be read or written; nothing was changed", retry_after_s=5)
