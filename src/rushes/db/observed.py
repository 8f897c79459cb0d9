"""A database that times its writes and reports the moves of jobs that this process has committed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rushes.db.database import Database, Transaction, Write
from rushes.domain.job import Move

T = TypeVar("T")


class ObservedDatabase:
    """`Database` over another one.

    `moved` is called with each move once its transaction is committed. `written` is called with the seconds that a
    write took, `ended` with the error that it ended with or None. They are quick and raise nothing.
    """

    def __init__(
        self,
        database: Database,
        moved: Callable[[Move], None],
        written: Callable[[float], None],
        ended: Callable[[BaseException | None], None] | None = None,
    ) -> None:
        self._database = database
        self.read = database.read
        self.version = database.version
        self._moved = moved
        self._written = written
        self._ended = ended
        self.waiting = 0
        """How many writes of this process are not yet on the disk."""

    async def write(self, body: Write[T]) -> T:
        moves: list[Move] = []

        async def observed(transaction: Transaction) -> T:
            # The body may run again, and only what its last run did was committed.
            moves.clear()
            return await body(_ObservedTransaction(transaction, moves))

        began = time.perf_counter()
        self.waiting += 1
        error: BaseException | None = None
        try:
            answer = await self._database.write(observed)
        except BaseException as exc:
            error = exc
            raise
        finally:
            self.waiting -= 1
            self._written(time.perf_counter() - began)
            if self._ended is not None:
                self._ended(error)
        for move in moves:
            self._moved(move)
        return answer

    def listen(self, channel: str, received: Callable[[str], None]) -> Callable[[], None]:
        return self._database.listen(channel, received)

    async def close(self) -> None:
        await self._database.close()


class _ObservedTransaction:
    """`Transaction` that collects the moves that are reported in it."""

    __slots__ = ("_moves", "_transaction", "execute", "fetch", "notify")

    def __init__(self, transaction: Transaction, moves: list[Move]) -> None:
        self._transaction = transaction
        self._moves = moves
        self.fetch = transaction.fetch
        self.execute = transaction.execute
        self.notify = transaction.notify

    def report(self, move: Move) -> None:
        self._moves.append(move)
