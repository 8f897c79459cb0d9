"""The places that all tenants share: memory, decoders, connections. Each has a bound for all and a share per account.

`DECLARED` is the one list of them. The limits page of the documentation and the metrics follow from it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from rushes.errors import AccountBusy, Overloaded
from rushes.pace import Pace


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one shared place is.

    `most` is how much of it all accounts may hold at once and `share` how much one account may. Accounts that hold
    more than `little` leave `kept` of it free, so that a few busy accounts cannot shut out the next one. Where `queue`
    is 0 a request beyond these is refused at once; else up to `queue` requests of one account wait for their turn.
    With `for_each` there is one such place for each of these. A `paced` place is given to one request in each pass of
    the event loop: a request that never waits holds the place for no time at all, and its bound would mean nothing. An
    account whose requests hold the event loop for long rests between them (`pace.py`).
    """

    name: str
    meaning: str
    unit: str
    most: int
    share: int
    kept: int = 0
    little: int = 1
    queue: int = 0
    retry_after_s: float = 1.0
    for_each: str | None = None
    paced: bool = False


MIB = 1024**2

HEADS = Declaration(
    "heads",
    "Bytes of request heads that are still arriving, by address",
    "bytes",
    most=32 * MIB,
    share=8 * MIB,
    kept=8 * MIB,
    little=MIB,
)
CONNECTIONS = Declaration(
    "connections",
    "Connections of clients, by address; each connection of a trusted proxy is by itself",
    "connections",
    most=8000,
    share=1000,
    kept=2000,
    little=50,
)
REQUESTS = Declaration(
    "requests",
    "Requests with a key that are not answered to the end",
    "requests",
    most=2000,
    share=500,
    kept=500,
    little=20,
)
TURNS = Declaration(
    "turns",
    "Requests with a key that are being worked on, each until its answer begins or for 1 s",
    "requests",
    most=96,
    share=32,
    kept=32,
    little=8,
    queue=500,
    paced=True,
)
BODIES = Declaration(
    "bodies",
    "Bytes of request bodies in memory",
    "bytes",
    most=256 * MIB,
    share=128 * MIB,
    kept=64 * MIB,
    little=4 * MIB,
    retry_after_s=2,
)
UPLOADS = Declaration(
    "uploads", "Uploads that are being received", "requests", most=256, share=64, kept=64, little=4, retry_after_s=2
)
DOWNLOADS = Declaration(
    "downloads", "Videos that are being sent", "videos", most=400, share=100, kept=100, little=10, retry_after_s=2
)
STREAMS = Declaration(
    "streams",
    "Event streams and requests that wait for a job",
    "requests",
    most=1000,
    share=200,
    kept=200,
    little=10,
    retry_after_s=5,
)
DECODERS = Declaration(
    "decoders", "Input files that are decoded at once", "files", most=2, share=1, queue=64, retry_after_s=2
)
MEASUREMENTS = Declaration("measurements", "Results that are measured at once", "files", most=2, share=1, queue=10_000)
POSTERS = Declaration(
    "posters", "Poster frames that are drawn at once", "posters", most=2, share=1, queue=64, retry_after_s=2
)
DRAWINGS = Declaration("drawings", "Animatics that are drawn at once", "drawings", most=3, share=2, kept=1, queue=1000)
INPUT_CONNECTIONS = Declaration(
    "input_connections",
    "Connections that fetch inputs by URL",
    "connections",
    most=64,
    share=16,
    kept=16,
    queue=64,
    retry_after_s=5,
)
WEBHOOK_ATTEMPTS = Declaration(
    "webhook_attempts", "Messages to webhooks that are being sent", "messages", most=64, share=32, kept=16
)
WEBHOOK_TESTS = Declaration(
    "webhook_tests",
    "Test messages to webhooks that are being sent",
    "messages",
    most=32,
    share=4,
    kept=8,
    retry_after_s=5,
)
GUARDRAIL = Declaration(
    "guardrail",
    "Questions to the guardrail that wait for its answer",
    "questions",
    most=64,
    share=32,
    kept=16,
    queue=64,
    retry_after_s=2,
)
PROVIDER_CONNECTIONS = Declaration(
    "provider_connections",
    "Submissions, polls and downloads at one provider",
    "calls",
    most=200,
    share=100,
    kept=50,
    queue=100_000,
    for_each="provider",
)
SUBMITTED_MEDIA = Declaration(
    "submitted_media",
    "Bytes of input files in memory, for submissions under way",
    "bytes",
    most=512 * MIB,
    share=256 * MIB,
    kept=128 * MIB,
    little=20 * MIB,
    queue=100_000,
)
DATABASE = Declaration(
    "database",
    "Connections to Postgres that run a statement or a transaction",
    "connections",
    most=10,
    share=8,
    kept=2,
    queue=2500,
)
LOOKUPS = Declaration(
    "lookups",
    "Host names given by accounts that are being resolved",
    "names",
    most=128,
    share=32,
    kept=32,
    queue=64,
    retry_after_s=5,
)

