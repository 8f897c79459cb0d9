"""Whether this worker can store videos, from what its jobs meet when they store them."""

from __future__ import annotations

FAILURES_TO_FAIL = 3


class StorageHealth:
    """One for each process. It counts failures in a row; one success ends them."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at_ms: int | None = None

    @property
    def is_down(self) -> bool:
        """Whether so many writes in a row have failed that the storage counts as unavailable."""
        return self._failures >= FAILURES_TO_FAIL

    def down_s(self, now_ms: int) -> float:
        """Seconds since the first of the failures, by the steady clock; 0 while the storage is available."""
        return 0.0 if not self.is_down or self._failed_at_ms is None else (now_ms - self._failed_at_ms) / 1000

    def failed(self, now_ms: int) -> None:
        """A video could not be stored, because of our storage."""
        self._failures += 1
        if self._failed_at_ms is None:
            self._failed_at_ms = now_ms

    def stored(self) -> None:
        """The storage has taken a video, or has answered a check."""
        self._failures = 0
        self._failed_at_ms = None
