"""The real SQLite and the stores' own SQL, in memory and in order: a write happens when it is its turn."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rushes.db import sqlite
from rushes.db.database import Row, Write
from rushes.errors import DatabaseUnavailable
from tests.fixtures.databases import template
from tests.simulation.faults import Chance, Fault
from tests.simulation.process import Host, Process

T = TypeVar("T")

# The numbers of events are used again when the newest are deleted, so whoever reads along needs numbers of its own.
READ_ALONG = """
CREATE TEMP TABLE told (number INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT, state TEXT, cause TEXT);
CREATE TEMP TRIGGER tell AFTER INSERT ON main.job_events BEGIN
    INSERT INTO told (job_id, state, cause) VALUES (new.job_id, new.state, new.cause);
END;
"""

LOCKED = "the database is locked by another process; nothing was changed"


class SimulatedDatabase:
    """One database that all processes share. `committed` is called after each transaction."""

    def __init__(self, clock: Host) -> None:
        self.clock = clock
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        _template_connection(template()).backup(self._connection)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(READ_ALONG)
        self.committed: Callable[[], None] = lambda: None
        self.locked_until_ms = 0
        self._listeners: dict[str, list[Callable[[str], None]]] = {}

    def run(self, sql: str, **parameters: object) -> Sequence[Row]:
        """The rows of one query, for whoever looks from outside."""
        return sqlite._Statements(self._connection, self.clock).rows(sql, parameters)

    async def read(self, sql: str, **parameters: object) -> Sequence[Row]:
        try:
            return self.run(sql, **parameters)
        except sqlite3.Error as error:
            raise sqlite._unavailable(error) from error

    def version(self) -> int | None:
        # It reads and writes on one connection, and SQLite counts the commits of others.
        return None

    async def write(self, body: Write[T]) -> T:
        return self.transact(body)

    def transact(self, body: Write[T]) -> T:
        """Run a transaction's body, and commit it."""
        transaction = sqlite._SqliteTransaction(self._connection, self.clock)
        self._connection.execute("BEGIN")
        try:
            answer: T = sqlite._drive(body(transaction))
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error) and sqlite._spoils_the_group(error):
                raise sqlite._unavailable(error) from error
            raise
        for channel, payload in transaction.notes:
            for heard in tuple(self._listeners.get(channel, ())):
                heard(payload)
        self.committed()
        return answer

    def listen(self, channel: str, heard: Callable[[str], None]) -> Callable[[], None]:
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(heard)
        return lambda: listeners.remove(heard)

    def fill_disk(self) -> None:
        """Let it grow no further; what fits into its pages still does."""
        self._connection.execute("PRAGMA max_page_count = 1")

    def clear_disk(self) -> None:
        """Let it grow again."""
        self._connection.execute("PRAGMA max_page_count = 1073741823")

    async def close(self) -> None:
        self._connection.close()


class ProcessDatabase:
    """`Database` as one process has it."""

    def __init__(self, inner: SimulatedDatabase, process: Process, chance: Chance) -> None:
        self._inner = inner
        self._process = process
        self._chance = chance

    async def read(self, sql: str, **parameters: object) -> Sequence[Row]:
        await self._process.gate("read")
        return await self._inner.read(sql, **parameters)

    def version(self) -> int | None:
        return self._inner.version()

    async def write(self, body: Write[T]) -> T:
        """Once it is under way it happens, whether or not anybody still waits for it; unless the process dies first."""
        await self._process.gate("before a write")
        loop = asyncio.get_running_loop()
        if self._inner.locked_until_ms > loop.time() * 1000:
            self._chance.happened[Fault.LOCKED] += 1
            await self._process.sleep(1)
            raise DatabaseUnavailable(LOCKED, retry_after_s=1)
        answered: asyncio.Future[T] = loop.create_future()
        if self._chance.strikes(Fault.SLOW_WRITE, 0.001):
            delay_s = self._chance.between(1, 30)
        else:
            delay_s = self._chance.between(0, 0.02) if self._chance.happens(0.1) else 0.0
        loop.call_later(delay_s, self._execute, body, answered)
        answer = await answered
        await self._process.gate("after a commit")
        return answer

    def _execute(self, body: Write[T], answered: asyncio.Future[T]) -> None:
        if self._process.dead:
            return
        if self._process.is_frozen and self._chance.happens(0.5):
            self._process.when_thawed(lambda: self._execute(body, answered))
            return
        try:
            answer = self._inner.transact(body)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            if isinstance(error, DatabaseUnavailable):
                self._chance.happened[Fault.DISK_FULL] += 1
            if not answered.done():
                answered.set_exception(error)
        else:
            if not answered.done():
                answered.set_result(answer)

    def listen(self, channel: str, heard: Callable[[str], None]) -> Callable[[], None]:
        # A note that comes while nobody can hear it is lost.
        here = self._process
        return self._inner.listen(channel, lambda said: None if here.dead or here.is_frozen else heard(said))

    async def close(self) -> None:
        raise AssertionError("a process that dies closes nothing")


def _template_connection(path: Path) -> sqlite3.Connection:
    connection = _TEMPLATES.get(path)
    if connection is None:
        connection = _TEMPLATES[path] = sqlite3.connect(":memory:")
        with sqlite3.connect(path) as source:
            source.backup(connection)
        source.close()
    return connection


_TEMPLATES: dict[Path, sqlite3.Connection] = {}
