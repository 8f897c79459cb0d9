"""A process that can die, freeze and disagree about the time. Whatever it does to the world passes a gate."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.fixtures.clocks import START_MS
from tests.simulation.faults import Chance, Fault

T = TypeVar("T")

ANSWER_PATIENCE_S = 30.0

_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Lost(Exception):
    """The connection to a process broke before it answered; what was asked may have happened."""


class Host:
    """Something with a clock of its own."""

    def __init__(self) -> None:
        self.skew_ms = 0

    def now_ms(self) -> int:
        return START_MS + round(asyncio.get_running_loop().time() * 1000) + self.skew_ms

    def steady_ms(self) -> int:
        """Milliseconds by a clock that nobody sets."""
        return round(asyncio.get_running_loop().time() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class Process:
    """One process on a host, and the `Clock` that its code sees."""

    def __init__(self, name: str, host: Host, chance: Chance, note: Callable[[str, str], None]) -> None:
        self.name = name
        self.host = host
        self.dead = False
        self._chance = chance
        self._note = note
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._thawed: asyncio.Event | None = None
        self._on_thaw: list[Callable[[], None]] = []
        self._steps_to_crash = self._steps_until(Fault.CRASH)
        self._steps_to_freeze = self._steps_until(Fault.FREEZE)
        self.ended = asyncio.Event()

    def _steps_until(self, fault: Fault) -> int | None:
        return self._chance.random.randint(1, 120) if self._chance.strikes(fault, 0.4) else None

    # Clock.

    def now_ms(self) -> int:
        return self.host.now_ms()

    def steady_ms(self) -> int:
        return self.host.steady_ms()

    async def sleep(self, seconds: float) -> None:
        await self.gate("sleep")
        await self.host.sleep(seconds)
        await self.gate("wake")

    # What its code does.

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of this process; its children are too."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, self)
        return asyncio.get_running_loop().create_task(coroutine, context=context)

    async def answer(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the process answers to somebody outside. Raises Lost if it dies, or is silent for too long."""
        if self.dead:
            coroutine.close()
            raise Lost
        task = self.spawn(coroutine)
        await asyncio.wait({task}, timeout=ANSWER_PATIENCE_S)
        if not task.done() or task.cancelled():
            raise Lost
        return task.result()

    async def gate(self, place: str) -> None:
        """A moment between two steps: here the process may die or freeze."""
        if self.dead:
            raise asyncio.CancelledError
        if self._steps_to_crash is not None and not self._chance.is_calm:
            self._steps_to_crash -= 1
            if self._steps_to_crash <= 0:
                self.die(f"crashes at: {place}")
                raise asyncio.CancelledError
        if self._steps_to_freeze is not None and not self._chance.is_calm:
            self._steps_to_freeze -= 1
            if self._steps_to_freeze <= 0:
                self._steps_to_freeze = None
                self.freeze(self._chance.between(5, 60), place)
        await self.while_frozen()

    async def while_frozen(self) -> None:
        """Return when the process runs; never, if it is dead."""
        while self._thawed is not None:
            await self._thawed.wait()
        if self.dead:
            raise asyncio.CancelledError

    # What happens to it.

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still."""
        return self._thawed is not None

    def when_thawed(self, action: Callable[[], None]) -> None:
        """Do it once the process goes on."""
        self._on_thaw.append(action)

    def freeze(self, seconds: float, place: str = "") -> None:
        """Stand still; nothing of it runs, though the world goes on."""
        if self.dead or self.is_frozen:
            return
        self._note(self.name, f"freezes for {seconds:.1f} s at: {place}")
        self._thawed = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, self.thaw)

    def thaw(self) -> None:
        """Go on."""
        if self._thawed is None:
            return
        if not self.dead:
            self._note(self.name, "thaws")
        thawed, self._thawed = self._thawed, None
        thawed.set()
        actions, self._on_thaw = self._on_thaw, []
        for action in actions:
            action()

    def die(self, how: str) -> None:
        """Nothing more of it is written, and nothing that it waits for is heard."""
        if self.dead:
            return
        self._note(self.name, how)
        self.dead = True
        self.thaw()
        self.ended.set()
        for task in tuple(self._tasks):
            task.cancel()

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """A task was made in it."""
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))


def adopt_task(task: asyncio.Task[Any], context: contextvars.Context) -> None:
    """Give a new task to the process that it was made in."""
    process = context.get(_PROCESS)
    if process is not None:
        process.adopt(task)
