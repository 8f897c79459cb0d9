"""What the stores ask of a database, whichever it is.

SQL is plain text in a subset that SQLite and Postgres share: named parameters (`:name`), `RETURNING`, `ON CONFLICT`,
JSON as text, times as integer milliseconds. `FOR UPDATE [SKIP LOCKED]` or `FOR KEY SHARE` is written where rows are
locked; SQLite, with its one writer, drops it. `:now` need not be given: it is the database's own clock, so that leases
compare one clock whatever the hosts' say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from rushes.domain.job import Move

T = TypeVar("T")

Row = Mapping[str, Any]
"""One row, by column name."""


class Transaction(Protocol):
    """One transaction under way: all of its statements happen, or none."""

    async def fetch(self, sql: str, **parameters: object) -> Sequence[Row]:
        """Run a statement and return its rows."""
        ...

    async def execute(self, sql: str, **parameters: object) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    def notify(self, channel: str, payload: str) -> None:
        """Send a note to the listeners of every process once this transaction is committed, and to none if it is not.

        A note can be lost with a process or a connection, so every listener also polls now and then.
        """
        ...

    def report(self, move: Move) -> None:
        """Hand a job's move to the observer of this process, if it has one, once this transaction is committed.

        Other processes do not learn of it: each counts its own moves, so that the sums are right.
        """
        ...


Write = Callable[[Transaction], Awaitable[T]]
"""A transaction's body. It awaits nothing but its transaction, and may run again if the database asks for that."""


class Database(Protocol):
    """Reads and durable writes. Every method raises DatabaseUnavailable if the database cannot serve it."""

    async def read(self, sql: str, **parameters: object) -> Sequence[Row]:
        """The rows of one query, seeing every write that was answered."""
        ...

    def version(self) -> int | None:
        """A number that stays the same only while no process commits anything; None where the database cannot say.

        What was read after a version was asked for is true as long as it has not changed.
        """
        ...

    async def write(self, body: Write[T]) -> T:
        """Run `body` in a transaction; when this returns, it survives loss of power.

        What `body` raises passes through, and nothing of it was written. Raises Overloaded if too many writes wait.
        """
        ...

    def listen(self, channel: str, received: Callable[[str], None]) -> Callable[[], None]:
        """Call `received` on this event loop with each note of a channel, until what this returns is called.

        `received` is quick and raises nothing.
        """
        ...

    async def close(self) -> None:
        """Finish the writes under way and let go of the files or connections."""
        ...


async def fetch_row(transaction: Transaction, sql: str, **parameters: object) -> Row:
    """The first row of a statement that finds one."""
    return (await transaction.fetch(sql, **parameters))[0]


async def fetch_one(transaction: Transaction, sql: str, **parameters: object) -> Row | None:
    """The first row of a statement, or None."""
    rows = await transaction.fetch(sql, **parameters)
    return rows[0] if rows else None
