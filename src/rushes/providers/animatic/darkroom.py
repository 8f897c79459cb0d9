"""The drawings under way in this process, and what the scratch directory says of those that are not.

The files of an attempt are its whole state, so that any process sharing the directory sees the same:

    <attempt>.input-0      the inputs, written before the submission is answered
    <attempt>.progress     its length is the percent drawn, which therefore cannot fall, not even after a crash
    <attempt>.mp4          drawn; appears whole, by rename
    <attempt>.error        cannot be drawn, and why
    <attempt>.lost         accepted by the model that loses its answers
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from rushes.errors import ProviderRejected, ProviderUnavailable
from rushes.offload import Offload
from rushes.providers.animatic.order import Order

AT_ONCE = 2
"""Drawings handed to the child processes at a time: when a child dies, only these can be hurt by it."""

RESTARTS = 2

KEEP_S = 3600
"""Longer than any job of this provider lives, so a sweep cannot take a file that is still needed."""

SWEEP_EVERY_S = 600


@dataclass(frozen=True, slots=True)
class Drawing:
    """Under way; `fraction` of it is drawn."""

    fraction: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """The file is there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Undrawable:
    """It cannot be drawn; `reason` is one sentence."""

    reason: str


State = Drawing | Drawn | Undrawable


def _draw(order: Order, scratch: Path) -> None:
    # Pillow and PyAV are loaded here, in the child, and never in the serving process.
    from rushes.providers.animatic.film import draw_film

    draw_film(order, scratch)


class Darkroom:
    """Draws each order once at a time, however often it is asked for."""

    def __init__(self, offload: Offload, scratch: Path) -> None:
        self._offload = offload
        self._scratch = scratch
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._swept_at_s = float("-inf")

    def path(self, attempt_id: str, suffix: str) -> Path:
        """Where the file of that kind is kept."""
        return self._scratch / f"{attempt_id}.{suffix}"

    async def keep(self, attempt_id: str, suffix: str, content: bytes) -> str:
        """Write one of the attempt's files and return its name. Raises OSError if the disk cannot take it."""
        path = self.path(attempt_id, suffix)
        await asyncio.to_thread(_write_whole, path, content)
        return path.name

    async def has(self, attempt_id: str, suffix: str) -> bool:
        """Whether the attempt has that file."""
        return await asyncio.to_thread(self.path(attempt_id, suffix).exists)

    async def develop(self, order: Order) -> State:
        """How far the drawing of `order` is, starting it if nobody has.

        Raises ProviderUnavailable if the scratch directory cannot be read or written; asking again tries again.
        """
        task = self._tasks.get(order.attempt_id)
        if task is not None and task.done():
            del self._tasks[order.attempt_id]
            _raise_failure(task, self._scratch)
        try:
            state = await asyncio.to_thread(self._look, order.attempt_id)
        except OSError as exc:
            raise _unusable(self._scratch) from exc
        if isinstance(state, Drawing) and order.attempt_id not in self._tasks:
            self._begin(order)
        return state

    def _begin(self, order: Order) -> None:
        task = asyncio.create_task(self._draw_whatever_happens(order))
        self._tasks[order.attempt_id] = task

        def forget(ended: asyncio.Task[None]) -> None:
            # What succeeded is on disk, and is not asked for again; what failed is kept for the next poll to tell.
            if self._tasks.get(order.attempt_id) is ended and not ended.cancelled() and ended.exception() is None:
                del self._tasks[order.attempt_id]

        task.add_done_callback(forget)

    def _look(self, attempt_id: str) -> State:
        drawn = self.path(attempt_id, "mp4")
        if drawn.exists():
            return Drawn(drawn)
        try:
            return Undrawable(self.path(attempt_id, "error").read_text("utf-8"))
        except FileNotFoundError:
            pass
        try:
            return Drawing(min(99, self.path(attempt_id, "progress").stat().st_size) / 100)
        except FileNotFoundError:
            return Drawing(0.0)

    async def _draw_whatever_happens(self, order: Order) -> None:
        await self._sweep()
        async with self._turn:
            for _ in range(1 + RESTARTS):
                try:
                    await self._offload.run(_draw, order, self._scratch)
                except BrokenProcessPool:
                    continue
                except ProviderRejected as rejection:
                    await self.keep(order.attempt_id, "error", rejection.message.encode())
                return
        reason = f"the animatic could not be drawn: the process drawing it died {1 + RESTARTS} times"
        await self.keep(order.attempt_id, "error", reason.encode())

    async def _sweep(self) -> None:
        now_s = time.monotonic()
        if now_s - self._swept_at_s >= SWEEP_EVERY_S:
            self._swept_at_s = now_s
            await asyncio.to_thread(_remove_older_than, self._scratch, KEEP_S)

    async def close(self) -> None:
        """Abandon the drawings under way; a later poll takes them up from their handles."""
        tasks: Sequence[asyncio.Task[None]] = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _raise_failure(task: asyncio.Task[None], scratch: Path) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, OSError):
        raise _unusable(scratch) from error
    if error is not None:
        raise error


def _unusable(scratch: Path) -> ProviderUnavailable:
    return ProviderUnavailable(f"the scratch directory '{scratch}' cannot be used; is its disk full?", accepted=False)


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.write_bytes(content)
    part.replace(path)


def _remove_older_than(scratch: Path, age_s: float) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    oldest_s = time.time() - age_s
    with os.scandir(scratch) as entries:
        for entry in entries:
            if entry.is_file() and entry.stat().st_mtime < oldest_s:
                Path(entry).unlink(missing_ok=True)
