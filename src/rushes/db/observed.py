"""A database whose writes are timed, and of which one channel is heard in this process alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rushes.db.database import Database, Transaction, Write

T = TypeVar("T")


class ObservedDatabase:
    """`Database` over another one.

    Notes on `channel` go to `heard` here, once their transaction is committed, and to no other process: each process
    counts what it has done itself, so that their sums are right.
    """

    def __init__(
        self, database: Database, channel: str, heard: Callable[[str], None], written: Callable[[float], None]
    ) -> None:
        self._database = database
        self.read = database.read
        self.version = database.version
        self._channel = channel
        self._heard = heard
        self._written = written
        self.waiting = 0
        """How many writes of this process are not yet on the disk."""

    async def write(self, body: Write[T]) -> T:
        notes: list[str] = []

        async def observed(transaction: Transaction) -> T:
            # It may run again, and only what the last run did has happened.
            notes.clear()
            return await body(_ObservedTransaction(transaction, self._channel, notes))

        began = time.perf_counter()
        self.waiting += 1
        try:
            answer = await self._database.write(observed)
        finally:
            self.waiting -= 1
            self._written(time.perf_counter() - began)
        for note in notes:
            self._heard(note)
        return answer

    def listen(self, channel: str, heard: Callable[[str], None]) -> Callable[[], None]:
        return self._database.listen(channel, heard)

    async def close(self) -> None:
        await self._database.close()


class _ObservedTransaction:
    """`Transaction` that keeps the notes of one channel back."""

    __slots__ = ("_channel", "_notes", "_transaction", "execute", "fetch")

    def __init__(self, transaction: Transaction, channel: str, notes: list[str]) -> None:
        self._transaction = transaction
        self._channel = channel
        self._notes = notes
        self.fetch = transaction.fetch
        self.execute = transaction.execute

    def notify(self, channel: str, payload: str) -> None:
        if channel == self._channel:
            self._notes.append(payload)
        else:
            self._transaction.notify(channel, payload)
