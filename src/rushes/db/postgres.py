"""The database on a server of its own: a pool of connections, transactions that survive restarts of the server.

Statements are the portable texts of the stores, translated once each: `:name` becomes `$1`, `:now` the server's clock.
Transactions are READ COMMITTED; the stores lock the rows that they decide on (docs/design/postgres.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import structlog

from rushes.clock import Clock
from rushes.db.database import Row, Write
from rushes.db.postgres_connect import (
    CONNECT_S,
    DRIVER_ERRORS,
    POOLED,
    Address,
    Connector,
    is_pooled_away,
)
from rushes.db.postgres_notes import LONGEST_PAYLOAD, PostgresNotes, send
from rushes.domain.job import Move
from rushes.errors import AccountBusy, DatabaseUnavailable, OutcomeUnknown, Overloaded, RushesError, WritesRefused
from rushes.shared_places import DATABASE, Holding, SharedPlace, account_served

T = TypeVar("T")

log = structlog.get_logger(__name__)

NOW_SQL = "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint)"
"""When the server received the statement. `now()` would be the start of the transaction, long past if it had to wait
for a lock; `clock_timestamp()` changes within a statement, and no index can be searched by it."""

MOST_TRIES = 5
PAUSE_S = 0.02
SETTLING_S = 10.0
"""How long `close` waits for writes under way."""
FAREWELL_S = 1.0
"""How long `close` takes for notes that were not sent yet."""
CACHED_STATEMENTS = 500

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")

_CANNOT_WRITE = re.compile(r"could not (extend|write|fsync) ")

_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    # A migration has changed a table under a statement that this connection had prepared.
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How much of the server one process takes, and for how long anything may take.

    A transaction awaits nothing but its statements, so one that rests for `idle_s` belongs to a frozen process, and the
    server ends it. A session that waits for a lock gives up sooner, after `lock_s`, and begins again: else the
    transactions of a frozen process that wait for each other would get the lock in turn, and hold it for `idle_s` each.
    """

    connections: int = 10
    most_waiting: int = 5000
    wait_s: float = 10.0
    statement_s: float = 30.0
    lock_s: float = 1.5
    idle_s: float = 3.0


NAME = "rushes"
PULSE_NAME = "rushes heartbeat"
"""How our connections are called in `pg_stat_activity`."""

END_FROZEN = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name IN ('{NAME}', '{PULSE_NAME}')
  AND state = 'active' AND wait_event = 'ClientRead'
  AND state_change < clock_timestamp() - make_interval(secs => $1)
