"""When a message is tried again. Pure: time and chance are given."""

from __future__ import annotations

from collections.abc import Sequence

RETRIES_S: tuple[float, ...] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""The example schedule of the Standard Webhooks specification, each wait counted from the failure before it: 5 s,
5 min, 30 min, 2, 5, 10, 14, 20 and 24 h. With the first try that makes ten, over a little more than three days."""

JITTER = 0.1
"""So that what failed together does not come back together."""

LONGEST_RETRY_AFTER_S = 86_400.0
"""A receiver may ask us to wait, but not for ever."""


def next_wait_s(
    failures: int, retries_s: Sequence[float], *, chance: float, retry_after_s: float | None = None
) -> float | None:
    """Seconds until the next try after so many failures, or None if there is none; `chance` is from 0 to 1.

    What the receiver asked for counts where it is longer, up to a day; it makes the wait longer, never a try more.
    """
    if failures > len(retries_s):
        return None
    wait_s = retries_s[failures - 1] * (1 + JITTER * (2 * chance - 1))
    if retry_after_s is not None:
        wait_s = max(wait_s, min(retry_after_s, LONGEST_RETRY_AFTER_S))
    return wait_s