DECLARED = (
    CONNECTIONS,
    HEADS,
    REQUESTS,
    TURNS,
    BODIES,
    UPLOADS,
    DOWNLOADS,
    STREAMS,
    DECODERS,
    MEASUREMENTS,
    POSTERS,
    DRAWINGS,
    INPUT_CONNECTIONS,
    WEBHOOK_ATTEMPTS,
    WEBHOOK_TESTS,
    GUARDRAIL,
    PROVIDER_CONNECTIONS,
    SUBMITTED_MEDIA,
    DATABASE,
    LOOKUPS,
)
"""Every shared place, in the order of the documentation."""


account_served: ContextVar[str] = ContextVar("account_served", default="")
"""The account that the current task works for; empty for the service itself. The database knows no accounts."""


@dataclass(slots=True)
class _Waiting:
    amount: int
    granted: asyncio.Future[None]


class SharedPlace:
    """One shared place of this process. Accounts take turns, so that a long queue of one does not delay another."""

    def __init__(self, declaration: Declaration, *, most: int | None = None, share: int | None = None) -> None:
        """`most` and `share` replace what is declared. What is kept follows; a share above `most` counts as `most`."""
        most = declaration.most if most is None else most
        share = min(declaration.share if share is None else share, most)
        kept = declaration.kept * most // declaration.most
        self.declaration = replace(declaration, most=most, share=share, kept=kept)
        self._held: Counter[str] = Counter()
        self._held_by_all = 0
        self._queues: dict[str, deque[_Waiting]] = {}
        self._has_given = False
        """Whether a paced place was given away in this pass of the event loop."""
        self._pace = Pace(time.monotonic) if declaration.paced else None
        self._after_rest: asyncio.TimerHandle | None = None
        self.refused: Counter[str] = Counter()
        """How many requests were refused, by reason: `account` or `all`."""

    @property
    def held(self) -> int:
        """How much of it is held now."""
        return self._held_by_all

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(len(queue) for queue in self._queues.values())

    def held_by(self, account_id: str) -> int:
        """How much of it this account holds now."""
        return self._held[account_id]

    def take(self, account_id: str, amount: int = 1) -> Holding:
        """Hold `amount` of it at once, without waiting.

        Raises AccountBusy if the account has its share already, and Overloaded if all of it is held.
        """
        self._check_fits(account_id, amount)
        if self._held[account_id] + amount > self.declaration.share:
            raise self._account_busy()
        if self.held + amount > self._most_for(account_id, amount):
            raise self._overloaded()
        return self._hold(account_id, amount)

    async def wait(self, account_id: str, amount: int = 1) -> Holding:
        """Hold `amount` of it once the account's turn has come.

        Raises AccountBusy if too many requests of the account wait already.
        """
        self._check_fits(account_id, amount)
        rests = False
        if self._pace is not None:
            self._pace.asks(account_id)
            rests = self._pace.wait_s(account_id) > 0
        queue = self._queues.get(account_id)
        if not queue and not self._has_given and not rests and self._fits(account_id, amount):
            self._give()
            return self._hold(account_id, amount)
        if len(queue or ()) >= self.declaration.queue:
            raise self._account_busy()
        waiting = _Waiting(amount, asyncio.get_running_loop().create_future())
        self._queues.setdefault(account_id, deque()).append(waiting)
        if rests:
            self._serve()
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting.granted.done() and not waiting.granted.cancelled():
                # It was granted in the same moment, so it goes back.
                self.give_back(account_id, amount)
            else:
                self._leave_queue(account_id, waiting)
            raise
        return Holding(self, account_id, amount)

    def has_held_up(self, account_id: str, seconds: float) -> None:
        """Note that a request of this account has held the event loop for so long, in a paced place."""
        if self._pace is not None:
            self._pace.held(account_id, seconds)

    def give_back(self, account_id: str, amount: int) -> None:
        """Hold `amount` less, and let those go on whose turn has come."""
        self._held[account_id] -= amount
        self._held_by_all -= amount
        if self._held[account_id] <= 0:
            del self._held[account_id]
        self._serve()

    def _serve(self) -> None:
        """Grant what fits, one request an account in turn."""
        progress = True
        while progress and self._queues and not self._has_given:
            progress = False
            rests: list[float] = []
            for account_id in list(self._queues):
                queue = self._queues[account_id]
                waiting = queue[0]
                rest_s = 0.0 if self._pace is None else self._pace.wait_s(account_id)
                if rest_s > 0:
                    rests.append(rest_s)
                    continue
                if not self._fits(account_id, waiting.amount):
                    continue
                queue.popleft()
                # The account goes to the end of the turns.
                del self._queues[account_id]
                if queue:
                    self._queues[account_id] = queue
                if not waiting.granted.done():
                    self._hold(account_id, waiting.amount)
                    waiting.granted.set_result(None)
                    self._give()
                progress = True
                break
            if not progress and rests:
                self._serve_after(min(rests))

    def _serve_after(self, seconds: float) -> None:
        if self._after_rest is not None:
            self._after_rest.cancel()
        self._after_rest = asyncio.get_running_loop().call_later(seconds, self._serve)

    def _give(self) -> None:
        if self.declaration.paced:
            self._has_given = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._has_given = False
        self._serve()

    def _leave_queue(self, account_id: str, waiting: _Waiting) -> None:
        queue = self._queues.get(account_id)
        if queue is not None and waiting in queue:
            queue.remove(waiting)
            if not queue:
                del self._queues[account_id]
        self._serve()

    def _fits(self, account_id: str, amount: int) -> bool:
        within_share = self._held[account_id] + amount <= self.declaration.share
        return within_share and self.held + amount <= self._most_for(account_id, amount)

    def _most_for(self, account_id: str, amount: int) -> int:
        """How much all may hold once the account has taken `amount` more."""
        has_little = self._held[account_id] + amount <= self.declaration.little
        return self.declaration.most if has_little else self.declaration.most - self.declaration.kept

    def _check_fits(self, account_id: str, amount: int) -> None:
        if amount > self.declaration.share:
            self.refused["account"] += 1
            raise AccountBusy(
                f"This needs {amount} {self.declaration.unit} ({self.declaration.meaning.lower()}); one account may "
                f"hold {self.declaration.share}",
                retry_after_s=self.declaration.retry_after_s,
            )

    def _hold(self, account_id: str, amount: int) -> Holding:
        self._held[account_id] += amount
        self._held_by_all += amount
        return Holding(self, account_id, amount)

    def _account_busy(self) -> AccountBusy:
        self.refused["account"] += 1
        return AccountBusy(
            f"This account already holds its share of the service: {self.declaration.meaning.lower()}, at most "
            f"{self.declaration.share}; wait until one of its requests has ended",
            retry_after_s=self.declaration.retry_after_s,
        )

    def _overloaded(self) -> Overloaded:
        self.refused["all"] += 1
        return Overloaded(
            f"The service is busy: {self.declaration.meaning.lower()}, at most {self.declaration.most}; try again "
            "shortly",
            retry_after_s=self.declaration.retry_after_s,
        )