"""  # noqa: S608 - fixed texts only
"""asyncpg prepares a statement and runs it in two steps, and between them a session counts as active: no time limit of
the server holds for a process that freezes there, nor is the transaction ended. (PostgreSQL 15, `ProcessInterrupts`: a
timeout is ignored while a command is read; seen with asyncpg 0.32.)"""

PULSE = PoolLimits(connections=2, wait_s=5.0, statement_s=5.0)
"""For heartbeats: what hangs is given up, and tried over another connection, before a lease has ended."""


class PostgresDatabase:
    """`Database` on a Postgres server, for any number of processes. `clock` replaces the server's, for tests."""

    def __init__(
        self,
        url: str,
        limits: PoolLimits | None = None,
        *,
        name: str = NAME,
        clock: Clock | None = None,
        place: SharedPlace | None = None,
    ) -> None:
        """`place` is where accounts take turns at the connections; it has as many as `limits` say."""
        self._connector = Connector(url)
        self._limits = limits or PoolLimits()
        self._name = name
        self._clock = clock
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._place = place or connections_place(self._limits.connections)
        self._writes: set[asyncio.Task[Any]] = set()
        self._notes = PostgresNotes(
            lambda: self._connector.connect(server_settings={"application_name": f"{name} notes"}), DRIVER_ERRORS
        )
        self._guard: asyncio.Task[None] | None = None
        self._closed = False

    async def read(self, sql: str, **parameters: object) -> Sequence[Row]:
        tries = 0
        while True:
            tries += 1
            try:
                async with self._connection() as connection:
                    return await _Statements(connection, self._clock).fetch(sql, parameters)
            except DRIVER_ERRORS as exc:
                # Idle connections may have died unnoticed, and a read may be done twice.
                if tries >= MOST_TRIES or not _is_lost(exc):
                    raise _unavailable(exc) from exc
                await asyncio.sleep(PAUSE_S * tries)

    def version(self) -> int | None:
        # Only asking the server could tell, and that takes as long as the query that it would spare.
        return None

    async def write(self, body: Write[T]) -> T:
        # In a task of its own: a caller that is cancelled must not leave a commit whose outcome is lost.
        task = asyncio.create_task(self._write(body))
        self._writes.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    def listen(self, channel: str, received: Callable[[str], None]) -> Callable[[], None]:
        return self._notes.listen(channel, received)

    def guard(self) -> None:
        """From now on, end transactions of processes that stand still where the server's own limits do not reach."""
        if self._guard is None:
            self._guard = asyncio.create_task(self._end_frozen_forever())

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._guard is not None:
            self._guard.cancel()
        if self._writes:
            _, unsettled = await asyncio.wait(self._writes, timeout=SETTLING_S)
            for write in unsettled:
                write.cancel()
        unsent = await self._notes.close()
        if self._pool is not None:
            # The last word of a service that stops: its jobs are free.
            with contextlib.suppress(*DRIVER_ERRORS):
                async with asyncio.timeout(FAREWELL_S):
                    await self._send(unsent)
            try:
                await asyncio.wait_for(self._pool.close(), CONNECT_S)
            except DRIVER_ERRORS:
                self._pool.terminate()

    async def _send(self, notes: Iterable[str]) -> None:
        if self._pool is not None and notes:
            async with self._pool.acquire() as connection:
                await send(connection, notes)

    async def _end_frozen_forever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.idle_s / 3)
            try:
                async with self._connection() as connection:
                    ended = await connection.fetch(END_FROZEN, self._limits.idle_s)
            except (RushesError, *DRIVER_ERRORS):
                continue
            if ended:
                log.warning("frozen_transactions_ended", transactions=len(ended))

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()

    async def _write(self, body: Write[T]) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._write_once(body)
            except DRIVER_ERRORS as exc:
                again = isinstance(exc, _AGAIN) or _is_lost(exc)
                if not again and isinstance(exc, _FAULTS_OF_OURS) and not is_pooled_away(exc):
                    raise
                if not again or tries >= MOST_TRIES:
                    raise _unavailable(exc) from exc
                await asyncio.sleep(PAUSE_S * tries)

    async def _write_once(self, body: Write[T]) -> T:
        async with self._connection() as connection:
            await connection.execute("BEGIN")
            transaction = _PostgresTransaction(connection, self._clock)
            try:
                answer = await body(transaction)
            except BaseException:
                # A connection that cannot say ROLLBACK is of no use: the server rolls back when it is gone.
                with contextlib.suppress(*DRIVER_ERRORS):
                    await connection.execute("ROLLBACK")
                raise
            try:
                done = await connection.execute("COMMIT")
            except (*_AGAIN, asyncpg.InterfaceError):
                # Refused by the server, or the connection was gone before we could ask.
                raise
            except DRIVER_ERRORS as exc:
                _drop(connection)
                raise OutcomeUnknown(
                    "the database was lost while it was saving; the change may have been made or not", retry_after_s=1
                ) from exc
            if done != "COMMIT":
                raise RuntimeError(f"a transaction went on after an error; the database says {done}")
        self._notes.send_all(transaction.notes)
        return answer

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """One of the pool's connections. Raises Overloaded if all stay busy, or DatabaseUnavailable."""
        if self._closed:
            raise DatabaseUnavailable("the database is closed; the service is stopping")
        with await self._turn():
            pool = await self._opened()
            try:
                connection = await pool.acquire(timeout=self._connector.address.longest_s)
            except DRIVER_ERRORS as exc:
                raise DatabaseUnavailable(
                    "the database gave no connection in time; nothing was changed", retry_after_s=1
                ) from exc
            try:
                yield connection
            except DRIVER_ERRORS as exc:
                if _is_lost(exc):
                    _drop(connection)
                raise
            finally:
                await self._give_back(pool, connection)

    async def _give_back(self, pool: asyncpg.Pool, connection: Any) -> None:
        with contextlib.suppress(*DRIVER_ERRORS):
            await pool.release(connection, timeout=CONNECT_S)

    async def _turn(self) -> Holding:
        """A connection's worth of the pool, once it is the turn of the account that this task works for."""
        is_full = self._place.held >= self._limits.connections
        if is_full and self._place.waiting >= self._limits.most_waiting:
            raise _too_many()
        try:
            async with asyncio.timeout(self._limits.wait_s):
                return await self._place.wait(account_served.get())
        except AccountBusy as exc:
            raise _too_many() from exc
        except TimeoutError as exc:
            raise Overloaded(
                "every connection to the database stayed busy; nothing was changed, try again shortly", retry_after_s=1
            ) from exc

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        connect=self._connect,
                        min_size=0,
                        max_size=self._limits.connections,
                        connection_class=_Connection,
                        command_timeout=self._limits.statement_s + CONNECT_S,
                        statement_cache_size=CACHED_STATEMENTS,
                        max_cached_statement_lifetime=0,
                        server_settings={"application_name": self._name},
                    )
        return self._pool

    async def _connect(self, *_: object, **given: Any) -> Any:
        try:
            connection = await self._connector.connect(**given)
        except DatabaseUnavailable as exc:
            log.warning("database_unreachable", reason=exc.message, error_code=exc.code)
            # The reason names hosts, which are not for callers.
            raise DatabaseUnavailable("the database cannot be reached; nothing was changed", retry_after_s=1) from exc
        try:
            # Not as parameters of the connection: a pooler such as pgbouncer refuses those.
            await connection.execute(_session(self._limits))
        except BaseException:
            connection.terminate()
            raise
        return connection


