"""What can go wrong, and the one chance that decides when it does: the same seed decides the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Fault(StrEnum):
    """Everything that the world can do to the engine."""

    # Processes.
    CRASH = "crash between two steps"
    FREEZE = "frozen for longer than the lease"
    STOP = "stopped in good order"
    CLOCK_FORWARD = "clock of a host jumps forward"
    CLOCK_BACK = "clock of a host jumps back"
    # The database.
    LOCKED = "database is locked"
    DISK_FULL = "disk of the database is full"
    SLOW_WRITE = "write takes longer than the lease"
    # Submits.
    UNREACHED = "provider cannot be reached"
    LIMITED = "provider says 429"
    NO_CREDIT = "provider says that there is no credit"
    KEY_REFUSED = "provider refuses the key"
    REJECTED = "provider rejects the request"
    FILTERED = "provider filters the prompt"
    ERROR_BEFORE = "provider says 500 and has not accepted"
    ERROR_AFTER = "provider says 500 and has accepted"
    ANSWER_LOST = "provider accepts and its answer is lost"
    BAD_JSON = "provider accepts and answers nonsense"
    ADAPTER_BUG = "adapter fails on the answer"
    SLOW_ANSWER = "provider answers later than the lease"
    # Finds and polls.
    FIND_FAILS = "provider cannot be asked for an attempt"
    POLL_FAILS = "poll finds nobody"
    POLL_LIMITED = "poll says 429"
    UNKNOWN_STATUS = "poll says a word that nobody knows"
    POLL_BUG = "adapter fails on a poll"
    PROGRESS_FALLS = "provider reports less than before"
    GENERATION_FAILS = "generation fails"
    NOTHING_MADE = "generation is done and names no video"
    ONE_MISSING = "generation makes fewer videos than asked for"
    NEVER_DONE = "generation never ends"
    CANCEL_FAILS = "provider cannot be asked to cancel"
    # Videos.
    FETCH_FAILS = "fetch breaks off"
    LINK_EXPIRED = "link of an output has expired"
    OUTPUT_GONE = "provider has lost the output"
    NOT_A_VIDEO = "output is not a video"
    STORAGE_FULL = "storage is full"
    MEASURING_DIES = "process that measures videos dies"
    # Receivers of webhooks.
    RECEIVER_FAILS = "receiver of a webhook says 500"
    RECEIVER_SILENT = "receiver of a webhook does not answer"
    RECEIVER_GONE = "receiver of a webhook says 410"
    # The operator.
    NO_CREDENTIALS = "credential is not configured"


class Chance:
    """Draws from one seed. Each seed knows only some of the faults, so that each meets deep runs of a few.

    `only` names the faults to concentrate on, each of them often.
    """

    def __init__(self, seed: int, only: Collection[Fault] = ()) -> None:
        self.random = random.Random(seed)
        self.happened: Counter[Fault] = Counter()
        rates = {fault: self._rate() for fault in Fault}
        self._rates = {fault: 3.0 if fault in only else 0.0 for fault in Fault} if only else rates
        self._calm = False

    def _rate(self) -> float:
        return self.random.choice([0.0, 0.0, 0.5, 1.0, 1.0, 3.0])

    def calm_down(self) -> None:
        """From here on nothing goes wrong any more."""
        self._calm = True

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self._calm

    def strikes(self, fault: Fault, probability: float) -> bool:
        """Whether the fault happens here; `probability` where a seed knows it with its usual rate."""
        if self._calm:
            return False
        struck = self.random.random() < min(0.9, probability * self._rates[fault])
        if struck:
            self.happened[fault] += 1
        return struck

    def one_of(self, faults: Sequence[tuple[Fault, float]]) -> Fault | None:
        """The first of these faults that happens, or None."""
        return next((fault for fault, probability in faults if self.strikes(fault, probability)), None)

    def pick(self, things: Sequence[T]) -> T:
        """One of them."""
        return self.random.choice(things)

    def between(self, low: float, high: float) -> float:
        """A number of this range."""
        return self.random.uniform(low, high)

    def happens(self, probability: float) -> bool:
        """A coin, for what is no fault."""
        return self.random.random() < probability