class Holding:
    """What one request holds of a shared place, until `release` or the end of its `with` block."""

    __slots__ = ("_account_id", "_amount", "_place")

    def __init__(self, place: SharedPlace, account_id: str, amount: int) -> None:
        self._place = place
        self._account_id = account_id
        self._amount = amount

    @property
    def amount(self) -> int:
        """How much is held."""
        return self._amount

    def grow(self, amount: int) -> None:
        """Hold `amount` more. Raises AccountBusy or Overloaded, and then holds as much as before."""
        self._place.take(self._account_id, amount)
        self._amount += amount

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        amount, self._amount = self._amount, 0
        if amount:
            self._place.give_back(self._account_id, amount)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class SharedPlaces:
    """All shared places of this process, by their declarations. Settings may replace a bound or a share."""

    def __init__(self, most: Mapping[str, int] | None = None, shares: Mapping[str, int] | None = None) -> None:
        most, shares = most or {}, shares or {}
        self._places = {
            declared.name: SharedPlace(declared, most=most.get(declared.name), share=shares.get(declared.name))
            for declared in DECLARED
            if declared.for_each is None
        }

    def __getitem__(self, declaration: Declaration) -> SharedPlace:
        return self._places[declaration.name]

    def of(self, declaration: Declaration, name: str) -> SharedPlace:
        """The place of this name, of those that `declaration` says there is one of for each."""
        own = f"{declaration.name}:{name}"
        place = self._places.get(own)
        if place is None:
            place = self._places[own] = SharedPlace(replace(declaration, name=own))
        return place

    def __iter__(self) -> Iterator[SharedPlace]:
        return iter(list(self._places.values()))