def connections_place(connections: int) -> SharedPlace:
    """Where accounts take turns at so many connections; each may have as large a part of them as is declared."""
    share = max(1, connections * DATABASE.share // DATABASE.most)
    return SharedPlace(DATABASE, most=connections, share=share)


def _too_many() -> Overloaded:
    return Overloaded("too many requests are waiting for the database; try again shortly", retry_after_s=1)


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """Ours change nothing that outlives a transaction, so there is nothing to reset between two users."""

    def get_reset_query(self) -> str:
        return ""


class _Statements:
    """Runs statements on a connection and supplies `:now`."""

    __slots__ = ("_clock", "_connection")

    def __init__(self, connection: Any, clock: Clock | None) -> None:
        self._connection = connection
        self._clock = clock

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> list[Row]:
        text, values = self._bind(sql, parameters)
        return [dict(row) for row in await self._connection.fetch(text, *values)]

    async def execute(self, sql: str, parameters: Mapping[str, object]) -> int:
        text, values = self._bind(sql, parameters)
        status = await self._connection.execute(text, *values) if values else await self._run(text)
        return int(status.rpartition(" ")[2])

    async def _run(self, text: str) -> str:
        # Without values `execute` would parse the text each time.
        statement = await self._connection.prepare(text)
        await statement.fetch()
        return str(statement.get_statusmsg())

    def _bind(self, sql: str, parameters: Mapping[str, object]) -> tuple[str, list[object]]:
        text, names = _translated(sql, self._clock is not None)
        if self._clock is not None:
            parameters = {"now": self._clock.now_ms(), **parameters}
        return text, [_sendable(parameters[name]) for name in names]


class _PostgresTransaction:
    """`Transaction` on a connection that has begun one."""

    __slots__ = ("_statements", "notes")

    def __init__(self, connection: Any, clock: Clock | None) -> None:
        self._statements = _Statements(connection, clock)
        self.notes: dict[tuple[str, str], None] = {}

    async def fetch(self, sql: str, **parameters: object) -> Sequence[Row]:
        return await self._statements.fetch(sql, parameters)

    async def execute(self, sql: str, **parameters: object) -> int:
        return await self._statements.execute(sql, parameters)

    def notify(self, channel: str, payload: str) -> None:
        if len(payload) > LONGEST_PAYLOAD:
            raise ValueError(f"a note's payload has at most {LONGEST_PAYLOAD} characters")
        self.notes[channel, payload] = None

    def report(self, move: Move) -> None:
        """Nothing: `db/observed.py` adds an observer."""


@functools.cache
def _translated(sql: str, given_clock: bool) -> tuple[str, tuple[str, ...]]:
    """The text with `$1`, `$2`, ..., and which parameter each is."""
    places: dict[str, int] = {}

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if name == "now" and not given_clock:
            return NOW_SQL
        number = places.setdefault(name, len(places) + 1)
        return f"CAST(${number} AS bigint)" if name == "now" else f"${number}"

    text = _PARAMETER.sub(place, sql)
    return text, tuple(places)


def _sendable(value: object) -> object:
    # Postgres keeps no NUL in a text. Nothing that was stored has one, so what is looked for is rightly not found.
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) and "\0" in value else value


