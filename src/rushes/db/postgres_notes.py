"""Notes between the processes on one database, by LISTEN and NOTIFY over a connection that each has for nothing else.

They are sent after the commit and gathered for some milliseconds: inside a transaction they would be exact, but commits
that notify wait for each other in Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog

from rushes.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

POSTGRES_CHANNEL = "rushes"
MOST_UNSENT = 5000
"""What comes while so many wait to be sent is lost."""
LONGEST_PAYLOAD = 2000
GATHER_S = 0.02
CHECK_S = 30.0
"""How often a connection over which nothing comes is asked whether it still lives."""
RECONNECT_S = 1.0

SEND = "SELECT pg_notify($1, said) FROM unnest($2::text[]) AS said"


class PostgresNotes:
    """Notes to and from the other processes; those of this process are delivered without a detour.

    `connect` makes the connection and raises DatabaseUnavailable; `driver_errors` are what it raises when it breaks.
    It is opened when it is first of use, so a command that neither listens nor changes anything pays nothing.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], driver_errors: tuple[type[BaseException], ...]) -> None:
        self._connect = connect
        self._driver_errors = driver_errors
        self._listeners: dict[str, list[Callable[[str], None]]] = {}
        self._unsent: dict[str, None] = {}
        self._something = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None

    def listen(self, channel: str, received: Callable[[str], None]) -> Callable[[], None]:
        """Call `received` with each note of a channel, until what this returns is called."""
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(received)
        self._begin()
        return lambda: listeners.remove(received)

    def send_all(self, notes: Iterable[tuple[str, str]]) -> None:
        """Deliver to the listeners of this process at once, and to those of other processes within milliseconds."""
        for channel, payload in notes:
            self._deliver(channel, payload)
            if len(self._unsent) < MOST_UNSENT:
                self._unsent[f"{channel} {payload}"] = None
                self._something.set()
        if self._unsent:
            self._begin()

    async def close(self) -> Iterable[str]:
        """Stop. What was not sent yet is returned, for `send` over any connection."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        unsent, self._unsent = self._unsent, {}
        return unsent

    def _deliver(self, channel: str, payload: str) -> None:
        for received in tuple(self._listeners.get(channel, ())):
            received(payload)

    def _begin(self) -> None:
        if self._sender is None:
            self._sender = asyncio.create_task(self._keep_sending())

    async def _keep_sending(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                connection = await self._connect()
                try:
                    await self._send_and_receive(connection)
                except self._driver_errors as exc:
                    log.warning("notes_interrupted", error=type(exc).__name__, error_code=DatabaseUnavailable.code)
                finally:
                    connection.terminate()
            await asyncio.sleep(RECONNECT_S)

    async def _send_and_receive(self, connection: Any) -> None:
        connection.add_termination_listener(lambda _: self._something.set())
        # Asked now: a connection that has just ended cannot be asked.
        own_process_id = connection.get_server_pid()

        def received(_: Any, process_id: int, channel: str, said: object) -> None:
            if process_id != own_process_id:
                self._received(str(said))

        await connection.add_listener(POSTGRES_CHANNEL, received)
        while True:
            # Sent even if there is nothing: it shows whether the connection still lives.
            unsent, self._unsent = self._unsent, {}
            self._something.clear()
            try:
                await send(connection, unsent)
            except BaseException:
                # A note that is sent twice does no harm.
                self._unsent = {**unsent, **self._unsent}
                raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._something.wait()
            await asyncio.sleep(GATHER_S)

    def _received(self, said: str) -> None:
        channel, _, payload = said.partition(" ")
        self._deliver(channel, payload)


async def send(connection: Any, notes: Iterable[str]) -> None:
    """Send notes to the listeners of all processes."""
    await connection.execute(SEND, POSTGRES_CHANNEL, list(notes))
