"""The drawings under way in this process, and what the scratch directory says of the others.

The files of an attempt are its whole state, so that any process sharing the directory sees the same:

    <attempt>.input-0      the inputs, written before the submission is answered
    <attempt>.progress     its length is the percent drawn, which therefore cannot fall, not even after a crash
    <attempt>.mp4          drawn; appears whole, by rename
    <attempt>.error        cannot be drawn, and why
    <attempt>.lost         accepted by the model that loses its answers
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from rushes.decoding.box import Box, BoxUnavailableError, Cause, TaskEndedError
from rushes.decoding.sandbox import Limits
from rushes.errors import AccountBusy, ProviderRejected, ProviderUnavailable
from rushes.providers.animatic.order import Order
from rushes.shared_places import SharedPlace

log = structlog.get_logger(__name__)

TASK = "rushes.providers.animatic.film:draw_film"

LIMITS = Limits(memory_bytes=1024**3, cpu_s=1800, wall_s=3600, file_bytes=2 * 1024**3)
"""The longest film at the largest size takes some minutes on one core."""

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


class DrawingJobs:
    """Draws each order once at a time, however often it is polled. Accounts take turns."""

    def __init__(self, box: Box, drawings: SharedPlace, scratch: Path) -> None:
        self._box = box
        self._drawings = drawings
        self._scratch = scratch
        self._tasks: dict[str, asyncio.Task[None]] = {}
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

    async def advance(self, order: Order, account_id: str) -> State:
        """How far the drawing of `order` is. Starts it if it is not under way.

        Raises ProviderUnavailable if the scratch directory cannot be read or written, or nothing can be drawn now;
        the next call tries again.
        """
        task = self._tasks.get(order.attempt_id)
        if task is not None and task.done():
            del self._tasks[order.attempt_id]
            _raise_failure(task, self._scratch)
        try:
            state = await asyncio.to_thread(self._state_of, order.attempt_id)
        except OSError as exc:
            raise _unusable(self._scratch) from exc
        if isinstance(state, Drawing) and order.attempt_id not in self._tasks:
            self._begin(order, account_id)
        return state

    async def release(self, attempt_id: str) -> None:
        """Stop the drawing if it is under way, and remove the files of the attempt."""
        task = self._tasks.pop(attempt_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await asyncio.to_thread(_remove, self._scratch, attempt_id)

    def _begin(self, order: Order, account_id: str) -> None:
        task = asyncio.create_task(self._draw_in_turn(order, account_id))
        self._tasks[order.attempt_id] = task

        def forget(ended: asyncio.Task[None]) -> None:
            # A success is on disk, and is not asked for again; an error is kept for the next poll.
            if self._tasks.get(order.attempt_id) is ended and not ended.cancelled() and ended.exception() is None:
                del self._tasks[order.attempt_id]

        task.add_done_callback(forget)

    def _state_of(self, attempt_id: str) -> State:
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

    async def _draw_in_turn(self, order: Order, account_id: str) -> None:
        await self._sweep()
        try:
            turn = await self._drawings.wait(account_id)
        except AccountBusy:
            # Too many of the account's drawings wait already; the next poll asks again.
            return
        with turn:
            for _ in range(1 + RESTARTS):
                try:
                    await self._draw(order)
                except TaskEndedError as ended:
                    if ended.cause is not Cause.CRASH:
                        reason = f"the animatic could not be drawn: it takes too much {ended.cause}"
                        await self.keep(order.attempt_id, "error", reason.encode())
                        return
                    continue
                except ProviderRejected as rejection:
                    await self.keep(order.attempt_id, "error", rejection.message.encode())
                return
        reason = f"the animatic could not be drawn: the process drawing it died {1 + RESTARTS} times"
        await self.keep(order.attempt_id, "error", reason.encode())

    async def _draw(self, order: Order) -> None:
        part = self._scratch / f"{order.attempt_id}.mp4.{secrets.token_hex(4)}.part"
        try:
            with ExitStack() as closing:
                files = await asyncio.to_thread(self._opened, order, part, closing)
                await self._box.run(TASK, files, order.to_handle(), limits=LIMITS)
            await asyncio.to_thread(part.replace, self.path(order.attempt_id, "mp4"))
        finally:
            await asyncio.shield(asyncio.to_thread(part.unlink, missing_ok=True))

    def _opened(self, order: Order, part: Path, closing: ExitStack) -> list[int]:
        """The files that drawing takes, in the order of `draw_film`. Raises ProviderRejected, OSError."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        progress = self.path(order.attempt_id, "progress")
        files = [
            _open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, closing),
            _open(part, os.O_RDONLY, closing),
            _open(progress, os.O_WRONLY | os.O_CREAT | os.O_APPEND, closing),
        ]
        for item in order.inputs:
            try:
                files.append(_open(self._scratch / item.file, os.O_RDONLY, closing))
            except FileNotFoundError as exc:
                raise ProviderRejected(
                    f"'{item.role}' is no longer in the scratch directory, so the animatic cannot be drawn again"
                ) from exc
        return files

    async def _sweep(self) -> None:
        now_s = time.monotonic()
        if now_s - self._swept_at_s >= SWEEP_EVERY_S:
            self._swept_at_s = now_s
            await asyncio.to_thread(_remove_older_than, self._scratch, KEEP_S)

    async def close(self) -> None:
        """Abandon the drawings under way; a later poll begins them again from their handles."""
        tasks: Sequence[asyncio.Task[None]] = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _raise_failure(task: asyncio.Task[None], scratch: Path) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, BoxUnavailableError):
        log.error("drawing_unavailable", detail=str(error))
        raise ProviderUnavailable("nothing can be drawn at the moment", accepted=False) from error
    if isinstance(error, OSError):
        raise _unusable(scratch) from error
    if error is not None:
        raise error


def _unusable(scratch: Path) -> ProviderUnavailable:
    return ProviderUnavailable(f"the scratch directory '{scratch}' cannot be used; is its disk full?", accepted=False)


def _open(path: Path, flags: int, closing: ExitStack) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    closing.callback(os.close, descriptor)
    return descriptor


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.write_bytes(content)
    part.replace(path)


def _remove(scratch: Path, attempt_id: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        for path in scratch.glob(f"{attempt_id}.*"):
            path.unlink(missing_ok=True)


def _remove_older_than(scratch: Path, age_s: float) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    oldest_s = time.time() - age_s
    with os.scandir(scratch) as entries:
        for entry in entries:
            if entry.is_file() and entry.stat().st_mtime < oldest_s:
                Path(entry).unlink(missing_ok=True)