def _session(limits: PoolLimits) -> str:
    return (
        f"SET synchronous_commit = on; SET statement_timeout = {_ms(limits.statement_s)}; "
        f"SET lock_timeout = {_ms(limits.lock_s)}; "
        f"SET idle_in_transaction_session_timeout = {_ms(limits.idle_s)}"
    )


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))


async def connect(url: str, *, name: str) -> Any:
    """One connection outside of any pool, for migrations and for listening. Raises DatabaseUnavailable."""
    return await Connector(url).connect(server_settings={"application_name": name})


def check_url(url: str) -> None:
    """Raises StartupError if `url` cannot be the address of a Postgres database; it is not shown, for its password."""
    Address.parse(url)


_FAULTS_OF_OURS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SyntaxOrAccessError,
    asyncpg.InterfaceError,
)
"""The statement is wrong, and no other try can help."""


def _drop(connection: Any) -> None:
    # The pool may have seen the end of it before us, and refuses every use of it then.
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


def _is_lost(exc: BaseException) -> bool:
    """Whether the connection has ended or is useless: the server stops, was demoted, or has cut us off.

    Not if it was only slow: what took too long is not begun again.
    """
    if isinstance(exc, TimeoutError | asyncpg.QueryCanceledError | asyncpg.exceptions.DataError):
        return False
    if type(exc) is asyncpg.InterfaceError:
        # "connection is closed", or taken from us by the pool, which saw it end first.
        return "closed" in str(exc) or "released back to the pool" in str(exc)
    return isinstance(
        exc,
        OSError
        | EOFError
        # The driver's own confusion over a connection whose end it has half read.
        | asyncpg.InternalClientError
        | asyncpg.PostgresConnectionError
        | asyncpg.exceptions.OperatorInterventionError
        | asyncpg.exceptions.IdleInTransactionSessionTimeoutError
        | asyncpg.exceptions.ReadOnlySQLTransactionError,
    )


def _unavailable(exc: BaseException) -> DatabaseUnavailable:
    if isinstance(exc, DatabaseUnavailable):
        return exc
    match exc:
        case TimeoutError() | asyncpg.LockNotAvailableError() | asyncpg.QueryCanceledError():
            said = "the database took too long"
        case asyncpg.exceptions.DiskFullError():
            return WritesRefused("the disk of the database is full; nothing was changed", retry_after_s=30)
        case asyncpg.exceptions.ReadOnlySQLTransactionError():
            return WritesRefused("the database is read-only; nothing was changed", retry_after_s=5)
        case asyncpg.PostgresError() if _CANNOT_WRITE.match(str(exc)):
            # A quota or a broken disk has no code of its own (PostgreSQL 15, `errcode_for_file_access`).
            return WritesRefused("the database cannot write to its disk; nothing was changed", retry_after_s=30)
        case _ if is_pooled_away(exc):
            said = POOLED
        case asyncpg.SerializationError() | asyncpg.DeadlockDetectedError():
            said = "too many changes met in the database"
        case _:
            said = "the database could not be read or written"
    return DatabaseUnavailable(f"{said}; nothing was changed", retry_after_s=1)
