"""Ending what waits for a key that is no longer valid: one look every POLL_S for all that wait in this process.

Its cost follows the keys that wait, not the requests of one key, and without any it costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self, TypeVar

import structlog

from rushes.accounts.key_store import KeyStore
from rushes.clock import Clock
from rushes.errors import NotAuthenticated, RushesError

log = structlog.get_logger(__name__)

T = TypeVar("T")

POLL_S = 2.0
"""How long an open answer may outlive its key."""


class Revocations:
    """Tells open answers that their key is no longer valid or may no longer read. Only while `run` is running."""

    def __init__(self, keys: KeyStore, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._watches: dict[str, set[KeyWatch]] = {}

    def watch(self, key_id: str) -> KeyWatch:
        """A watch for the key of a request that has been authenticated; enter it."""
        return KeyWatch(self, key_id)

    async def run(self) -> None:
        """Look again and again, until this is cancelled."""
        while True:
            await self._clock.sleep(POLL_S)
            try:
                await self.look()
            except RushesError as error:
                log.warning("revocations_not_read", error_code=error.code)
            except Exception:
                log.exception("revocations_not_read")

    async def look(self) -> None:
        """End the watches of the keys that are no longer valid."""
        key_ids = tuple(self._watches)
        if not key_ids:
            return
        valid = await self._keys.readers_among(key_ids)
        for key_id in key_ids:
            if key_id not in valid:
                for watch in self._watches.get(key_id, ()):
                    watch.end()

    def add(self, watch: KeyWatch) -> None:
        """Begin to look for this one."""
        self._watches.setdefault(watch.key_id, set()).add(watch)

    def remove(self, watch: KeyWatch) -> None:
        """Look no more for this one."""
        watches = self._watches.get(watch.key_id, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.key_id, None)


class KeyWatch:
    """One open answer's view of its key."""

    def __init__(self, revocations: Revocations, key_id: str) -> None:
        self._revocations = revocations
        self._over = asyncio.Event()
        self.key_id = key_id

    def __enter__(self) -> Self:
        self._revocations.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._revocations.remove(self)

    @property
    def is_over(self) -> bool:
        """Whether the key has become invalid."""
        return self._over.is_set()

    async def until_over(self) -> None:
        """Return when the key has become invalid."""
        await self._over.wait()

    def end(self) -> None:
        """The key is no longer valid."""
        self._over.set()


async def while_valid(items: AsyncGenerator[T, None], key: KeyWatch) -> AsyncGenerator[T, None]:
    """The items, until the key becomes invalid, also while the next one is waited for. Raises NotAuthenticated then."""
    over = asyncio.ensure_future(key.until_over())
    try:
        while True:
            following = asyncio.ensure_future(anext(items, None))
            try:
                await asyncio.wait({following, over}, return_when=asyncio.FIRST_COMPLETED)
                if over.done():
                    raise NotAuthenticated("The API key has expired, or was disabled or revoked meanwhile")
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
            item = following.result()
            if item is None:
                return
            yield item
    finally:
        over.cancel()
        await items.aclose()
