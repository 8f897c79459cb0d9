"""Resolving host names in threads of our own, with a share for each account.

A name whose server never answers blocks its thread for half a minute. In the threads that all else of this process
uses, a few such names would stop everything.
"""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from rushes.errors import AccountBusy
from rushes.shared_places import SharedPlace
from rushes.threads import Threads

LONGEST_TURN_S: Final = 3.0
"""How long a lookup waits for its turn. The rest of the time to connect is the receiver's."""
OF_SERVICE: Final = ""
"""Stands for the account where the service itself asks."""

account: ContextVar[str] = ContextVar("account", default=OF_SERVICE)
"""The account for which the current task connects: aiohttp tells a resolver nothing but the name."""


class NameLookups(AbstractResolver):
    """Resolves names as the machine does (`getaddrinfo`)."""

    def __init__(self, place: SharedPlace) -> None:
        self._place = place
        self._threads = Threads(place.declaration.most)
        self._under_way: set[asyncio.Task[list[ResolveResult]]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The name's addresses. Raises OSError if it has none, and AccountBusy if the account's turn does not come.

        A lookup that is given up goes on in its thread, and keeps its place until it ends.
        """
        try:
            async with asyncio.timeout(LONGEST_TURN_S):
                turn = await self._place.wait(account.get())
        except TimeoutError:
            raise AccountBusy(
                "Too many host names that this account gave are being resolved; they may have no working name server",
                retry_after_s=self._place.declaration.retry_after_s,
            ) from None
        task = asyncio.create_task(self._threads.run(lambda: _addresses(host, port, family)))
        self._under_way.add(task)

        def end(ended: asyncio.Task[list[ResolveResult]]) -> None:
            self._under_way.discard(ended)
            turn.release()
            if not ended.cancelled():
                # Else a failure that no caller awaits is reported as never retrieved.
                ended.exception()

        task.add_done_callback(end)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for none of the lookups under way."""
        for task in list(self._under_way):
            task.cancel()


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]
