"""When a message is sent again. Pure: time and chance are passed in."""

from __future__ import annotations

from collections.abc import Sequence

RETRIES_S: tuple[float, ...] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""The example schedule of the Standard Webhooks specification, each wait counted from the failure before it: 5 s,
5 min, 30 min, 2, 5, 10, 14, 20 and 24 h. With the first try that makes ten, over a little more than three days."""

JITTER = 0.1
"""The part of a wait that chance decides, so that messages that failed together are not repeated together."""

LONGEST_RETRY_AFTER_S = 86_400.0
"""The longest wait that a receiver can ask for."""


def next_wait_s(
    failures: int, retries_s: Sequence[float], *, chance: float, retry_after_s: float | None = None
) -> float | None:
    """The seconds until the next attempt, or None after the last one; `chance` is from 0 to 1.

    A longer wait that the receiver asked for wins, up to a day. It adds no attempt.
    """
    if failures > len(retries_s):
        return None
    wait_s = retries_s[failures - 1] * (1 + JITTER * (2 * chance - 1))
    if retry_after_s is not None:
        wait_s = max(wait_s, min(retry_after_s, LONGEST_RETRY_AFTER_S))
    return wait_s
